// What lies over the page for a moment: the keys, what is to be settled, and a line of text to be typed.

import { $, element, tell } from "./words.js";
import { ACTIONS, keyOf } from "./keys.js";

const dialog = () => $("dialog");

function open(title, ...nodes) {
  const head = element("h2", "", title);
  head.id = "dialog-title";
  dialog().replaceChildren(head, ...nodes);
  if (!dialog().open) dialog().showModal();
}

/** Closes what is open; keys go to the page again at once, not when the browser comes to it. */
export function close() {
  if (!dialog().open) return;
  dialog().close();
  dialog().replaceChildren();
  $("sheet").focus();
}
export const isOpen = () => dialog().open;

/** The keys, each of which can be chosen anew. */
export function showHelp(keys, changed) {
  const note = element("p", "note", "Click a key, or Tab to it and press Enter, then press the one you want. Kept in this browser.");
  note.setAttribute("role", "status");
  const grid = element("div", "keys");
  for (const { name, title } of ACTIONS) {
    const button = element("button", "", keys.of(name));
    button.setAttribute("aria-label", `${title}: ${keys.of(name)}, change`);
    button.addEventListener("click", () => listen(button, name));
    const line = element("div");
    line.append(button, element("span", "", title));
    grid.append(line);
  }
  for (const [key, title] of [["← →", "choose a frame, move the cut"], ["Shift ← →", "choose a range"], ["↑ ↓", "a row of frames, the next cut"],
    ["1–9", "the same person as a candidate"], ["Enter", "confirm"], ["Esc", "leave"]]) {
    const line = element("div");
    line.append(element("kbd", "", key), element("span", "", title));
    grid.append(line);
  }
  const reset = element("button", "", "All keys as they were");
  reset.addEventListener("click", () => { keys.reset(); changed(); showHelp(keys, changed); });
  const done = element("button", "", "Close");
  done.addEventListener("click", close);
  const row = element("p", "buttons");
  row.append(reset, done);
  open("Keys", note, grid, row);
  done.focus();

  function listen(button, name) {
    button.textContent = "…";
    button.addEventListener("keydown", (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (event.key === "Shift") { listen(button, name); return; }
      const key = keyOf(event), why = event.key === "Escape" ? "" : key ? keys.choose(name, key) : "keys with Ctrl, Alt and Meta belong to the browser";
      button.textContent = keys.of(name);
      note.textContent = why || "Kept in this browser.";
      changed();
    }, { once: true });
  }
}

/** Asks for a line of text; `done` gets it. */
export function askText(title, { number = false, most = 4000 } = {}, done) {
  const label = element("label", "", number ? "0 to 999,999 " : "Enter keeps it, Shift+Enter is a new line ");
  const input = element(number ? "input" : "textarea");
  if (number) Object.assign(input, { type: "number", min: 0, max: 999999 });
  else Object.assign(input, { maxLength: most, rows: 3 });
  label.append(input);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    const text = input.value.trim();
    if (number ? /^[0-9]{1,6}$/.test(text) : text) { close(); done(number ? Number(text) : text); }
  });
  open(title, label);
  input.focus();
}

/** What is left open: each with the decisions of which one wants to be undone. */
export function showClashes(clashes, look, undo) {
  const list = element("div", "clashes");
  for (const clash of clashes) {
    const box = list.appendChild(element("section"));
    box.append(element("h3", "", clash.text));
    box.append(element("p", "", clash.pieces.join("  ·  ")));
    for (const decision of clash.decisions) {
      const line = box.appendChild(element("p", "line"));
      const button = element("button", "", "Undo");
      button.setAttribute("aria-label", `Undo: ${decision.reviewer} ${tell(decision)}`);
      button.addEventListener("click", () => { close(); undo(decision); });
      line.append(button, element("span", "", `${decision.reviewer}: ${tell(decision)}`));
    }
    if (clash.n !== null) {
      const button = box.appendChild(element("button", "", "Look"));
      button.addEventListener("click", () => { close(); look(clash.n); });
    }
  }
  if (!clashes.length) list.append(element("p", "", "Nothing is left open."));
  const done = element("button", "", "Close");
  done.addEventListener("click", close);
  open(`To be settled: ${clashes.length}`, list, done);
  (list.querySelector("button") ?? done).focus();
}
