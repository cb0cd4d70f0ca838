// Shows results as they come. Without it the page shows what they were when it was loaded.
"use strict";
const section = document.getElementById("results");
const state = document.getElementById("live");
const source = new EventSource(section.dataset.stream);

function show(results) {
  section.querySelector("[data-total]").textContent = results.total;
  for (const option of results.options) {
    const row = section.querySelector(`[data-option="${option.id}"]`);
    if (!row) { location.reload(); return; } // the poll was edited
    row.cells[1].textContent = option.votes;
    const meter = row.querySelector("meter");
    meter.max = results.total || 1;
    meter.value = option.votes;
  }
}

source.addEventListener("open", () => { state.textContent = "The results are live."; });
source.addEventListener("results", (event) => show(JSON.parse(event.data)));
source.addEventListener("final", (event) => {
  show(JSON.parse(event.data));
  source.close();
  state.textContent = "The poll is closed. These results are final.";
});
source.addEventListener("error", () => { // the browser connects again, unless it was refused
  const refused = source.readyState === EventSource.CLOSED;
  state.textContent = refused ? "Load the page again for newer results." : "Connecting again …";
});
