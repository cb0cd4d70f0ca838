// Finds the rows that explain a pasted message. Used by the page with the box and by the search;
// nothing leaves the page.
"use strict";

window.nexusFinder = (() => {
  const MOST = 5; // rows to show
  const WEIGHTS = { message: 1, code: 1.5, pair: 0.5, program: 0.3, quoted: 0.2 };
  const LEAST = 4; // of what a row must score to be shown
  const ROW = 1.2; // what a row is worth, beside a gotcha with the same words
  const GOOD = 0.5; // of a row's words, which a text has if it is that message
  const WHOLE = 3; // what a row is worth whose message the text has word by word
  const LITERAL = 3; // words that such a message has at least
  const ALONE = 0.3; // of a row's words, which a text has if only one of them stands in it
  const CLOSE = 0.4; // of the best row's score, which the others must reach

  // Words that stand in most messages, or in most lines of a log.
  const COMMON = new Set(
    ("a an and are as at be by can could did do does for from had has have if in into is it its" +
      " line file most recent call last may module more not of on or so that the there this to" +
      " traceback was when which will with you your info debug warning warn error errors log" +
      " help me my nothing please why works wrong" +
      " over about after before how what who than then they we" +
      " python lib site packages usr app src self return raise").split(" ")
  );

  /** What a text is compared by: names, paths, ids and long numbers are left out. */
  const words = (text) =>
    text
      .replace(/https?:\/\/\S+/g, " ")
      .replace(/\b[0-9a-f]{8}-[0-9a-f-]{20,}\b/gi, " ") // a UUID
      .replace(/\b\d{4}-\d\d-\d\d[T ]?[\d:.,]*(?:Z|[+-]\d\d:?\d\d)?/g, " ") // a moment
      .replace(/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b/g, " ") // an address
      .replace(/(?:[A-Za-z]:)?(?:[\w.~-]*\/){2,}[\w.~-]*/g, " ") // a path
      .replace(/\b(?=\w*\d)(?=\w*[a-f])[0-9a-f]{7,}\b/gi, " ") // a digest
      .replace(/(?<=error \d{4} )\([0-9a-z]{5}\)/gi, " ") // what MariaDB says beside its own code
      .replace(/([a-z])([A-Z])/g, "$1 $2 $1$2") // IntegrityError: the name, and its parts
      .toLowerCase()
      .match(
        // The last but one: a number of four digits, where a program gives its code, as MariaDB.
        /[a-z_]{2,}[a-z0-9_]*|\b[0-9][0-9a-z]{4}\b|\b\d{1,3}\b|(?<=\(|error |code:? )\d{4}\b|n\+1/g
      ) ?? [];

  const telling = (text) => words(text).filter((word) => !COMMON.has(word));

  const pairs = (list) => list.slice(1).map((word, n) => `${list[n]} ${word}`);

  // What many messages begin with: it says which program speaks, and not what it says.
  const SPEAKER =
    /^(?:(?:[\w.]*(?:Error|Exception|Warning)|nginx: \[emerg\]|docker|ERROR|FATAL|Error response from daemon|remote|fatal|error): *)+/;

  /** How much each term of a row counts for it. */
  const termsOf = (row) => {
    const terms = new Map();
    const add = (list, weight) =>
      list.forEach((term) => terms.set(term, Math.max(weight, terms.get(term) ?? 0)));
    const [speaker] = row.message.match(SPEAKER) ?? [""];
    const said = row.message.slice(speaker.length);
    const message = telling(said).length ? said : row.message;
    for (const part of message.split("…")) add(pairs(words(part)), WEIGHTS.pair);
    add(telling(row.quoted), WEIGHTS.quoted);
    add(telling(row.program), WEIGHTS.program);
    if (message === said) add(telling(speaker), WEIGHTS.program);
    add(telling(message), WEIGHTS.message);
    add(telling(`code ${row.code}`).slice(1), WEIGHTS.code);
    return terms;
  };

  /** A text to compare letter by letter. Quotes differ from version to version, and in JSON. */
  const even = (text) =>
    text.toLowerCase().replace(/\\?["'`‘’“”]/g, "'").replace(/\s+/g, " ");

  /**
   * A message without what many people leave out: the module of an exception, a status, and the
   * JSON around a text.
   */
  const bare = (message) =>
    even(message.replace(/^(?:[a-z_]\w*\.)+(?=[A-Z])/, ""))
      .replace(/^\d{3} (?=\{)/, "")
      .replace(/^\{'\w+': ?'(.*)'\}$/, "$1");

  /** The fixed parts of a row's message, or none if they are too short to say something. */
  const partsOf = (row) => {
    const parts = bare(row.message).split("…").map((part) => part.trim()).filter(Boolean);
    const whole = !row.message.includes("…"); // it has no names that may differ
    return words(parts.join(" ")).length >= (whole ? LITERAL - 1 : LITERAL) ? parts : [];
  };

  /** Whether a text has all these parts, in their order. */
  const hasAll = (text, parts) => {
    let at = 0;
    return parts.every((part) => {
      at = text.indexOf(part, at);
      const found = at >= 0;
      at += part.length;
      return found;
    });
  };

  /**
   * Prepare rows for `find`. A row has `address`, `message`, `program`, `code`, `quoted` (what its
   * tests quote) and `links` (pairs of a text and an address). One of data/messages has a `number`.
   */
  const index = (rows) => {
    const all = rows.map((row) => ({ row, terms: termsOf(row), parts: partsOf(row) }));
    const rows_with = new Map();
    for (const { terms } of all)
      for (const term of terms.keys()) rows_with.set(term, (rows_with.get(term) ?? 0) + 1);
    const rarity = (term) => Math.log(1 + all.length / (rows_with.get(term) ?? all.length));
    for (const entry of all) {
      entry.whole = 0;
      for (const [term, weight] of entry.terms)
        if (weight >= WEIGHTS.pair && weight <= WEIGHTS.message)
          entry.whole += weight * rarity(term); // without the code, which few texts have
    }
    return { all, rarity };
  };

  /** The rows that explain a text, the best first, each with the words that led to it. */
  const find = ({ all, rarity }, text) => {
    const single = new Set(telling(text));
    const asked = new Set([...single, ...pairs(words(text))]);
    const line = even(text);
    const found = [];
    for (const { row, terms, parts, whole } of all) {
      let score = 0;
      let own = 0;
      const because = [];
      for (const [term, weight] of terms) {
        if (!asked.has(term)) continue;
        const worth = weight * rarity(term);
        score += worth;
        if (weight >= WEIGHTS.pair) own += worth;
        if (!term.includes(" ") && weight >= WEIGHTS.message) because.push([worth, term]);
      }
      if (own === 0) continue;
      // A small number alone, such as a line's or a signal's, says nothing.
      if (because.length && because.every(([, term]) => /^\d{1,2}$/.test(term))) continue;
      const fit = Math.min(1, own / whole);
      // Nor does one word of a long message, among many others. A code does.
      const alone = because.length === 1 && terms.get(because[0][1]) <= WEIGHTS.message;
      if (alone && single.size > LITERAL && fit < ALONE) continue;
      score *= 0.5 + 0.5 * fit; // how much of the row's message is there
      if (parts.length && hasAll(line, parts)) score *= WHOLE;
      if (row.number !== undefined) score *= ROW; // it has all causes, a gotcha has one
      because.sort(([a], [b]) => b - a);
      const covered = because.length / single.size; // of the text's words
      const reason = because.slice(0, 4).map(([, term]) => term);
      found.push({ row, score, fit, covered, because: reason });
    }
    found.sort((a, b) => b.score - a.score);
    const least = Math.max(LEAST, (found[0]?.score ?? 0) * CLOSE);
    return found.filter(({ score }) => score >= least).slice(0, MOST);
  };

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  /** The address of a page of the book, from the page that is open. */
  const to = (address) => (document.documentElement.dataset.content_root ?? "./") + address;

  /** The rows of data/messages, in the form that `index` wants. */
  const rowsOf = ({ groups, programs, pages, links, rows }) => {
    const linkOf = ([text, page, anchor]) => [text, pages[page] + (anchor && `#${anchor}`)];
    const addresses = groups.flatMap(([page, count]) => Array(count).fill(page));
    return rows.map(([id, message, program, code, quoted, linked], number) => ({
      address: `${addresses[number]}#m-${id}`,
      message,
      program: programs[program],
      code,
      quoted,
      links: linked.map((link) => linkOf(links[link])),
      number,
    }));
  };

  /** A gotcha, in the form that `index` wants. */
  const gotcha = (address, message, program) =>
    ({ address, message, program, code: "", quoted: "", links: [] });

  /** Do something when the causes are there. They are fetched once a message is found. */
  let causes;
  const withCauses = (then) => {
    causes ??= new Promise((resolve) =>
      document.head.append(
        element("script", { src: to("_static/message-causes.js"), onload: resolve })
      )
    );
    causes.then(then);
  };

  /** The cause of a row that has the most words of a text, else the likeliest one. */
  const causeOf = ({ number }, text) => {
    const asked = new Set(telling(text));
    const shared = (cause) => telling(cause).filter((word) => asked.has(word)).length;
    return (window.nexusCauses?.[number] ?? [""]).reduce((best, next) =>
      shared(next) > shared(best) ? next : best
    );
  };

  /** One row that was found for a text, with the reason, for people. */
  const item = ({ row, because }, text) => {
    const why = because.length ? `Found by ${because.join(", ")}. ` : "";
    const cause = causeOf(row, text);
    const links = row.links.flatMap(([text, address], n) => [
      n ? ", " : "Read on in ",
      element("a", { href: to(address) }, text),
    ]);
    return element(
      "li",
      {},
      element("a", { href: to(row.address) }, element("code", {}, row.message)),
      element("p", {}, `${row.program}${cause && `. ${cause}`}`),
      element("p", { className: "why" }, why, ...links)
    );
  };

  return { GOOD, element, find, gotcha, index, item, rowsOf, telling, to, withCauses };
})();
