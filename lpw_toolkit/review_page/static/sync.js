// What the server and other tabs say about decisions.

import { refreshOrderSometimes } from "./navigate.js";
import { codeAfter, isUndo, state } from "./state.js";
import { showNote, showProgress, showRecords } from "./status.js";
import { render, showMarks } from "./tracklet.js";
import { describeDecision } from "./verdicts.js";

/** @typedef {import("./api.js").DecisionRequest} DecisionRequest */
/** @typedef {import("./api.js").Touched} Touched */

/** Roles of operations after which candidates and persons may be others. */
const CHANGES_PERSONS = new Set(["join", "same", "different", "number", "undo"]);

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
function takeTouched(touched) {
  const { store, entry, queue } = state;
  for (const { n, status_code: code, pieces } of touched) {
    if (isPending(store.ids[n])) continue;
    store.setStatusCode(n, code);
    const detail = store.entries.get(n)?.detail;
    if (detail) detail.pieces = pieces;
    if (detail && entry?.n === n) {
      state.selection.piece = Math.min(state.selection.piece, pieces.length - 1);
      showMarks();
    }
  }
  queue.draw();
}

/** @type {(id: string) => boolean} */
const isPending = (id) =>
  state.outbox.waiting.some(
    (request) =>
      isUndo(request) || request.tracklets.some((name) => name === id || name.startsWith(`${id}@`)),
  );

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
  if (state.entry !== entry) return;
  state.entry = wanted;
  render(true);
}
