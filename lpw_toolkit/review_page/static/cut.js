// Splitting a piece: the cut is placed on the sheet or the chart, then made.

import { decide } from "./decide.js";
import { enterMode } from "./modes.js";
import { showKeyHints } from "./key_hints.js";
import { currentCuts, currentDetail, currentPiece, state } from "./state.js";
import { showNote } from "./status.js";
import { clearRange, pickFrame, showMarks } from "./tracklet.js";

/** Begins at the first suggested cut, otherwise at the cursor or in the middle. */
export function beginCut() {
  const { start, stop } = currentPiece();
  if (stop - start < 2) {
    showNote("One frame cannot be split.");
    return;
  }
  const { cursor } = state.selection;
  const here = cursor > start && cursor < stop ? cursor : Math.floor((start + stop) / 2);
  clearRange();
  state.selection.cut = currentCuts()[0] ?? here;
  enterMode("cut");
  moveCut(state.selection.cut);
}

/** @param {number} to first frame after the cut */
export function moveCut(to) {
  const { sheet, selection, entry } = state;
  const { start, stop } = currentPiece();
  const cut = Math.max(start + 1, Math.min(stop - 1, to));
  selection.cut = cut;
  if (entry && !selection.allFrames) sheet.showClose(entry, currentDetail(), cut);
  sheet.reveal(cut);
  showMarks();
  showKeyHints();
}

/** @param {number} step through the suggested cuts */
export function moveToSuggestedCut(step) {
  const cuts = currentCuts();
  const now = cuts.indexOf(state.selection.cut ?? -1);
  if (cuts.length) moveCut(cuts[(now + step + cuts.length) % cuts.length]);
}

export function splitHere() {
  decide("split", [currentPiece().name], { at: state.selection.cut });
  enterMode("browse");
}

/**
 * A frame was clicked: the cut goes there, or it is chosen.
 *
 * @param {number} frame
 * @param {boolean} extend
 */
export function chooseFrame(frame, extend) {
  if (state.mode === "cut") moveCut(frame);
  else pickFrame(frame, extend);
}
