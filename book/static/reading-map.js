// Lights the way to a chapter on the map of which chapter needs which, and remembers the choice.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const map = document.querySelector(".reading-map");
  if (!map) return;
  const goal = map.querySelector("select");
  const said = map.querySelector(".way");
  const KEY = "nexus-reading-goal";

  /** What comes before a chapter, and the chapter. */
  const wayTo = (name) => {
    const way = new Set([name]);
    for (const step of way)
      map.querySelectorAll(`path[data-to="${step}"]`).forEach((line) => way.add(line.dataset.from));
    return way;
  };

  const light = (name) => {
    const way = name ? wayTo(name) : new Set();
    map.querySelectorAll("[data-name]").forEach((chapter) =>
      chapter.classList.toggle("lit", way.has(chapter.dataset.name))
    );
    map.querySelectorAll("[data-to]").forEach((line) =>
      line.classList.toggle("lit", way.has(line.dataset.to))
    );
    const titles = [...map.querySelectorAll(".lit[data-name]")].map((one) => one.textContent.trim());
    said.textContent = titles.length > 1 ? titles.join(", then ") : titles.length ? "Nothing comes before it." : "";
  };

  goal.addEventListener("change", () => {
    light(goal.value);
    try {
      localStorage.setItem(KEY, goal.value);
    } catch {
      // A reader who forbids it chooses again next time.
    }
  });
  map.querySelectorAll("[data-name]").forEach((chapter) => {
    for (const event of ["mouseenter", "focusin"])
      chapter.addEventListener(event, () => light(chapter.dataset.name));
    for (const event of ["mouseleave", "focusout"])
      chapter.addEventListener(event, () => light(goal.value));
  });
  try {
    goal.value = localStorage.getItem(KEY) ?? "";
  } catch {
    // As above.
  }
  light(goal.value);
});
