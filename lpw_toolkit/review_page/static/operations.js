// What a reviewer can do, and the table of the keys that do it. A new operation needs
// nothing here: the server hands its key over.

import { find } from "./address.js";
import { fetchJson } from "./api.js";
import { openBatch } from "./batch_operations.js";
import { candidatesOf } from "./candidates.js";
import { compareCandidate, pin } from "./compare.js";
import { beginCut } from "./cut.js";
import { decide, undo, undoLast } from "./decide.js";
import { showHistory } from "./history.js";
import { showKeyHints } from "./key_hints.js";
import { enterMode, showTracklet } from "./modes.js";
import { show, showNext, showNextView } from "./navigate.js";
import * as panels from "./panels.js";
import { showPersons } from "./persons.js";
import { changeRanges, isOpen } from "./resolve.js";
import { currentDetail, currentPiece, state } from "./state.js";
import { reportFailure, showNote } from "./status.js";
import { showVideo } from "./video.js";
import { showTeam } from "./team.js";
import { showTimeline } from "./timeline.js";
import { play, render, selectOpenPiece, showMarks } from "./tracklet.js";

/** @typedef {import("./api.js").Range} Range */
/** @typedef {import("./candidates.js").Kind} Kind */
/** @typedef {import("./keys.js").Action} Action */
/** @typedef {import("./api.js").Operations} Operations */

/** Accepts the pieces that are not rejected; where all are, the current one. */
function accept() {
  const { pieces, id } = currentDetail();
  const kept = pieces.filter(({ status }) => status !== "rejected");
  const names = (kept.length ? kept : [currentPiece()]).map(({ name }) => name);
  state.pace_ms.push(performance.now() - state.shownAt_ms);
  decide("accept", pieces.length === 1 ? [id] : names);
  showNext();
}

/** @param {string | null} reason */
export function reject(reason) {
  const { pieces } = currentDetail();
  const isLast = pieces.every((piece) => piece === currentPiece() || !isOpen(piece));
  if (isLast) state.pace_ms.push(performance.now() - state.shownAt_ms);
  decide("reject", [currentPiece().name], { reason });
  enterMode("browse");
  if (isLast) {
    showNext();
    return;
  }
  selectOpenPiece();
  showMarks();
}

/**
 * Drops frames of the current piece; restores them where all are dropped already.
 *
 * @param {Range[]} ranges
 */
function dropFrames(ranges) {
  const { name, start, stop, dropped } = currentPiece();
  const frames = ranges
    .map(([a, b]) => /** @type {Range} */ ([Math.max(a, start), Math.min(b, stop)]))
    .filter(([a, b]) => a < b);
  if (!frames.length) {
    showNote("These frames belong to another piece: choose it with [ and ].");
    return;
  }
  const isDropped = frames.every(([a, b]) => dropped.some(([c, d]) => c <= a && b <= d));
  const left = changeRanges([[start, stop]], changeRanges(dropped, frames, true), false);
  if (!isDropped && !left.length) {
    showNote(`No frames would be left: press ${state.keys.of("reject")} to reject the piece.`);
    return;
  }
  decide(isDropped ? "restore_frames" : "drop_frames", [name], { frames });
  state.selection.range = null;
  state.selection.anchor = -1;
  showMarks();
  showKeyHints();
}

/**
 * A candidate was chosen: it is compared with the current piece, or told apart from it.
 *
 * @param {Kind} kind
 * @param {number} place
 */
export function chooseCandidate(kind, place) {
  const detail = state.entry?.detail;
  if (!detail) return;
  if (state.mode !== "apart") {
    compareCandidate(kind, place);
    return;
  }
  const other = candidatesOf(kind, detail)[place];
  if (!other) {
    showNote("There is no such candidate.");
    return;
  }
  decide("unlink", [currentPiece().name, other.piece ?? other.name ?? ""]);
  state.store.linked.add(detail.n);
  enterMode("browse");
}

/** Says that no candidate is this person. */
function rejectCandidates() {
  const { across, n } = currentDetail();
  if (!across.length) {
    const key = state.keys.of("assign_person");
    showNote(`There are no candidates to link. ${key} gives this person a number by hand.`);
    return;
  }
  decide("unlink", [currentPiece().name, ...across.map(({ piece }) => piece ?? "")]);
  state.store.linked.add(n);
  if (state.view === "link") showNext();
}

function markUnsure() {
  const { pieces, n } = currentDetail();
  decide(
    "flag",
    pieces.map(({ name }) => name),
    { flag: "unsure" },
  );
  if (state.view === "link") state.store.linked.add(n);
  showNext();
}

/**
 * Takes a flag off the current piece by undoing what set it; returns whether there was one.
 *
 * @param {string} flag
 */
function takeFlagOff(flag) {
  const piece = currentPiece();
  if (!piece.flags.includes(flag)) return false;
  const saved = currentDetail()
    .flag_decisions.filter(
      ([name, , start, stop]) => name === flag && start < piece.stop && piece.start < stop,
    )
    .map(([, uuid]) => uuid);
  const sending = state.records.filter(
    ({ request, state: sent, undone }) =>
      sent === "sending" && !undone && request.arguments.flag === flag,
  );
  for (const record of sending) record.undone = true;
  const uuids = new Set([...saved, ...sending.map(({ request }) => request.uuid)]);
  for (const of of uuids) decide("undo", [], { of }, []);
  piece.flags = piece.flags.filter((each) => each !== flag);
  showMarks();
  return true;
}

/** @param {number} step */
function turnPiece(step) {
  const { selection } = state;
  const n = currentDetail().pieces.length;
  selection.piece = (selection.piece + step + n) % n;
  render(true); // the right side is about the piece
}

export function toggleAllFrames() {
  state.selection.allFrames = !state.selection.allFrames;
  render(true);
}

async function showConflicts() {
  try {
    panels.showConflicts(await fetchJson("/api/conflicts"), showTracklet, (decision) => {
      const known = state.records.find(({ request }) => request.uuid === decision.uuid);
      undo(known ?? { request: decision, n: decision.n, undone: false, state: "saved" });
    });
  } catch (error) {
    reportFailure(error);
  }
}

function chooseMerge() {
  if (currentDetail().merges.length) enterMode("merge");
  else showNote("The track has no candidates to be merged with.");
}

function dropRange() {
  const { range } = state.selection;
  if (range) dropFrames([range]);
  else showNote("Choose a frame with ← and →, a range with Shift.");
}

function dropSuggested() {
  const { drops } = currentDetail();
  if (drops.length) dropFrames(drops);
  else showNote("No frames are suggested.");
}

function findTracklets() {
  panels.askQuery(state.query, async (query) => {
    if ((await find(query)) === 0) showNote(`No tracklet fits “${query}”.`);
  });
}

function showHelp() {
  panels.showHelp(state.keys, () => {
    state.keyHints = "";
    showKeyHints();
  });
}

const showPrevious = () => show(state.at - 1);

const always = true; // runs where no tracklet is shown too
const repeats = true; // held down, the key goes on; any other decides once

/**
 * What the page does itself, in the order in which the help lists it. Where an entry has the name
 * of an operation, key and title are the operation's; the other operations follow after `unlink`.
 *
 * @type {(Partial<Action> & Pick<Action, "name" | "run">)[]}
 */
const ACTIONS = [
  { name: "accept", run: accept },
  { name: "reject", run: () => enterMode("reject") },
  { name: "drop_frames", run: dropRange },
  { name: "drop_suggested", key: "D", title: "drop the suggested frames", run: dropSuggested },
  { name: "split", run: beginCut },
  { name: "merge", run: chooseMerge },
  { name: "none", key: "0", title: "none of these persons", run: rejectCandidates },
  { name: "unsure", key: "n", title: "not sure, next", run: markUnsure },
  { name: "unlink", run: () => enterMode("apart") },
  { name: "pin", key: "y", title: "put aside, then compare with any", run: pin },
  { name: "undo", run: undoLast, always },
  { name: "undo_one", key: "U", title: "undo one of 1–5", run: () => enterMode("undo"), always },
  { name: "next", key: "j", title: "next", run: showNext, always, repeats },
  { name: "previous", key: "k", title: "previous", run: showPrevious, always, repeats },
  { name: "next_piece", key: "]", title: "next piece of a split", run: () => turnPiece(1) },
  { name: "previous_piece", key: "[", title: "previous piece", run: () => turnPiece(-1) },
  { name: "all_frames", key: "a", title: "all frames, or a sample", run: toggleAllFrames },
  { name: "play", key: "p", title: "play, stop", run: play },
  { name: "video", key: "v", title: "the frame of the video", run: showVideo },
  { name: "batch_accept", key: "t", title: "accept twelve at once", run: openBatch, always },
  { name: "find", key: "/", title: "find tracklets", run: findTracklets, always },
  {
    name: "history",
    key: "h",
    title: "all decisions, each with its undo",
    run: showHistory,
    always,
  },
  { name: "view", key: "l", title: "next view", run: showNextView, always },
  { name: "persons", key: "i", title: "all persons", run: showPersons, always },
  { name: "timeline", key: "w", title: "the camera over time", run: showTimeline },
  { name: "team", key: "o", title: "who has done what", run: showTeam, always },
  { name: "conflicts", key: "g", title: "conflicts", run: showConflicts, always },
  { name: "help", key: "?", title: "keys", run: showHelp, always },
];

/**
 * The actions of all keys.
 *
 * @param {Operations} operations
 * @returns {Action[]}
 */
export function makeActions(operations) {
  const special = ACTIONS.map((action) => ({
    key: operations[action.name]?.page?.key ?? "",
    title: operations[action.name]?.page?.title ?? "",
    ...action,
  }));
  const names = new Set(special.map(({ name }) => name));
  const others = Object.keys(operations)
    .filter((name) => !names.has(name))
    .flatMap((name) => makeAction(name, operations[name]));
  const place = 1 + special.findIndex(({ name }) => name === "unlink");
  return [...special.slice(0, place), ...others, ...special.slice(place)];
}

/**
 * The key of an operation that is about the current piece, and asks at most for its argument.
 *
 * @type {(name: string, operation: import("./api.js").Operation) => Action[]}
 */
function makeAction(name, { page, arguments: [argument] }) {
  if (!page) return [];
  const { key, title, arguments: preset, question } = page;
  const { role, value } = state.operations[name];
  const send = (/** @type {Record<string, any>} */ values) => {
    decide(name, [currentPiece().name], values);
    showMarks();
  };
  const run = () => {
    if (role === "flag" && takeFlagOff(value ?? preset?.flag)) return;
    if (preset || !argument) send(preset ?? {});
    else panels.ask(question || title, argument, (value) => send({ [argument.name]: value }));
  };
  return [{ name, key, title, run }];
}
