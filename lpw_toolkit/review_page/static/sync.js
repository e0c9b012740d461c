// What the server and other tabs say about decisions.

import { fetchJson } from "./api.js";
import { refreshOrderSometimes } from "./navigate.js";
import { refreshPersons } from "./persons.js";
import { applyOptimistically } from "./resolve.js";
import { codeAfter, detailsOf, isUndo, state } from "./state.js";
import { reportFailure, showNote, showProgress, showRecords } from "./status.js";
import { render, showMarks } from "./tracklet.js";
import { describeDecision } from "./verdicts.js";

/** @typedef {import("./api.js").DecisionRequest} DecisionRequest */
/** @typedef {import("./api.js").Touched} Touched */

/** Roles of operations after which candidates and persons may be others. */
const CHANGES_PERSONS = new Set(["join", "same", "different", "number", "cut", "undo"]);

/** @param {string} uuid */
const findRecord = (uuid) => state.records.find(({ request }) => request.uuid === uuid);

/**
 * Decisions that an earlier page has left unsent: they count as made, and can be undone.
 *
 * @param {DecisionRequest[]} requests
 */
export function markPending(requests) {
  if (!requests.length) return;
  const { store, records } = state;
  const numbers = new Map(store.ids.map((id, n) => [id, n]));
  for (const request of requests) {
    const { uuid, tracklets } = request;
    const code = codeAfter(request);
    for (const name of tracklets) {
      const n = numbers.get(name);
      if (code && n !== undefined) store.setStatusCode(n, code);
    }
    if (isUndo(request) || findRecord(uuid)) continue;
    const n = numbers.get(tracklets[0]?.replace(/@\d+-\d+$/, "")) ?? null;
    records.unshift({ request, n, state: "sending", undone: false });
  }
}

/**
 * @param {DecisionRequest} request
 * @param {import("./api.js").Answer} answer
 */
export function onSaved(request, { touched }) {
  const record = findRecord(request.uuid);
  if (record) record.state = "saved";
  takeTouched(touched);
  state.channel.postMessage(touched);
  const { role } = state.operations[request.operation] ?? {};
  if (role && CHANGES_PERSONS.has(role)) reload(touched.map(({ n }) => n));
  showRecords();
  showProgress();
  if (codeAfter(request)) refreshOrderSometimes();
  if (!state.outbox.waiting.length) refreshPersons();
}

/**
 * @param {DecisionRequest} request
 * @param {string} why
 */
export function onRefused(request, why) {
  const record = findRecord(request.uuid);
  if (record) record.state = "refused";
  showNote(`Not saved, ${describeDecision(request)}: ${why}`);
  const before = record?.before ?? new Map();
  for (const [n, { code }] of before) state.store.setStatusCode(n, code);
  reload([...before.keys()]);
  showRecords();
  showProgress();
}

/** @param {MessageEvent<Touched[]>} event */
export function onOtherTab({ data: touched }) {
  takeTouched(touched);
  showProgress();
  if (touched.some(({ n }) => state.entry?.n === n))
    showNote("Another tab has just changed this tracklet.");
}

/**
 * Takes the pieces as the server has them, but not where a later decision about the tracklet is
 * on its way.
 *
 * @param {Touched[]} touched
 */
export function takeTouched(touched) {
  const { store, entry, queue } = state;
  for (const each of touched) {
    const { n, status_code: code, pieces, flag_decisions: flags, n_known: nKnown } = each;
    if (nKnown < (store.latest.get(n)?.n_known ?? 0)) continue;
    store.latest.set(n, each);
    if (isPending(store.ids[n])) {
      state.unsettled.add(n);
      continue;
    }
    store.setStatusCode(n, code);
    if (hasFlag(pieces)) store.flagged.add(n);
    else store.flagged.delete(n);
    const details = detailsOf(n);
    for (const detail of details)
      Object.assign(detail, { pieces, flag_decisions: flags, n_known: nKnown });
    if (details.length && entry?.n === n && entry.detail) {
      state.selection.piece = Math.min(state.selection.piece, pieces.length - 1);
      showMarks();
    }
  }
  queue.draw();
}

/**
 * Adds the decisions that are on their way to what the server has sent.
 *
 * @param {import("./api.js").Detail} detail
 */
export function addWaiting(detail) {
  const { id, n_frames: nFrames } = detail;
  for (const request of state.outbox.waiting) {
    if (!isUndo(request) && isAbout(request, id))
      detail.pieces = applyOptimistically(detail.pieces, id, nFrames, request, state);
  }
}

/**
 * Asks for what is the case where answers were passed over, once all decisions have been
 * answered: the page and the log come to the same.
 */
export async function settle() {
  const { store, outbox, unsettled } = state;
  if (!unsettled.size) return;
  const { nAnswered } = outbox;
  try {
    const codes = await fetchJson("/api/codes");
    // Decided again meanwhile: asked for again when that is answered.
    if (outbox.waiting.length) return;
    if (outbox.nAnswered !== nAnswered) {
      await settle();
      return;
    }
    store.takeCodes(codes);
  } catch (error) {
    reportFailure(error);
    return;
  }
  reload([...unsettled]);
  unsettled.clear();
  state.queue.draw();
  showProgress();
}

/** @type {(pieces: import("./api.js").Piece[]) => boolean} */
const hasFlag = (pieces) => pieces.some(({ flags }) => flags.some((flag) => flag !== "unsure"));

/** @type {(id: string) => boolean} */
const isPending = (id) =>
  state.outbox.waiting.some((request) => isUndo(request) || isAbout(request, id));

/** @type {(request: DecisionRequest, id: string) => boolean} */
const isAbout = ({ tracklets }, id) =>
  tracklets.some((name) => name === id || name.startsWith(`${id}@`));

/** @param {number[]} numbers tracklets that are loaded again; the one that is shown at once */
async function reload(numbers) {
  const { store, entry } = state;
  store.forget(numbers);
  if (!entry || !numbers.includes(entry.n)) return;
  const wanted = store.get(entry.n);
  try {
    await wanted.ready;
  } catch {
    return; // the store has reported it
  }
  // Another one is shown, or it was asked for once more meanwhile.
  if (state.entry?.n !== wanted.n || store.entries.get(wanted.n) !== wanted) return;
  state.entry = wanted;
  render(true);
}
