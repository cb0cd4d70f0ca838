// The page of interview cards: choose a part, hide what is known, and remember it in this browser.
(() => {
  const STORE = "nexus-cards";
  const place = document.getElementById("card-tools");
  const cards = [...document.querySelectorAll("details.interview-card")];
  if (!place || !cards.length) return;

  // A browser may refuse to store anything; the page then works until it is left.
  const read = () => {
    try {
      return new Set(JSON.parse(localStorage.getItem(STORE)) || []);
    } catch {
      return new Set();
    }
  };
  const known = read();
  const store = () => {
    try {
      localStorage.setItem(STORE, JSON.stringify([...known]));
    } catch {
      // nothing to do
    }
  };

  const make = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  const parts = [...document.querySelectorAll(".bd-article section section")].filter((section) =>
    section.querySelector(":scope > h2")
  );
  const choice = make("select", { id: "card-part" }, make("option", { value: "" }, "all parts"));
  const titles = new Map(
    parts
      .filter((section) => section.querySelector("details.interview-card"))
      .map((section) => [
        section.querySelector("details.interview-card").dataset.part,
        section.querySelector("h2").firstChild.textContent,
      ])
  );
  for (const [part, title] of titles) choice.append(make("option", { value: part }, title));
  const unknown = make("input", { type: "checkbox", id: "card-unknown" });
  const count = make("p", { className: "card-count" });
  count.setAttribute("role", "status");
  const another = make("button", { type: "button" }, "Ask me one");
  const forget = make("button", { type: "button" }, "Forget what I knew");
  place.append(
    make("label", { htmlFor: "card-part" }, "Show "),
    choice,
    make("label", {}, unknown, " only what I did not know"),
    another,
    forget,
    count
  );

  const chosen = (card) => !choice.value || card.dataset.part === choice.value;

  const show = () => {
    for (const card of cards) {
      const is = known.has(card.dataset.key);
      card.classList.toggle("known", is);
      card.querySelector(".knew").setAttribute("aria-pressed", String(is));
      card.hidden = !chosen(card) || (unknown.checked && is && !card.open);
    }
    // A heading without a card below it says nothing.
    for (const section of document.querySelectorAll(".bd-article section section")) {
      const inside = [...section.querySelectorAll("details.interview-card")];
      section.hidden = inside.length > 0 && inside.every((card) => card.hidden);
    }
    const asked = cards.filter(chosen);
    const right = asked.filter((card) => known.has(card.dataset.key)).length;
    count.textContent = `You knew ${right} of ${asked.length} cards.`;
  };

  for (const card of cards) {
    const knew = make("button", { type: "button", className: "knew" }, "I knew it");
    knew.addEventListener("click", () => {
      const { key } = card.dataset;
      known.has(key) ? known.delete(key) : known.add(key);
      store();
      show();
    });
    card.append(knew);
    card.addEventListener("toggle", () => card.open || show());
  }
  choice.addEventListener("change", show);
  unknown.addEventListener("change", show);
  forget.addEventListener("click", () => {
    known.clear();
    store();
    show();
  });
  another.addEventListener("click", () => {
    for (const card of cards) card.open = false;
    show();
    const rest = cards.filter((card) => chosen(card) && !known.has(card.dataset.key));
    const card = rest[Math.floor(Math.random() * rest.length)];
    if (!card) {
      count.textContent = "You knew all of them.";
      return;
    }
    card.scrollIntoView({ block: "center" });
    card.querySelector("summary").focus();
  });
  // A link to a card opens it, and what is linked is never hidden.
  const linked = () => {
    const card = cards.find((one) => `#${one.id}` === location.hash);
    if (card) card.open = true;
  };
  addEventListener("hashchange", linked);
  linked();
  show();
})();
