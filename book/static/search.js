// The book's own search: sections by their titles and words, and the rows that explain a pasted
// message. It needs no server, so it also works in a book that was opened as a file.
"use strict";

(() => {
  const { GOOD, element, find, gotcha, index, item, rowsOf, telling, to, withCauses } =
    window.nexusFinder;
  const data = window.nexusSearch;
  const stemmer = new Stemmer(); // Sphinx's own, which the words of the data went through, too

  const MOST = 20; // pages to show
  const BESIDE = 5; // pages to show beside a message
  const CLOSE = 0.05; // of the best page's score, which the others must reach
  const ALSO = 3; // more sections of a page
  const TITLE = 3; // what a word in a section's title is worth, beside one in its text
  const SUBJECT = 2; // more, if the title has the word before its colon, and no other there
  const PAGE_TITLE = 2; // and one in the title of its page
  const NAMED = 1.2; // how much more a page counts whose title has all the words
  const PREFIX = 0.5; // a word that only begins like the one that was asked for
  const EXPANDED = 30; // words that begin alike and are looked up
  const OTHERS = 0.3; // how much the other sections of a page add to its best one
  const PATIENCE = 200; // milliseconds without a key, after which pages are fetched for excerpts
  const EXCERPTS = 6; // the first pages, which are fetched for an excerpt
  const EXCERPT = 220; // characters
  // How much a page's kind counts. What is about this book comes last in any case.
  const KINDS = {
    chapter: 1.7,
    practice: 1.1,
    gotchas: 1.1,
    page: 1,
    list: 0.6,
    field: 0.8,
    about: 0.5,
  };

  const wordsOf = (text) =>
    text.toLowerCase().match(/n\+1|\b\d[0-9a-z]{2,4}\b|[a-z_][a-z0-9_]+/g) ?? [];
  const stems = (text) => wordsOf(text).map((word) => stemmer.stemWord(word));

  /** What the data says, in the form that is looked into; made at the first question. */
  const open = () => {
    const sections = [];
    for (const [address, title, kind, parts] of data.pages) {
      const page = { address, title, kind, stems: new Set(stems(title)) };
      for (const [anchor, heading] of parts)
        sections.push({ page, anchor, heading: heading || title, size: 0, subject: "" });
    }
    const postings = new Map();
    const vocabulary = data.words.split(" ");
    data.where.split(",").forEach((list, n) => {
      let at = -1;
      postings.set(
        vocabulary[n],
        list.split(" ").map((step) => (at += step ? parseInt(step, 36) : 1))
      );
    });
    for (const list of postings.values()) for (const n of list) sections[n].size += 1;
    const titles = new Map();
    sections.forEach((section, n) => {
      const [subject, ...promise] = section.heading.split(": ");
      if (promise.length) section.subject = stems(subject).join(" ");
      new Set(stems(section.heading)).forEach((stem) => {
        if (!titles.has(stem)) titles.set(stem, new Set());
        titles.get(stem).add(n);
      });
    });
    const usual = sections.reduce((sum, { size }) => sum + size, 0) / sections.length;
    const all = [...new Set([...vocabulary, ...titles.keys()])];
    return { sections, postings, titles, usual, all };
  };

  /** How much each section is worth for one word. */
  const worthOf = ({ sections, postings, titles, usual }, stem) => {
    const worth = new Map();
    const add = (n, more) => worth.set(n, (worth.get(n) ?? 0) + more);
    for (const n of postings.get(stem) ?? [])
      add(n, 1 / (0.6 + 0.4 * (sections[n].size / usual)));
    for (const n of titles.get(stem) ?? [])
      add(n, TITLE + (sections[n].subject === stem ? SUBJECT : 0));
    for (const n of worth.keys()) if (sections[n].page.stems.has(stem)) add(n, PAGE_TITLE);
    const rarity = Math.log(1 + sections.length / (worth.size || 1));
    for (const n of worth.keys()) worth.set(n, worth.get(n) * rarity);
    return worth;
  };

  /** The pages that answer a question, the best first, each with its sections. */
  const pagesFor = (book, text) => {
    const asked = [...new Map(wordsOf(text).map((word) => [stemmer.stemWord(word), word]))];
    const scores = new Map();
    asked.forEach(([stem, word], place) => {
      const worth = worthOf(book, stem);
      const last = place === asked.length - 1 && !/\s$/.test(text); // it may still be typed
      const found = worth.size > 0;
      if (word.length > 2 && (last || !found)) {
        const alike = (other) =>
          other !== stem &&
          (other.startsWith(word) || (!found && other.length > 4 && word.startsWith(other)));
        for (const other of book.all.filter(alike).slice(0, EXPANDED))
          for (const [n, more] of worthOf(book, other))
            worth.set(n, Math.max(worth.get(n) ?? 0, more * PREFIX));
      }
      for (const [n, more] of worth) {
        const [score, words] = scores.get(n) ?? [0, 0];
        scores.set(n, [score + more, words + 1]);
      }
    });
    const pages = new Map();
    for (const [n, [sum, words]] of scores) {
      const section = book.sections[n];
      const { page } = section;
      const score = sum * (words / asked.length) ** 2 * KINDS[page.kind];
      if (!pages.has(page)) pages.set(page, { page, hits: [] });
      pages.get(page).hits.push({ section, score });
    }
    const found = [...pages.values()];
    for (const hit of found) {
      hit.hits.sort((a, b) => b.score - a.score);
      const [best, ...others] = hit.hits;
      const more = others.reduce((sum, { score }) => sum + score, 0);
      hit.score = best.score * (1 + OTHERS * Math.log1p(more / best.score));
      hit.named = asked.length > 0 && asked.every(([stem]) => hit.page.stems.has(stem));
      if (hit.named) hit.score *= NAMED;
      hit.last = hit.page.kind === "about" && !hit.named;
    }
    found.sort((a, b) => a.last - b.last || b.score - a.score);
    return found.filter(({ score }) => score >= found[0].score * CLOSE);
  };

  /** The rows and the gotchas, in the form that the finder wants. */
  const rows = () => [
    ...(window.nexusMessages ? rowsOf(window.nexusMessages) : []),
    ...data.pages
      .filter(([, , kind]) => kind === "gotchas")
      .flatMap(([address, title, , parts]) =>
        parts
          .filter(([anchor]) => anchor)
          .map(([anchor, heading]) =>
            gotcha(`${address}#${anchor}`, heading, title.replace("Gotchas: ", ""))
          )
      ),
  ];

  let book;
  let searcher;
  const searched = (text) => {
    book ??= open();
    searcher ??= index(rows());
    const messages = text.trim() ? find(searcher, text) : [];
    // One word is a subject, a number is a code. Two words or more are a message, if they are most
    // of one, or if one has all of them.
    const [word, ...more] = telling(text);
    const [first] = messages;
    const pasted =
      Boolean(first) &&
      (more.length ? first.fit >= GOOD || first.covered === 1 : /^\d/.test(word));
    const pages = pagesFor(book, text).slice(0, pasted ? BESIDE : MOST);
    return { messages, pages, pasted };
  };
  window.searchBook = searched;

  /** A part of some texts where a word is that was asked for; else how the first one begins. */
  const excerpt = (texts, asked) => {
    const isAsked = ([word]) => stems(word).some((stem) => asked.includes(stem));
    for (const content of texts) {
      const hit = [...content.matchAll(/[\w+]+/g)].find(isAsked);
      if (!hit) continue;
      const from = Math.max(0, content.lastIndexOf(" ", Math.max(0, hit.index - EXCERPT / 3)));
      const part = content.slice(from, from + EXCERPT).replace(/\S*$/, "");
      return `${from ? "… " : ""}${part.trim()} …`;
    }
    return texts[0].slice(0, EXCERPT);
  };

  const read = new Map(); // pages that were fetched
  const textOf = async ({ page, anchor }) => {
    if (!read.has(page.address))
      read.set(
        page.address,
        fetch(to(page.address))
          .then((answer) => answer.text())
          .then((text) => new DOMParser().parseFromString(text, "text/html"))
      );
    const whole = await read.get(page.address);
    const section = (anchor ? whole.getElementById(anchor) : whole.querySelector("article section"))
      ?.closest("section")
      ?.cloneNode(true);
    section?.querySelectorAll("section, h1, h2, h3, h4, summary").forEach((part) => part.remove());
    const code = [...(section?.querySelectorAll("pre") ?? [])];
    code.forEach((part) => part.remove());
    return [section, ...code].map((part) => part?.textContent.replace(/\s+/g, " ").trim() ?? "");
  };

  const linkTo = ({ page, anchor, heading }) =>
    element("a", { href: to(page.address + (anchor ? `#${anchor}` : "")) }, heading);

  const pageItem = ({ page, hits }) => {
    const [best, ...others] = hits.map(({ section }) => section);
    const made = element("li", {}, linkTo(best));
    if (best.anchor) made.append(element("span", { className: "page" }, ` in ${page.title}`));
    made.append(element("p", { className: "context" }));
    made.section = best;
    const also = others.filter(({ anchor }) => anchor).slice(0, ALSO);
    if (also.length) {
      const links = also.flatMap((section, n) => [n ? " · " : "Also ", linkTo(section)]);
      made.append(element("p", { className: "also" }, ...links));
    }
    return made;
  };

  let asking;
  const show = (place, text, excerpts) => {
    clearTimeout(asking);
    if (!text.trim()) return place.replaceChildren();
    const { messages, pages, pasted } = searched(text);
    const list = element("ol", { className: "pages" }, ...pages.map(pageItem));
    const block = [];
    if (messages.length) {
      const told = element("ol", { className: "messages" });
      const fill = () => told.replaceChildren(...messages.map((one) => item(one, text)));
      fill();
      withCauses(fill);
      block.push(element("h2", {}, pasted ? "It says" : "Messages with these words"), told);
    }
    const found = pages.length;
    const most = found === (pasted ? BESIDE : MOST) ? "The best " : "";
    const said = found
      ? `${most}${found} page${found > 1 ? "s" : ""}`
      : "No page has these words.";
    const status = messages.length
      ? `${messages.length} message${messages.length > 1 ? "s" : ""}, ${said.toLowerCase()}`
      : said;
    const sections = found ? [element("h2", {}, "Pages"), list] : [];
    place.replaceChildren(
      element("p", { role: "status", className: "search-summary" }, status),
      ...(pasted ? [...block, ...sections] : [...sections, ...block])
    );
    if (excerpts && location.protocol.startsWith("http"))
      asking = setTimeout(async () => {
        const asked = stems(text);
        for (const made of [...list.children].slice(0, EXCERPTS)) {
          const content = await textOf(made.section).catch(() => [""]);
          made.querySelector(".context").textContent = excerpt(content, asked);
        }
        list.classList.add("finished");
      }, PATIENCE);
  };

  /** Show what is found below a form, while somebody types. */
  const attend = (form, place, excerpts) => {
    const field = form.querySelector("input[name=q]");
    field.addEventListener("input", () => show(place, field.value, excerpts));
    // For a lost address titles are enough: six pages would be fetched that nobody asked for.
    if (field.value) show(place, field.value, excerpts && !wanted());
    return field;
  };

  /** On the page for an address that is not there: the words of that address. */
  const wanted = () =>
    document.querySelector("base")
      ? (location.pathname.match(/([^/]+?)(?:\.html)?$/)?.[1] ?? "").replace(/[-_]+/g, " ")
      : "";

  const start = () => {
    const dialog = document.querySelector("#pst-search-dialog form");
    if (dialog) {
      const place = element("div", { className: "search-results" });
      dialog.after(place);
      attend(dialog, place, false);
    }
    const home = document.getElementById("search-results");
    if (!home) return;
    home.className = "search-results";
    const form = document.querySelector(".bd-search-container form");
    const field = form.querySelector("input[name=q]");
    field.value ||= new URLSearchParams(location.search).get("q") ?? wanted();
    attend(form, home, true);
    form.addEventListener("submit", (event) => event.preventDefault()); // it is shown already
    field.addEventListener("change", () => {
      if (location.protocol.startsWith("http"))
        history.replaceState(null, "", `?q=${encodeURIComponent(field.value)}`);
    });
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
