// Decisions to pieces: the server's rules again, for what the page shows until the server has
// answered. tests/browser runs both on one table of cases; where they differ, the server is right.

/** @typedef {import("./api.js").Piece} Piece */
/** @typedef {import("./api.js").Range} Range */
/** @typedef {import("./api.js").DecisionRequest & {reviewer: string, seq: number}} Decision */
/** @typedef {{start: number, stop: number}} Span */
/**
 * @typedef {{decision: Decision, span: Span}} Use a decision, and the frames of a piece that it
 *   names
 */
/** @typedef {{rejects: boolean, edited: boolean, reasons: string[]}} Verdict of one reviewer */

const STATUSES = ["unreviewed", "accepted", "edited", "rejected"];
const EDITS = new Set(["drop_frames", "restore_frames", "split", "merge"]);
const DROP = 1;
const RESTORE = 2;

/** @type {(name: string) => boolean} */
const isRule = (reviewer) => reviewer.startsWith("auto-");
/** @type {(outer: Span, inner: Span) => boolean} */
const covers = (outer, inner) => outer.start <= inner.start && inner.stop <= outer.stop;
/** @type {<T>(values: T[]) => T[]} */
const sortedUnique = (values) => [...new Set(values)].sort();

/**
 * The pieces of a tracklet under decisions.
 *
 * @param {string} id
 * @param {number} nFrames
 * @param {Decision[]} decisions
 * @param {Piece[]} known what earlier decisions came to, where these are not all
 * @returns {Piece[]}
 */
export function resolveTracklet(
  id,
  nFrames,
  decisions,
  known = [makePiece(id, 0, nFrames, nFrames)],
) {
  const uses = findUses(id, nFrames, decisions).filter(isInside);
  const borders = findBorders([0, nFrames, ...known.map(({ start }) => start)], uses);
  const live = uses.filter(({ span }) => borders.has(span.start) && borders.has(span.stop));
  const dropped = findDropped(nFrames, live, known);
  const ends = [...borders].sort((a, b) => a - b);
  return ends.slice(1).map((stop, i) => {
    const piece = makePiece(id, ends[i], stop, nFrames);
    const before = known.find((each) => covers(each, piece)) ?? piece;
    return judge(piece, before, known.length > 1, live, dropped);
  });
}

/**
 * The pieces of a tracklet after one more decision.
 *
 * @param {Piece[]} pieces
 * @param {string} id
 * @param {number} nFrames
 * @param {import("./api.js").DecisionRequest} request
 * @param {string} reviewer
 */
export function applyOptimistically(pieces, id, nFrames, request, reviewer) {
  return resolveTracklet(id, nFrames, [{ ...request, reviewer, seq: 0 }], pieces);
}

/**
 * The status code of a tracklet of these pieces.
 *
 * @param {Piece[]} pieces
 */
export function statusCodeOf(pieces) {
  const open = pieces.filter(({ status }) => status === "unreviewed");
  if (open.length) return open.every(({ flags }) => flags.includes("unsure")) ? "?" : "u";
  const statuses = new Set(pieces.map(({ status }) => status));
  return statuses.size === 1 ? pieces[0].status[0] : "e";
}

/**
 * Half-open ranges with others added or taken away.
 *
 * @param {Range[]} ranges
 * @param {Range[]} others
 * @param {boolean} add
 */
export function changeRanges(ranges, others, add) {
  const mask = new Uint8Array(Math.max(0, ...[...ranges, ...others].flat()));
  for (const [start, stop] of ranges) mask.fill(1, start, stop);
  for (const [start, stop] of others) mask.fill(Number(add), start, stop);
  return toRanges(mask, 0, mask.length);
}

/** @type {(id: string, start: number, stop: number, nFrames: number) => Piece} */
function makePiece(id, start, stop, nFrames) {
  const name = start === 0 && stop === nFrames ? id : `${id}@${start}-${stop}`;
  const nothing = { reasons: [], dropped: [], flags: [], comments: [], reviewers: [] };
  return { name, tracklet: id, start, stop, status: "unreviewed", ...nothing };
}

/**
 * The frames that a name means; null where it names another tracklet or frames that this one has
 * not.
 *
 * @type {(name: string, id: string, nFrames: number) => Span | null}
 */
function findSpan(name, id, nFrames) {
  if (name === id) return { start: 0, stop: nFrames };
  const match =
    name.startsWith(`${id}@`) && /^(0|[1-9]\d*)-([1-9]\d*)$/.exec(name.slice(id.length + 1));
  if (!match) return null;
  const [start, stop] = [Number(match[1]), Number(match[2])];
  return start < stop && stop <= nFrames && stop - start < nFrames ? { start, stop } : null;
}

/**
 * Decisions in force that name the tracklet, in the order in which they count.
 *
 * @type {(id: string, nFrames: number, decisions: Decision[]) => Use[]}
 */
function findUses(id, nFrames, decisions) {
  const undone = findUndone(decisions);
  return decisions
    .filter(({ uuid }) => !undone.has(uuid))
    .sort(
      (a, b) => a.seq - b.seq || (a.reviewer < b.reviewer ? -1 : Number(a.reviewer > b.reviewer)),
    )
    .flatMap((decision) =>
      decision.tracklets.flatMap((name) => {
        const span = findSpan(name, id, nFrames);
        return span ? [{ decision, span }] : [];
      }),
    );
}

/**
 * The decisions that are undone: an undo can be undone too.
 *
 * @type {(decisions: Decision[]) => Set<string>}
 */
function findUndone(decisions) {
  const undos = decisions.filter(({ operation }) => operation === "undo");
  const undone = /** @type {Set<string>} */ (new Set());
  const settled = new Set();
  // An undo counts once every undo of it is settled and none of those counts.
  for (let isChanged = true; isChanged; ) {
    isChanged = false;
    for (const undo of undos) {
      if (settled.has(undo.uuid)) continue;
      const isOpen = undos.some(
        (each) => each.arguments.of === undo.uuid && !settled.has(each.uuid),
      );
      if (isOpen && !undone.has(undo.uuid)) continue;
      settled.add(undo.uuid);
      isChanged = true;
      if (!undone.has(undo.uuid)) undone.add(undo.arguments.of);
    }
  }
  return undone;
}

/** @type {(use: Use) => boolean} */
function isInside({ decision: { operation, arguments: values }, span }) {
  if (operation === "split") return span.start < values.at && values.at < span.stop;
  const frames = /** @type {Range[]} */ (values.frames ?? []);
  return frames.every(([start, stop]) => span.start <= start && stop <= span.stop);
}

/**
 * Borders of the pieces. A cut counts once the piece that it cuts exists.
 *
 * @type {(first: number[], uses: Use[]) => Set<number>}
 */
function findBorders(first, uses) {
  const borders = new Set(first);
  const cuts = uses.filter(({ decision }) => decision.operation === "split");
  for (let n = 0; n !== borders.size; ) {
    n = borders.size;
    for (const { decision, span } of cuts) {
      if (borders.has(span.start) && borders.has(span.stop)) borders.add(decision.arguments.at);
    }
  }
  return borders;
}

/**
 * Which frames are dropped: by any person's last word about a frame, otherwise by any rule's or
 * what is known.
 *
 * @type {(nFrames: number, uses: Use[], known: Piece[]) => Uint8Array}
 */
function findDropped(nFrames, uses, known) {
  const words = /** @type {Map<string, Uint8Array>} */ (new Map());
  for (const { decision } of uses) {
    if (decision.operation !== "drop_frames" && decision.operation !== "restore_frames") continue;
    const word = words.get(decision.reviewer) ?? new Uint8Array(nFrames);
    words.set(decision.reviewer, word);
    const value = decision.operation === "drop_frames" ? DROP : RESTORE;
    for (const [start, stop] of decision.arguments.frames) word.fill(value, start, stop);
  }
  const dropped = new Uint8Array(nFrames);
  for (const [start, stop] of known.flatMap((piece) => piece.dropped)) dropped.fill(1, start, stop);
  const byRule = [...words].filter(([reviewer]) => isRule(reviewer));
  const byPerson = [...words].filter(([reviewer]) => !isRule(reviewer));
  for (const said of [byRule, byPerson]) {
    for (let i = 0; i < nFrames; i++) {
      const all = said.reduce((bits, [, word]) => bits | word[i], 0);
      if (all) dropped[i] = all & DROP;
    }
  }
  return dropped;
}

/** @type {(mask: Uint8Array, start: number, stop: number) => Range[]} */
function toRanges(mask, start, stop) {
  const ranges = /** @type {Range[]} */ ([]);
  for (let i = start; i < stop; i++) {
    if (!mask[i]) continue;
    const first = i;
    while (i + 1 < stop && mask[i + 1]) i++;
    ranges.push([first, i + 1]);
  }
  return ranges;
}

/**
 * What everyone says of a piece. Where reviewers differ, the most careful verdict holds until the
 * conflict is resolved.
 *
 * @type {(piece: Piece, before: Piece, wasCut: boolean, uses: Use[], dropped: Uint8Array) => Piece}
 */
function judge(piece, before, wasCut, uses, dropped) {
  const verdicts = collectVerdicts(piece, before, wasCut, uses);
  const people = [...verdicts].filter(([reviewer]) => !isRule(reviewer));
  const heard = (people.length ? people : [...verdicts]).map(([, verdict]) => verdict);
  const levels = heard.map(({ rejects, edited }) => (rejects ? 3 : edited ? 2 : 1));
  const status = STATUSES[Math.max(0, ...levels)];
  const rejects = heard.filter((verdict) => status === "rejected" && verdict.rejects);
  const notes = uses
    .filter(({ span }) => covers(span, piece) || covers(piece, span))
    .map(({ decision }) => decision);
  const flags = notes.filter(({ operation }) => operation === "flag");
  const comments = notes.filter(({ operation }) => operation === "comment");
  return {
    ...piece,
    status,
    reasons: sortedUnique(rejects.flatMap(({ reasons }) => reasons)),
    dropped: toRanges(dropped, piece.start, piece.stop),
    flags: sortedUnique([...before.flags, ...flags.map((each) => each.arguments.flag)]),
    comments: [...before.comments, ...comments.map(asComment)],
    reviewers: sortedUnique([...verdicts.keys()]),
  };
}

/** @type {(decision: Decision) => [string, string]} */
const asComment = ({ reviewer, arguments: { text } }) => [reviewer, text];

/** @type {(piece: Piece, before: Piece, wasCut: boolean, uses: Use[]) => Map<string, Verdict>} */
function collectVerdicts(piece, before, wasCut, uses) {
  const { status, reasons } = before;
  const rejects = status === "rejected";
  // A rejected piece does not say whether it was edited before; its cuts and dropped frames do.
  const edited = status === "edited" || (rejects && (wasCut || before.dropped.length > 0));
  const verdicts = new Map(before.reviewers.map((name) => [name, { rejects, edited, reasons }]));
  for (const use of uses) {
    const { operation, reviewer, arguments: values } = use.decision;
    const isEdit = EDITS.has(operation);
    // Nobody has looked yet at the frames that a rule's edit leaves.
    if (isEdit ? isRule(reviewer) : operation !== "accept" && operation !== "reject") continue;
    if (!isAbout(use, piece)) continue;
    verdicts.set(reviewer, {
      rejects: operation === "reject",
      edited: isEdit || Boolean(verdicts.get(reviewer)?.edited),
      reasons: operation === "reject" && values.reason ? [values.reason] : [],
    });
  }
  return verdicts;
}

/**
 * Whether a verdict or an edit is about this piece.
 *
 * @type {(use: Use, piece: Span) => boolean}
 */
function isAbout({ decision: { operation, arguments: values }, span }, piece) {
  if (operation === "split") return values.at === piece.start || values.at === piece.stop;
  const frames = /** @type {Range[] | undefined} */ (values.frames);
  if (frames) return frames.some(([start, stop]) => start < piece.stop && piece.start < stop);
  return covers(span, piece);
}
