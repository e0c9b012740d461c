// How verdicts and decisions are written on the page.

/** @typedef {import("./api.js").DecisionRequest} DecisionRequest */
/** @typedef {import("./api.js").Range} Range */

/** @type {Record<string, string>} */
export const STATUS_LABELS = {
  unreviewed: "not reviewed",
  accepted: "accepted",
  edited: "edited",
  rejected: "rejected",
};

/** @type {Record<string, string>} */
export const CODE_LABELS = {
  u: "not reviewed",
  a: "accepted",
  e: "edited",
  r: "rejected",
  "?": "unsure",
  o: "assigned to another reviewer",
};

/** @type {Record<string, string>} */
export const CODE_SIGNS = { u: "·", a: "✓", e: "✎", r: "✗", "?": "?", o: "–" };

/** @type {Record<string, string>} */
const OPERATION_LABELS = {
  accept: "accepted",
  reject: "rejected",
  drop_frames: "frames dropped",
  restore_frames: "frames restored",
  split: "split",
  merge: "merged",
  link: "linked",
  unlink: "different persons",
  assign_person: "person number",
  flag: "flagged",
  comment: "comment",
  undo: "undo",
};

/** @type {Record<string, (values: DecisionRequest["arguments"]) => string>} */
const ARGUMENT_LABELS = {
  reject: ({ reason }) => (reason ? `: ${titleOf(reason)}` : ""),
  split: ({ at }) => ` at ${at}`,
  drop_frames: ({ frames }) => ` ${formatRanges(frames)}`,
  restore_frames: ({ frames }) => ` ${formatRanges(frames)}`,
  assign_person: ({ person }) => ` ${person}`,
  flag: ({ flag }) => ` ${flag}`,
};

/** @param {string} name */
export const titleOf = (name) => name.replaceAll("_", " ");

/** @param {Pick<DecisionRequest, "operation" | "arguments">} decision */
export function describeDecision({ operation, arguments: values }) {
  return (OPERATION_LABELS[operation] ?? operation) + (ARGUMENT_LABELS[operation]?.(values) ?? "");
}

/** @param {Range[]} ranges half-open; written with their last frame */
export function formatRanges(ranges) {
  const words = ranges.map(([start, stop]) =>
    stop - start === 1 ? `${start}` : `${start}–${stop - 1}`,
  );
  return words.length > 3 ? `${words.slice(0, 3).join(", ")} …` : words.join(", ");
}
