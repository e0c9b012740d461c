// The keys that mean something now, at the foot of the page.

import { $, element } from "./dom.js";
import { state } from "./state.js";
import { titleOf } from "./verdicts.js";

/** @typedef {[key: string, label: string, title?: string]} Hint */

/** @type {Record<string, string>} */
const KEY_SIGNS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑ ↓", Escape: "Esc" };

const COMPARE = "see this candidate beside the tracklet, then say whether it is the same person";

/** What Enter does with two that are compared. @type {Record<string, Hint>} */
const JOIN_HINTS = {
  merge: ["Enter", "one tracklet", "the track goes on: the two become one tracklet"],
  across: ["Enter", "same person", "the same person; the two stay two tracklets"],
  pinned: ["Enter", "same person", "the same person; the two stay two tracklets"],
  member: ["Enter", "show it"],
};

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
  merge: () => [["1", "… 9 compare with"], LEAVE],
  apart: () => [["1", "… 9 is another person"], LEAVE],
  undo: () => [["1", "… 5 undo"], LEAVE],
  compare: compareHints,
  persons: () => [
    ["Space", "choose"],
    ["Enter", "one person", "the chosen tiles show one person"],
    [state.keys.of("unlink"), "another person", "than the rest of their row"],
    [state.keys.of("merge"), "move here", "the chosen tiles are of the person in this row"],
    [state.keys.of("next"), "next page"],
    [state.keys.of("previous"), "previous page"],
    [state.keys.of("view"), "only those whom one camera sees, or all"],
    [state.keys.of("undo"), "undo"],
    LEAVE,
  ],
  timeline: () => [
    ["+", "closer"],
    [state.keys.of("unlink"), "wider"],
    ["0", "all"],
    ["Enter", "compare the two"],
    [state.keys.of("split"), "swap tails", "each goes on as the other from the marked time on"],
    [state.keys.of("undo"), "undo"],
    LEAVE,
  ],
  video: () => [
    ["ArrowLeft", "earlier"],
    ["ArrowRight", "later"],
    [state.keys.of("play"), "play"],
    LEAVE,
  ],
  batch: () => [
    [state.keys.of("accept"), "accept all but those left out"],
    [state.keys.of("reject"), "reject those left out: no person"],
    [state.keys.of("undo"), "undo"],
    LEAVE,
  ],
};

/** @type {(name: string) => Hint} */
function hintOf(name) {
  const { title } = state.keys.find(name);
  return [state.keys.of(name), title.replace(/, .*| or .*/, ""), title];
}

/** @returns {Hint[]} */
function compareHints() {
  const { kind = "across", found = null } = state.compared ?? {};
  const hints = [JOIN_HINTS[kind]];
  if (kind !== "merge" && found?.can_merge) hints.push([state.keys.of("merge"), "one tracklet"]);
  hints.push([state.keys.of("unlink"), "not the same"]);
  if (kind !== "pinned") hints.push(["ArrowRight", "next candidate"]);
  return [...hints, LEAVE];
}

/** @returns {Hint[]} */
function browseHints() {
  const detail = state.entry?.detail;
  if (!detail) return ["view", "find", "history", "conflicts", "help"].map(hintOf);
  const names = ["accept", "reject"];
  if (state.selection.range) names.push("drop_frames");
  if (detail.drops.length) names.push("drop_suggested");
  const hints = [...names, "split", "merge"].map(hintOf);
  if (detail.across.length) hints.push(["1", "… 9 compare", COMPARE], hintOf("none"));
  if (state.view === "link" || !detail.across.length) hints.push(hintOf("assign_person"));
  hints.push(
    ...["unsure", "undo", "all_frames", "play", "video", "batch_accept", "comment", "flag"].map(
      hintOf,
    ),
  );
  const nConflicts = state.store.nConflicts;
  hints.push(
    ...["next", "previous", "view", "find", "history", "pin", "persons", "timeline"].map(hintOf),
  );
  if (detail.pieces.length > 1) hints.push(...["next_piece", "previous_piece"].map(hintOf));
  hints.push([state.keys.of("conflicts"), `${nConflicts} conflicts`], hintOf("help"));
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
