// Words and nodes. Every text from the dataset or a log is set as textContent, never as markup.

export const $ = (id) => document.getElementById(id);

export function element(kind, name, text) {
  const node = document.createElement(kind);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

export const count = (value) => value.toLocaleString("en-US");

export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** The end of a name, which tells more than its beginning. */
export const tail = (text, most) => (text.length > most ? `…${text.slice(1 - most)}` : text);

export const STATUS = { unreviewed: "not reviewed", accepted: "accepted", edited: "edited", rejected: "rejected" };
export const LETTER = { u: "not reviewed", a: "accepted", e: "edited", r: "rejected", "?": "unsure", o: "somebody else's" };
export const SIGN = { u: "·", a: "✓", e: "✎", r: "✗", "?": "?", o: "–" };

export const title = (word) => word.replaceAll("_", " ");

const DONE = {
  accept: "accepted", reject: "rejected", drop_frames: "frames dropped", restore_frames: "frames restored",
  split: "split", merge: "merged", link: "linked", unlink: "not the same", assign_person: "numbered", flag: "flagged",
  comment: "comment", undo: "undo",
};

export function tell(request) {
  const arguments_ = request.arguments;
  const extra = {
    reject: () => (arguments_.reason ? `: ${title(arguments_.reason)}` : ""),
    split: () => ` at ${arguments_.at}`,
    drop_frames: () => ` ${tellRanges(arguments_.frames)}`,
    restore_frames: () => ` ${tellRanges(arguments_.frames)}`,
    assign_person: () => ` ${arguments_.person}`,
    flag: () => ` ${arguments_.flag}`,
  }[request.operation];
  return `${DONE[request.operation] ?? request.operation}${extra ? extra() : ""}`;
}

export function tellRanges(ranges) {
  const words = ranges.map(([start, stop]) => (stop - start === 1 ? `${start}` : `${start}–${stop - 1}`));
  return words.length > 3 ? `${words.slice(0, 3).join(", ")} …` : words.join(", ");
}
