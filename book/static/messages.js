// The box on the page of messages. Its rows are the page itself; only the gotchas, which stand on
// other pages, come with a script of data.
"use strict";

(() => {
  const { GOOD, PAGE, element, find, index, item } = window.nexusFinder;

  const trimmed = (text) => text.replace(/\s+/g, " ").trim();

  /** What stands in an item of a list before the word that begins its test. */
  const causeOf = (paragraph) => {
    const test = paragraph.querySelector("em");
    const range = document.createRange();
    range.selectNodeContents(paragraph);
    if (test) range.setEndBefore(test);
    return trimmed(range.toString());
  };

  /** One row of this page. */
  const rowOf = (anchor) => {
    const section = anchor.closest("section");
    const said = section.querySelector("p");
    const [program] = said.textContent.split(" · ");
    const causes = [...section.querySelectorAll("ol p")];
    return {
      address: `${PAGE}#${anchor.id}`,
      message: section.querySelector("h3 code").textContent,
      program: program.replace(/, code \S+$/, ""),
      code: program.match(/, code (\S+)$/)?.[1] ?? "",
      causes: causes.map((paragraph) => paragraph.textContent.split("Cure:")[0]),
      told: causes.map(causeOf),
      links: [...said.querySelectorAll("a.internal")].map((link) => [
        link.textContent,
        link.getAttribute("href"),
      ]),
    };
  };

  const show = (place, searcher, text) => {
    const found = text.trim() ? find(searcher, text) : [];
    const said = found.length
      ? found[0].fit < GOOD
        ? "No message here fits well. These have some of the words:"
        : `${found.length} ${found.length === 1 ? "message" : "messages"}, the likeliest first`
      : text.trim()
        ? "No message here has these words. Paste the whole line, or the line above it."
        : "";
    const told = ({ row, cause }) => row.told?.[row.causes.indexOf(cause)] ?? "";
    place.replaceChildren(
      element("p", { role: "status" }, said),
      element("ol", {}, ...found.map((one) => item(one, told(one))))
    );
  };

  const start = () => {
    const rows = [...document.querySelectorAll('article section > span[id^="m-"]')].map(rowOf);
    const gotchas = window.nexusGotchas.flatMap(([page, program, symptoms]) =>
      symptoms.map(([anchor, message]) => (
        { address: `${page}#${anchor}`, message, program, code: "", causes: [], links: [] }
      )));
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
    field.addEventListener("input", () => show(results, searcher, field.value));
    home.append(
      element("label", { htmlFor: field.id }, "Your message"),
      field,
      results
    );
    const given = new URLSearchParams(location.search).get("q");
    if (given) {
      field.value = given;
      show(results, searcher, given);
    }
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
