// The state of the page: one object, which every module reads and changes.

/** @typedef {import("./api.js").DecisionRequest} DecisionRequest */
/** @typedef {import("./api.js").Detail} Detail */
/** @typedef {import("./api.js").Range} Range */

/**
 * What is chosen in the tracklet that is shown.
 *
 * @typedef {object} Selection
 * @property {number} piece index of the current piece
 * @property {number} cursor frame; -1 is none
 * @property {number} anchor frame where the chosen range began; -1 is none
 * @property {Range | null} range chosen frames
 * @property {number | null} cut first frame after the cut that is being placed
 * @property {boolean} allFrames whether all frames are shown, not a sample
 */

/**
 * A decision of this reviewer, as the list of the last decisions shows it.
 *
 * @typedef {object} DecisionRecord
 * @property {DecisionRequest} request
 * @property {number | null} n the first tracklet that it names
 * @property {"sending" | "saved" | "refused"} state
 * @property {boolean} undone
 * @property {string | null} [undoneBy] uuid of the undo
 * @property {Map<number, {code: string, pieces?: import("./api.js").Piece[]}>} [before] the
 *   tracklets before this decision
 */

/**
 * @typedef {"browse" | "reject" | "cut" | "merge" | "apart" | "undo" | "batch" | "compare" |
 *   "video" | "persons" | "timeline"} Mode
 */
/** @typedef {"review" | "link" | "unsure" | "flagged" | "all" | "differ" | "found"} View */

/**
 * `main.js` makes the parts of the page (the first block) before anything reads them.
 *
 * @typedef {object} State
 * @property {import("./store.js").Store} store
 * @property {import("./outbox.js").Outbox} outbox
 * @property {import("./queue.js").QueueList} queue
 * @property {import("./sheet.js").Sheet} sheet
 * @property {import("./chart.js").Chart} chart
 * @property {import("./candidates.js").Candidates} candidates
 * @property {import("./batch_accept.js").BatchAccept} batch
 * @property {import("./keys.js").Keys} keys
 * @property {BroadcastChannel} channel to other tabs of this review
 * @property {string} reviewer
 * @property {import("./api.js").Operations} operations
 *
 * @property {View} view
 * @property {number[]} order tracklets of the view
 * @property {number} at index in `order` of the one that is shown
 * @property {import("./store.js").Entry | null} entry the one that is shown
 * @property {Mode} mode what the keys mean now
 * @property {Selection} selection
 * @property {number} playing timer; 0 while nothing plays
 *
 * @property {DecisionRecord[]} records the newest first
 * @property {Set<number>} unsettled tracklets whose state an answer had, when later decisions
 *   about them were waiting
 * @property {import("./compare.js").Compared | null} compared two pieces beside each other
 * @property {import("./compare.js").Pinned | null} pinned a piece that was put aside
 * @property {string} query of the view "found"
 * @property {number[]} found tracklets that it found
 * @property {number[]} pace_ms time of the last tracklets
 * @property {number} shownAt_ms when the current tracklet came into sight
 * @property {number} hiddenAt_ms when the tab was hidden
 * @property {number} nSinceRefresh decisions since the queue was asked for
 * @property {string} keyHints what is shown, as JSON
 * @property {number} noteTimer
 */

/** @returns {Selection} */
export const emptySelection = () => ({
  piece: 0,
  cursor: -1,
  anchor: -1,
  range: null,
  cut: null,
  allFrames: false,
});

export const state = /** @type {State} */ ({
  view: "review",
  order: /** @type {number[]} */ ([]),
  at: -1,
  entry: null,
  mode: "browse",
  selection: emptySelection(),
  playing: 0,
  records: /** @type {DecisionRecord[]} */ ([]),
  unsettled: /** @type {Set<number>} */ (new Set()),
  compared: null,
  pinned: null,
  query: "",
  found: /** @type {number[]} */ ([]),
  pace_ms: /** @type {number[]} */ ([]),
  shownAt_ms: performance.now(),
  hiddenAt_ms: 0,
  nSinceRefresh: 0,
  keyHints: "",
  noteTimer: 0,
});

const INSTEAD = new Set(["batch", "compare", "video", "persons", "timeline"]);

/** Whether something else is shown in place of the tracklet. @param {Mode} mode */
export const isInstead = (mode) => INSTEAD.has(mode);

/** @param {DecisionRequest} request */
export const isUndo = ({ operation }) => state.operations[operation]?.role === "undo";

/**
 * The status code of a whole tracklet that was accepted or rejected; "" after other decisions.
 *
 * @param {DecisionRequest} request
 */
export function codeAfter({ operation }) {
  const role = state.operations[operation]?.role;
  return role === "accept" || role === "reject" ? role[0] : "";
}

/**
 * The tracklet that is shown. Errors: TypeError while none is loaded.
 *
 * @returns {Detail}
 */
export function currentDetail() {
  if (!state.entry?.detail) throw new TypeError("no tracklet is loaded");
  return state.entry.detail;
}

/**
 * All that the page has loaded of a tracklet: what is shown may be loaded anew just now.
 *
 * @param {number} n
 * @returns {Detail[]}
 */
export function detailsOf(n) {
  const shown = state.entry?.n === n ? state.entry.detail : null;
  const stored = state.store.entries.get(n)?.detail;
  return [...new Set([shown, stored])].filter((detail) => detail instanceof Object);
}

/** The piece that keys act on. Errors: as `currentDetail`. */
export const currentPiece = () => currentDetail().pieces[state.selection.piece];

/**
 * Who the piece is that keys act on, as the server has said it; a piece that was cut off since is
 * who the piece was. Errors: as `currentDetail`.
 */
export function currentPerson() {
  const { people } = currentDetail();
  const { name, start, stop } = currentPiece();
  const covers = (/** @type {string} */ piece) => {
    const [first, end] = (/@(\d+)-(\d+)$/.exec(piece)?.slice(1) ?? [0, Infinity]).map(Number);
    return first <= start && stop <= end;
  };
  return (
    people.find(({ piece }) => piece === name) ??
    people.find(({ piece }) => covers(piece)) ?? { members: [], n_members: 0, numbers: [] }
  );
}

/** The suggested cuts inside the current piece. Errors: as `currentDetail`. */
export function currentCuts() {
  const { start, stop } = currentPiece();
  return currentDetail().cuts.filter((cut) => start < cut && cut < stop);
}
