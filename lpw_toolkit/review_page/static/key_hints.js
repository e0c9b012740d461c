// The keys that mean something now, at the foot of the page.

import { $, element } from "./dom.js";
import { state } from "./state.js";
import { titleOf } from "./verdicts.js";

/** @typedef {[key: string, label: string, title?: string]} Hint */

/** @type {Record<string, string>} */
const KEY_SIGNS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑ ↓", Escape: "Esc" };

const LINK = "the same person as this candidate; the two stay two tracklets";

/** @type {Hint} */
const LEAVE = ["Escape", "back", "back to the tracklet, without a decision"];

/**
 * The hints of every mode but browsing.
 *
 * @type {Partial<Record<import("./state.js").Mode, () => Hint[]>>}
 */
const MODE_HINTS = {
  reject: () => [
    ...state.store.reasons.map(
      (reason, i) => /** @type {Hint} */ ([String((i + 1) % 10), titleOf(reason)]),
    ),
    ["Space", "no reason"],
    LEAVE,
  ],
  cut: () => [
    ["ArrowLeft", "earlier"],
    ["ArrowRight", "later"],
    ["ArrowUp", "other cut"],
    ["Enter", `split before ${state.selection.cut}`],
    LEAVE,
  ],
  merge: () => [["1", "… 9 merge with"], LEAVE],
  apart: () => [["1", "… 9 is another person"], LEAVE],
  undo: () => [["1", "… 5 undo"], LEAVE],
  batch: () => [
    [state.keys.of("accept"), "accept all but those left out"],
    [state.keys.of("reject"), "reject those left out: no person"],
    [state.keys.of("undo"), "undo"],
    LEAVE,
  ],
};

/** @type {(name: string) => Hint} */
const hintOf = (name) => [state.keys.of(name), state.keys.find(name).title.replace(/,? or .*/, "")];

/** @returns {Hint[]} */
function browseHints() {
  const detail = state.entry?.detail;
  if (!detail) return ["view", "conflicts", "help"].map(hintOf);
  const names = ["accept", "reject"];
  if (state.selection.range) names.push("drop_frames");
  if (detail.drops.length) names.push("drop_suggested");
  const hints = [...names, "split", "merge"].map(hintOf);
  if (detail.across.length) hints.push(["1", "… 9 link", LINK], hintOf("none"));
  if (state.view === "link" || !detail.across.length) hints.push(hintOf("assign_person"));
  hints.push(
    ...["unsure", "undo", "all_frames", "play", "batch_accept", "comment", "flag"].map(hintOf),
  );
  hints.push([state.keys.of("conflicts"), `${detail.n_conflicts} conflicts`], hintOf("help"));
  return hints;
}

export function showKeyHints() {
  const hints = MODE_HINTS[state.mode]?.() ?? browseHints();
  const text = JSON.stringify(hints);
  if (text === state.keyHints) return;
  state.keyHints = text;
  const buttons = hints.map(([key, label, title = ""]) => {
    const button = element("button");
    button.title = title;
    button.dataset.key = key;
    button.tabIndex = -1;
    button.append(element("kbd", "", KEY_SIGNS[key] ?? key), ` ${label}`);
    return button;
  });
  $("key-hints").replaceChildren(...buttons);
}
