// Decisions: sent to the server by way of the outbox, shown at once as the server will resolve
// them, and undone.

import { fetchJson } from "./api.js";
import { showTracklet } from "./modes.js";
import { applyOptimistically, statusCodeOf } from "./resolve.js";
import { codeAfter, currentDetail, detailsOf, isUndo, state } from "./state.js";
import { MAX_SPENT_MS, reportFailure, showNote, showProgress, showRecords } from "./status.js";

/** @typedef {import("./state.js").DecisionRecord} DecisionRecord */
/** @typedef {import("./api.js").DecisionRequest} DecisionRequest */
/** @typedef {import("./api.js").SavedDecision} SavedDecision */

const N_RECORDS = 200;

/**
 * Makes a decision.
 *
 * @param {string} operation
 * @param {string[]} tracklets names of pieces
 * @param {DecisionRequest["arguments"]} [values]
 * @param {number[]} [about] the tracklets that it changes
 * @returns {DecisionRecord}
 */
export function decide(operation, tracklets, values = {}, about = [currentDetail().n]) {
  const spent_ms = Math.round(
    Math.max(0, Math.min(MAX_SPENT_MS, performance.now() - state.shownAt_ms)),
  );
  const request = { uuid: crypto.randomUUID(), operation, tracklets, arguments: values, spent_ms };
  /** @type {DecisionRecord} */
  const record = {
    request,
    n: about[0] ?? null,
    state: "sending",
    undone: false,
    before: new Map(),
  };
  if (!isUndo(request)) {
    for (const n of about) showOptimistically(n, record);
    state.records.unshift(record);
    state.records.length = Math.min(state.records.length, N_RECORDS);
  }
  state.shownAt_ms = performance.now();
  state.outbox.add(request);
  showRecords();
  showProgress();
  return record;
}

/**
 * Shows a tracklet as the decision will make it, and remembers how it was.
 *
 * @param {number} n
 * @param {DecisionRecord} record
 */
function showOptimistically(n, { request, before }) {
  const { store } = state;
  const details = detailsOf(n);
  before?.set(n, { code: store.statusCodes[n], pieces: details[0]?.pieces });
  for (const detail of details) {
    const { pieces, id, n_frames: nFrames } = detail;
    detail.pieces = applyOptimistically(pieces, id, nFrames, request, state);
    store.setStatusCode(n, statusCodeOf(detail.pieces));
  }
  const code = codeAfter(request);
  if (code && !details.length) store.setStatusCode(n, code);
}

/** @param {DecisionRecord} record */
const canBeUndone = ({ undone, state: sent, request }) =>
  !undone && sent !== "refused" && !isUndo(request);

/** Undoes the last decision that is in force, however old it is. */
export async function undoLast() {
  const record = state.records.find(canBeUndone) ?? (await findOlder());
  if (record) undo(record);
  else showNote("Nothing to undo.");
}

/** The last decision in force of this reviewer that the page does not know. */
async function findOlder() {
  const reviewer = encodeURIComponent(state.reviewer);
  try {
    const { lines } = await fetchJson(`/api/history?in_force=yes&reviewer=${reviewer}`);
    const known = new Set(state.records.map(({ request }) => request.uuid));
    const older = lines.filter((/** @type {SavedDecision} */ line) => !known.has(line.uuid));
    state.records.push(...older.map(toRecord));
  } catch (error) {
    reportFailure(error);
  }
  return state.records.find(canBeUndone);
}

/** @type {(decision: SavedDecision) => DecisionRecord} */
export const toRecord = (decision) => ({
  request: decision,
  n: decision.n,
  state: "saved",
  undone: decision.undone,
  undoneBy: decision.undone_by[0],
});

/**
 * Undoes a decision, or redoes one that is undone.
 *
 * @param {DecisionRecord} record
 */
export function undo(record) {
  const isRedo = record.undone;
  const of = isRedo ? record.undoneBy : record.request.uuid;
  if (!of) {
    showNote("Wait until it is saved.");
    return;
  }
  const made = decide("undo", [], { of }, []);
  record.undone = !isRedo;
  record.undoneBy = isRedo ? null : made.request.uuid;
  if (!isRedo) restore(record);
  showRecords();
  showProgress();
  if (state.mode === "batch") state.batch.open();
  else if (record.n !== null) showTracklet(record.n);
}

/**
 * Shows the tracklets of an undone decision as they were before it, unless a later decision is
 * about them.
 *
 * @param {DecisionRecord} record
 */
function restore(record) {
  const later = state.records.slice(0, Math.max(0, state.records.indexOf(record)));
  for (const [n, { code, pieces }] of record.before ?? []) {
    if (later.some((each) => !each.undone && (each.before?.has(n) || each.n === n))) continue;
    state.store.setStatusCode(n, code);
    for (const detail of pieces ? detailsOf(n) : []) detail.pieces = pieces ?? [];
  }
}
