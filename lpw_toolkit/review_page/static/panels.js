// Dialogs over the page: the keys, the conflicts, and a line of text to be typed.

import { $, element } from "./dom.js";
import { keyOf } from "./keys.js";
import { describeDecision } from "./verdicts.js";

const dialog = () => $("dialog", HTMLDialogElement);

/** @type {(text: string, onClick: () => void) => HTMLButtonElement} */
export function makeButton(text, onClick) {
  const button = element("button", "", text);
  button.addEventListener("click", onClick);
  return button;
}

/** @type {(title: string, ...nodes: HTMLElement[]) => void} */
export function open(title, ...nodes) {
  const head = element("h2", "", title);
  head.id = "dialog-title";
  dialog().replaceChildren(head, ...nodes);
  if (!dialog().open) dialog().showModal();
}

/** Closes what is open. Keys go to the page again at once, not when the browser comes to it. */
export function close() {
  if (!dialog().open) return;
  dialog().close();
  dialog().replaceChildren();
  $("sheet").focus();
}

export const isOpen = () => dialog().open;

const FIXED_KEYS = [
  ["← →", "choose a frame, move the cut"],
  ["Shift ← →", "choose a range"],
  ["↑ ↓", "a row of frames, the next cut"],
  ["1–9", "compare with a candidate"],
  ["Enter", "confirm"],
  ["Esc", "back, without a decision"],
];

/**
 * The keys, each of which can be changed.
 *
 * @param {import("./keys.js").Keys} keys
 * @param {() => void} onChange
 */
export function showHelp(keys, onChange) {
  const note = element(
    "p",
    "note",
    "Click a key (or Tab to it and press Enter), then press the new key. ",
  );
  note.append("Changed keys are kept in this browser.");
  note.setAttribute("role", "status");
  const grid = element("div", "keys");
  const addLine = (/** @type {HTMLElement} */ key, /** @type {string} */ title) => {
    const line = grid.appendChild(element("div"));
    line.append(key, element("span", "", title));
  };
  for (const { name, title } of keys.actions) {
    const button = makeButton(keys.of(name), () => listen(button, name));
    button.setAttribute("aria-label", `${title}: ${keys.of(name)}, change`);
    addLine(button, title);
  }
  for (const [key, title] of FIXED_KEYS) addLine(element("kbd", "", key), title);
  const reset = makeButton("Reset all keys", () => {
    keys.reset();
    onChange();
    showHelp(keys, onChange);
  });
  const done = makeButton("Close", close);
  const row = element("p", "buttons");
  row.append(reset, done);
  open("Keys", note, grid, row);
  done.focus();

  /** @type {(button: HTMLButtonElement, name: string) => void} */
  function listen(button, name) {
    button.textContent = "…";
    const take = (/** @type {KeyboardEvent} */ event) => {
      event.preventDefault();
      event.stopPropagation();
      if (event.key === "Shift") return listen(button, name);
      const key = keyOf(event);
      const why = key
        ? keys.choose(name, key)
        : "keys with Ctrl, Alt or Meta are reserved for the browser";
      button.textContent = keys.of(name);
      note.textContent =
        event.key !== "Escape" && why ? why : "Changed keys are kept in this browser.";
      onChange();
    };
    button.addEventListener("keydown", take, { once: true });
  }
}

/**
 * Asks for the argument of an operation: a number or a text.
 *
 * @param {string} title
 * @param {{kind: string}} argument
 * @param {(value: any) => void} onDone
 */
export function ask(title, { kind }, onDone) {
  if (kind === "number" || kind === "position") askNumber(title, onDone);
  else askText(title, onDone);
}

/**
 * Asks for a text.
 *
 * @param {string} title
 * @param {(text: string) => void} onDone
 */
function askText(title, onDone) {
  const input = Object.assign(element("textarea"), { maxLength: 4000, rows: 3 });
  askValue(title, "Enter saves, Shift+Enter starts a new line", input, () => {
    const text = input.value.trim();
    if (text) {
      close();
      onDone(text);
    }
  });
}

const QUERY_HINT =
  "Words of a name, and cam: scene: reason: person: by: flag comment len<20 len>20 " +
  "sort:risk sort:time sort:length";

/**
 * Asks what is to be found.
 *
 * @param {string} query the one before
 * @param {(query: string) => void} onDone
 */
export function askQuery(query, onDone) {
  const input = Object.assign(element("input"), { maxLength: 300, value: query });
  askValue("Find tracklets", QUERY_HINT, input, () => {
    close();
    onDone(input.value.trim());
  });
  input.select();
}

/**
 * Asks for a number of at most six digits.
 *
 * @param {string} title
 * @param {(value: number) => void} onDone
 */
function askNumber(title, onDone) {
  const input = Object.assign(element("input"), { type: "number", min: "0", max: "999999" });
  askValue(title, "0 to 999,999", input, () => {
    if (/^[0-9]{1,6}$/.test(input.value.trim())) {
      const value = Number(input.value);
      close();
      onDone(value);
    }
  });
}

/**
 * @param {string} title
 * @param {string} hint
 * @param {HTMLInputElement | HTMLTextAreaElement} input
 * @param {() => void} onEnter
 */
function askValue(title, hint, input, onEnter) {
  const label = element("label", "", `${hint} `);
  label.append(input);
  const press = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    onEnter();
  };
  label.addEventListener("keydown", press);
  open(title, label);
  input.focus();
}

/**
 * The conflicts, each with its decisions: undoing one of them resolves it.
 *
 * @param {import("./api.js").Conflict[]} conflicts
 * @param {(n: number) => void} show
 * @param {(decision: import("./api.js").SavedDecision) => void} undo
 */
export function showConflicts(conflicts, show, undo) {
  const list = element("div", "conflicts");
  for (const { text, pieces, n, decisions } of conflicts) {
    const box = list.appendChild(element("section"));
    box.append(element("h3", "", text), element("p", "", pieces.join("  ·  ")));
    for (const decision of decisions) {
      const line = box.appendChild(element("p", "line"));
      const button = makeButton("Undo", () => {
        close();
        undo(decision);
      });
      button.setAttribute("aria-label", `Undo: ${decision.reviewer} ${describeDecision(decision)}`);
      line.append(
        button,
        element("span", "", `${decision.reviewer}: ${describeDecision(decision)}`),
      );
    }
    if (n === null) continue;
    const button = makeButton("Show", () => {
      close();
      show(n);
    });
    box.append(button);
  }
  if (!conflicts.length) list.append(element("p", "", "No conflicts."));
  const done = makeButton("Close", close);
  open(`Conflicts: ${conflicts.length}`, list, done);
  done.focus(); // Enter undoes nothing by itself
}
