// Modes: what the keys mean until one has answered or left.

import { closeComparison } from "./compared.js";
import { $, scrollToMain } from "./dom.js";
import { showKeyHints } from "./key_hints.js";
import { setOrder, show, showNext } from "./navigate.js";
import { isInstead, state } from "./state.js";
import { showRecords } from "./status.js";
import { clearRange, render, showMarks, stopPlaying } from "./tracklet.js";

/** @param {import("./state.js").Mode} mode */
export function enterMode(mode) {
  const before = state.mode;
  state.mode = mode;
  if (mode !== "cut") state.selection.cut = null;
  closeComparison();
  stopPlaying();
  $("batch-accept").hidden = mode !== "batch";
  $("compare").hidden = mode !== "compare";
  $("video").hidden = mode !== "video";
  $("persons").hidden = mode !== "persons";
  $("timeline").hidden = mode !== "timeline";
  $("one").hidden = isInstead(mode) || !state.entry;
  document.body.classList.toggle("wide", WIDE.has(mode));
  if (state.entry?.detail && mode !== "batch") render(true);
  if (isInstead(mode)) scrollToMain();
  if (before === "undo" || mode === "undo") showRecords();
  showKeyHints();
}

/** Leaves the mode; while browsing, forgets the chosen frames. */
export function leaveMode() {
  const { mode, compared } = state;
  if (mode !== "browse") {
    enterMode(mode === "compare" ? (compared?.back ?? "browse") : "browse");
    if (mode !== "batch") return;
    if (state.view === "review" && !state.store.isOpen(state.order[state.at])) showNext();
    else show(state.at);
    return;
  }
  clearRange();
  stopPlaying();
  if (!state.entry?.detail) return;
  showMarks();
  showKeyHints();
}

const WIDE = new Set(["batch", "persons", "timeline"]);

/** @param {number} n tracklet; comes to the current place of the order where the view has it not */
export function showTracklet(n) {
  if (state.entry?.n === n) {
    enterMode("browse");
    state.queue.draw();
    return;
  }
  const { order, at } = state;
  const place = order.indexOf(n);
  if (place < 0) setOrder([...order.slice(0, at), n, ...order.slice(at)], at);
  show(place < 0 ? at : place);
}
