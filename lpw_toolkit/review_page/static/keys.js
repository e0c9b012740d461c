// Which key does what. People may choose others; their choice is kept in this browser.

export const ACTIONS = [
  ["accept", "Space", "accept, next"],
  ["reject", "x", "reject, then why"],
  ["drop", "d", "drop or restore the chosen frames"],
  ["drop_suggested", "D", "drop the suggested frames"],
  ["split", "s", "split"],
  ["merge", "m", "merge with 1–9"],
  ["none", "0", "none of these persons"],
  ["unsure", "/", "unsure, next"],
  ["apart", "-", "not the same as 1–9"],
  ["person", "P", "give the person a number"],
  ["flag", "f", "flag to look at again"],
  ["comment", "c", "comment"],
  ["undo", "u", "undo"],
  ["undo_one", "U", "undo one of the last 1–5"],
  ["next", "j", "next"],
  ["previous", "k", "previous"],
  ["next_piece", "]", "next piece of a split tracklet"],
  ["previous_piece", "[", "previous piece"],
  ["all_frames", "a", "all frames, or a sample"],
  ["play", "p", "play, stop"],
  ["twelve", "t", "twelve of low risk at once"],
  ["view", "l", "to review, to link, unsure, all, judged differently"],
  ["settle", "g", "what is to be settled"],
  ["help", "?", "keys"],
].map(([name, key, title]) => ({ name, key, title }));

const PLACE = "lpw.keys";
/** Keys that have a fixed meaning in some mode. */
const FIXED = new Set(["1", "2", "3", "4", "5", "6", "7", "8", "9", "Enter", "Escape", "Tab", "ArrowLeft", "ArrowRight",
  "ArrowUp", "ArrowDown", "Home", "End", "Shift"]);

export class Keys {
  constructor() {
    this.chosen = {};
    try {
      const kept = JSON.parse(localStorage.getItem(PLACE) ?? "{}");
      for (const { name } of ACTIONS) if (typeof kept[name] === "string") this.chosen[name] = kept[name];
    } catch { /* what is no JSON is no choice */ }
    this.read();
  }

  read() {
    this.byKey = new Map(ACTIONS.map(({ name, key }) => [this.chosen[name] ?? key, name]));
  }

  of(name) {
    return this.chosen[name] ?? ACTIONS.find((action) => action.name === name).key;
  }

  action(key) {
    return this.byKey.get(key);
  }

  /** Gives an action another key; returns why not, or "". */
  choose(name, key) {
    if (FIXED.has(key)) return `${key} has a fixed meaning`;
    const taken = this.action(key);
    if (taken && taken !== name) return `${key} is the key of “${ACTIONS.find((a) => a.name === taken).title}”`;
    this.chosen[name] = key;
    this.keep();
    return "";
  }

  reset() {
    this.chosen = {};
    this.keep();
  }

  keep() {
    this.read();
    try {
      localStorage.setItem(PLACE, JSON.stringify(this.chosen));
    } catch { /* they hold until the page is closed */ }
  }
}

/** The name of a pressed key, or "" for what is none of ours. Letters go by Shift alone, whatever Caps Lock says. */
export function keyOf(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return "";
  if (event.key === " ") return "Space";
  if (event.key.length === 1 && event.key.toLowerCase() !== event.key.toUpperCase()) {
    return event.shiftKey ? event.key.toUpperCase() : event.key.toLowerCase();
  }
  return event.key;
}
