// The box for a pasted message.
"use strict";

(() => {
  const { GOOD, element, find, gotcha, index, item, rowsOf, to, withCauses } = window.nexusFinder;

  const show = (place, found, text) => {
    const said = found.length
      ? found[0].fit < GOOD
        ? "No message here fits well. These have some of the words:"
        : `${found.length} ${found.length === 1 ? "message" : "messages"}, the likeliest first`
      : text.trim()
        ? "No message here has these words. Paste the whole line, or the line above it."
        : "";
    place.replaceChildren(
      element("p", { role: "status" }, said),
      element("ol", {}, ...found.map((one) => item(one, text)))
    );
  };

  const start = () => {
    const rows = rowsOf(window.nexusMessages);
    // The rows once stood on this page.
    const here = rows.find(({ address }) => location.hash && address.endsWith(location.hash));
    if (here) location.replace(to(here.address));
    const gotchas = window.nexusGotchas.flatMap(([page, program, symptoms]) =>
      symptoms.map(([anchor, message]) => gotcha(`${page}#${anchor}`, message, program)));
    const searcher = index([...rows, ...gotchas]);
    window.findMessage = (text) => find(searcher, text);
    const home = document.getElementById("message-finder");
    const results = element("div");
    const field = element("textarea", {
      id: "message-text",
      rows: 4,
      spellcheck: false,
      placeholder: 'psycopg.errors.UniqueViolation: duplicate key value violates unique constraint "…"',
    });
    const answer = () => {
      const text = field.value;
      const found = text.trim() ? find(searcher, text) : [];
      const fill = () => field.value === text && show(results, found, text);
      fill();
      if (found.length) withCauses(fill);
    };
    field.addEventListener("input", answer);
    home.append(
      element("label", { htmlFor: field.id }, "Your message"),
      field,
      results
    );
    const given = new URLSearchParams(location.search).get("q");
    if (given) {
      field.value = given;
      answer();
    }
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
