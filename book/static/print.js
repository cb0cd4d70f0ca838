// On paper nothing unfolds. What is folded on the screen is printed at the end of its chapter, first
// the code, then the solutions, and goes back to its place afterwards.
(() => {
  const SHORT = 15; // lines of a block that is kept on one page
  let undo = [];

  const make = (tag, className, ...children) => {
    const made = document.createElement(tag);
    made.className = className;
    made.append(...children);
    return made;
  };

  // In the book on one page, each chapter is a section behind a mark with its name.
  const chapterOf = (fold) => {
    const mark = (section) => section.previousElementSibling?.id.startsWith("document-");
    let section = fold.closest("section");
    while (section && !mark(section)) section = section.parentElement.closest("section");
    return section ?? document.querySelector(".bd-article > section");
  };

  const appendix = (chapter, kind, title) => {
    let made = chapter.querySelector(`:scope > .printed-${kind}`);
    if (!made) {
      made = make("section", `printed-${kind}`, make("h2", "", title));
      chapter.append(made);
      undo.push(() => made.remove());
    }
    return made;
  };

  const move = (fold, number) => {
    const said = fold.querySelector("summary p").textContent.trim().replace(/^Show (the )?/, "");
    const solution = said.startsWith("solution");
    const chapter = chapterOf(fold);
    if (!chapter) return;
    const end = appendix(chapter, ...(solution ? ["solutions", "Solutions"] : ["code", "Folded code"]));
    const counted = end.querySelectorAll(".printed-title").length + 1;
    const name = solution ? said[0].toUpperCase() + said.slice(1) : `Folded code ${counted}`;
    const about = solution ? "" : said.replace(/^code: /, ": ").replace(/^(file .*)$/, ": the $1");
    const link = make("a", "", `${name}, at the end${about === "code" ? "" : about}`);
    const title = make("p", "printed-title", name + (about === "code" ? "" : about));
    title.id = `printed-${number}`;
    link.href = `#${title.id}`;
    const note = make("p", "printed-note", link);
    const content = make("div", "printed");
    const parts = [...fold.children].filter((child) => child.tagName !== "SUMMARY");
    content.append(...parts);
    end.append(title, content);
    fold.after(note);
    fold.hidden = true;
    undo.push(() => {
      fold.append(...parts);
      note.remove();
      fold.hidden = false;
    });
  };

  const gather = () => {
    if (undo.length) return;
    const folds = [...document.querySelectorAll(".bd-article details")];
    const isCode = (fold) => fold.classList.contains("hide") && fold.querySelector("summary p");
    // Code first: the solutions then come last.
    const code = folds.filter(isCode);
    const isSolution = (fold) => /Show the solution/.test(fold.querySelector("summary p").textContent);
    [...code.filter((f) => !isSolution(f)), ...code.filter(isSolution)].forEach(move);
    for (const fold of folds.filter((one) => !isCode(one) && !one.open)) {
      fold.open = true;
      undo.push(() => (fold.open = false));
    }
    for (const block of document.querySelectorAll(".bd-article pre")) {
      if (block.textContent.split("\n").length <= SHORT) continue;
      block.classList.add("long");
      undo.push(() => {
        block.classList.remove("long");
        if (!block.className) block.removeAttribute("class");
      });
    }
  };

  const back = () => {
    for (const step of undo.reverse()) step();
    undo = [];
  };

  addEventListener("beforeprint", gather);
  addEventListener("afterprint", back);
})();
