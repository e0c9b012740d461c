// How verdicts and decisions are written on the page.

import { state } from "./state.js";

/** @typedef {import("./api.js").DecisionRequest} DecisionRequest */
/** @typedef {import("./api.js").Range} Range */

/** @type {Record<string, string>} */
export const STATUS_LABELS = {
  unreviewed: "not reviewed",
  accepted: "accepted",
  edited: "accepted, edited",
  unaccepted: "edited, not accepted",
  rejected: "rejected",
};

/** @type {Record<string, string>} */
export const CODE_LABELS = {
  u: "not reviewed",
  p: "edited, not accepted",
  a: "accepted",
  e: "accepted, edited",
  r: "rejected",
  "?": "unsure",
  o: "assigned to another reviewer",
};

/** @type {Record<string, string>} */
export const CODE_SIGNS = {
  u: "·",
  p: "✎",
  a: "✓",
  e: "✓",
  r: "✗",
  "?": "?",
  o: "–",
};

/**
 * How the argument of a decision is written, by its kind.
 *
 * @type {Record<string, (value: any) => string>}
 */
const ARGUMENT_LABELS = {
  choice: (name) => (name ? `: ${titleOf(name)}` : ""),
  position: (at) => ` at ${at}`,
  frames: (ranges) => ` ${formatRanges(ranges)}`,
  number: (number) => ` ${number}`,
  word: (word) => ` ${word}`,
};

/** @param {string} name */
export const titleOf = (name) => name.replaceAll("_", " ");

/** @param {Pick<DecisionRequest, "operation" | "arguments">} decision */
export function describeDecision({ operation: name, arguments: values }) {
  const operation = state.operations[name];
  if (!operation) return name;
  const labels = operation.arguments.map((each) => ARGUMENT_LABELS[each.kind]?.(values[each.name]));
  return operation.title + labels.join("");
}

/** @param {Range[]} ranges half-open; written with their last frame */
export function formatRanges(ranges) {
  const labels = ranges.map(([start, stop]) =>
    stop - start === 1 ? `${start}` : `${start}–${stop - 1}`,
  );
  return labels.length > 3 ? `${labels.slice(0, 3).join(", ")} …` : labels.join(", ");
}
