// Decisions to pieces: the server's rules again, for what the page shows until the server has
// answered. tests/browser runs both on one table of cases; where they differ, the server is right.

/** @typedef {import("./api.js").Piece} Piece */
/** @typedef {import("./api.js").Range} Range */
/** @typedef {import("./api.js").Operations} Operations */
/**
 * @typedef {import("./api.js").DecisionRequest & {reviewer: string, seq: number,
 *   version?: number}} Decision version: of its line; that of today where it has none yet
 */
/**
 * @typedef {Decision & {role: string, value: any}} Act a decision, what its operation does to the
 *   state, and the value that this needs
 */
/** @typedef {{start: number, stop: number}} Span */
/**
 * @typedef {{decision: Act, span: Span}} Use a decision, and the frames of a piece that it
 *   names
 */
/**
 * @typedef {{rejects: boolean, edited: boolean, open: boolean, reasons: string[]}} Verdict of one
 *   reviewer; open: edited since, and not accepted
 */

const STATUSES = ["unreviewed", "accepted", "edited", "unaccepted", "rejected"];
const OPEN = new Set(["unreviewed", "unaccepted"]);
const EDITS = new Set(["drop", "restore", "cut", "join"]);
const VERDICTS = new Set(["accept", "reject"]);
const VERSION = 2;
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
 * @param {Operations} operations
 * @param {Piece[]} known what earlier decisions came to, where these are not all
 * @returns {Piece[]}
 */
export function resolveTracklet(
  id,
  nFrames,
  decisions,
  operations,
  known = [makePiece(id, 0, nFrames, nFrames)],
) {
  const acts = decisions.map((decision) => toAct(decision, operations));
  const uses = findUses(id, nFrames, acts).filter(isInside);
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
 * @param {{reviewer: string, operations: Operations}} review
 */
export function applyOptimistically(pieces, id, nFrames, request, { reviewer, operations }) {
  return resolveTracklet(id, nFrames, [{ ...request, reviewer, seq: 0 }], operations, pieces);
}

/** @type {(decision: Decision, operations: Operations) => Act} */
function toAct(decision, operations) {
  const { role, value, arguments: fields } = operations[decision.operation];
  return { ...decision, role, value: fields.length ? decision.arguments[fields[0].name] : value };
}

/**
 * Whether nobody has accepted or rejected a piece.
 *
 * @param {Piece} piece
 */
export const isOpen = ({ status }) => OPEN.has(status);

/**
 * The status code of a tracklet of these pieces.
 *
 * @param {Piece[]} pieces
 */
export function statusCodeOf(pieces) {
  const open = pieces.filter(isOpen);
  if (open.length) {
    if (open.every(({ flags }) => flags.includes("unsure"))) return "?";
    return pieces.every(({ status }) => status === "unreviewed") ? "u" : "p";
  }
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
 * @type {(id: string, nFrames: number, decisions: Act[]) => Use[]}
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
 * @type {(decisions: Act[]) => Set<string>}
 */
function findUndone(decisions) {
  const undos = decisions.filter(({ role }) => role === "undo");
  const undone = /** @type {Set<string>} */ (new Set());
  const resolved = new Set();
  // An undo counts once every undo of it is resolved and none of those counts.
  for (let isChanged = true; isChanged; ) {
    isChanged = false;
    for (const undo of undos) {
      if (resolved.has(undo.uuid)) continue;
      const isOpen = undos.some((each) => each.value === undo.uuid && !resolved.has(each.uuid));
      if (isOpen && !undone.has(undo.uuid)) continue;
      resolved.add(undo.uuid);
      isChanged = true;
      if (!undone.has(undo.uuid)) undone.add(undo.value);
    }
  }
  return undone;
}

/** @param {string} role */
const hasFrames = (role) => role === "drop" || role === "restore";

/** @type {(use: Use) => boolean} */
function isInside({ decision: { role, value }, span }) {
  if (role === "cut") return span.start < value && value < span.stop;
  const frames = /** @type {Range[]} */ (hasFrames(role) ? value : []);
  return frames.every(([start, stop]) => span.start <= start && stop <= span.stop);
}

/**
 * Borders of the pieces. A cut counts once the piece that it cuts exists.
 *
 * @type {(first: number[], uses: Use[]) => Set<number>}
 */
function findBorders(first, uses) {
  const borders = new Set(first);
  const cuts = uses.filter(({ decision }) => decision.role === "cut");
  for (let n = 0; n !== borders.size; ) {
    n = borders.size;
    for (const { decision, span } of cuts) {
      if (borders.has(span.start) && borders.has(span.stop)) borders.add(decision.value);
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
  const marks = /** @type {Map<string, Uint8Array>} */ (new Map());
  for (const { decision } of uses) {
    if (!hasFrames(decision.role)) continue;
    const mark = marks.get(decision.reviewer) ?? new Uint8Array(nFrames);
    marks.set(decision.reviewer, mark);
    const value = decision.role === "drop" ? DROP : RESTORE;
    for (const [start, stop] of decision.value) mark.fill(value, start, stop);
  }
  const dropped = new Uint8Array(nFrames);
  for (const [start, stop] of known.flatMap((piece) => piece.dropped)) dropped.fill(1, start, stop);
  const byRule = [...marks].filter(([reviewer]) => isRule(reviewer));
  const byPerson = [...marks].filter(([reviewer]) => !isRule(reviewer));
  for (const said of [byRule, byPerson]) {
    for (let i = 0; i < nFrames; i++) {
      const all = said.reduce((bits, [, mark]) => bits | mark[i], 0);
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
  const counted = (people.length ? people : [...verdicts]).map(([, verdict]) => verdict);
  const levels = counted.map(levelOf);
  const status = STATUSES[Math.max(0, ...levels)];
  const rejects = counted.filter((verdict) => status === "rejected" && verdict.rejects);
  const notes = uses
    .filter(({ span }) => covers(span, piece) || covers(piece, span))
    .map(({ decision }) => decision);
  const flags = notes.filter(({ role }) => role === "flag");
  const comments = notes.filter(({ role }) => role === "comment");
  return {
    ...piece,
    status,
    reasons: sortedUnique(rejects.flatMap(({ reasons }) => reasons)),
    dropped: toRanges(dropped, piece.start, piece.stop),
    flags: sortedUnique([...before.flags, ...flags.map((each) => each.value)]),
    comments: [...before.comments, ...comments.map(asComment)],
    reviewers: sortedUnique([...verdicts.keys()]),
  };
}

/**
 * How careful a verdict is: its status, by its place in STATUSES.
 *
 * @type {(verdict: Verdict) => number}
 */
function levelOf({ rejects, edited, open }) {
  if (rejects) return 4;
  if (open) return 3;
  return edited ? 2 : 1;
}

/** @type {(decision: Act) => [string, string]} */
const asComment = ({ reviewer, value }) => [reviewer, value];

/** @type {(piece: Piece, before: Piece, wasCut: boolean, uses: Use[]) => Map<string, Verdict>} */
function collectVerdicts(piece, before, wasCut, uses) {
  const { status, reasons } = before;
  const rejects = status === "rejected";
  // A rejected piece does not say whether it was edited before; its cuts and dropped frames do.
  const open = status === "unaccepted";
  const edited = open || status === "edited" || (rejects && (wasCut || before.dropped.length > 0));
  const verdicts = new Map(
    before.reviewers.map((name) => [name, { rejects, edited, open, reasons }]),
  );
  for (const use of uses) {
    const { role, reviewer, value, version = VERSION } = use.decision;
    const isEdit = EDITS.has(role);
    // Nobody has looked yet at the frames that a rule's edit leaves.
    if (isEdit ? isRule(reviewer) : !VERDICTS.has(role)) continue;
    // A merge says who it is, not that all of it is fine.
    if ((role === "join" && version > 1) || !isAbout(use, piece)) continue;
    verdicts.set(reviewer, {
      rejects: role === "reject",
      edited: isEdit || Boolean(verdicts.get(reviewer)?.edited),
      open: isEdit && version > 1,
      reasons: role === "reject" && value ? [value] : [],
    });
  }
  return verdicts;
}

/**
 * Whether a verdict or an edit is about this piece.
 *
 * @type {(use: Use, piece: Span) => boolean}
 */
function isAbout({ decision: { role, value }, span }, piece) {
  if (role === "cut") return value === piece.start || value === piece.stop;
  const frames = /** @type {Range[]} */ (value);
  if (hasFrames(role))
    return frames.some(([start, stop]) => start < piece.stop && piece.start < stop);
  return covers(span, piece);
}
