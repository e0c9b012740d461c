// Accepting twelve tracklets at once, and rejecting those that are left out.

import { decide } from "./decide.js";
import { enterMode } from "./modes.js";
import { setOrder, showNext } from "./navigate.js";
import { state } from "./state.js";
import { showNote } from "./status.js";
import { stopPlaying } from "./tracklet.js";

export function openBatch() {
  stopPlaying();
  if (state.batch.open()) enterMode("batch");
  else showNote("No tracklets are left to review.");
}

/** Accepts the tracklets of the batch that are not left out; the others come next in the queue. */
export function acceptBatch() {
  const { batch, store, order, at } = state;
  const numbers = batch.take();
  if (numbers.length) {
    const each_ms = (performance.now() - state.shownAt_ms) / numbers.length;
    state.pace_ms.push(...numbers.map(() => each_ms));
    decide(
      "accept",
      numbers.map((n) => store.ids[n]),
      {},
      numbers,
    );
  }
  const waiting = [...batch.passed].filter((n) => store.isOpen(n));
  const later = order.slice(at + 1).filter((n) => !batch.passed.has(n));
  setOrder([...order.slice(0, at + 1), ...waiting, ...later], at);
  continueBatch();
}

/** Rejects the tracklets of the batch that are left out: they show no person. */
export function rejectBatch() {
  const numbers = state.batch.takeOut();
  if (!numbers.length) {
    showNote("First leave out those to reject.");
    return;
  }
  const names = numbers.map((n) => state.store.ids[n]);
  decide("reject", names, { reason: "no_person" }, numbers);
  continueBatch();
}

function continueBatch() {
  if (state.batch.open()) return;
  enterMode("browse");
  showNext();
}
