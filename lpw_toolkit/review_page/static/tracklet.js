// The tracklet that is shown: its facts, its marks, the frames that are chosen, and playing it.

import { $, count, element } from "./dom.js";
import { showKeyHints } from "./key_hints.js";
import { isOpen } from "./resolve.js";
import { currentDetail, currentPiece, isInstead, state } from "./state.js";
import { STATUS_LABELS, formatRanges, titleOf } from "./verdicts.js";

const PLAY_MS = 120;

/** @param {boolean} isSame whether the same tracklet is drawn again: its current piece stays */
export function render(isSame = false) {
  const { entry, selection, mode, store } = state;
  const detail = currentDetail();
  if (!entry) return;
  selection.piece = Math.min(selection.piece, detail.pieces.length - 1);
  if (!isSame) selectOpenPiece();
  $("one").hidden = isInstead(mode);
  $("nothing").hidden = true;
  $("id").textContent = detail.id;
  const check = store.random.has(entry.n) ? " · random check" : "";
  $("facts").textContent = `${detail.camera} · ${count(detail.n_frames)} frames${check}`;
  const reasons = detail.reasons.map(makeReason);
  if (!reasons.length) reasons.push(element("span", "none", "no sign of a mistake"));
  $("reasons").replaceChildren(...reasons);
  showFrames();
  state.candidates.show(entry, detail, mode, store.cameras.length);
  showMarks();
  showKeyHints();
}

/** @type {(reason: import("./api.js").Detail["reasons"][number]) => HTMLElement} */
function makeReason({ title, look_for: question, more_than: share, first }) {
  const label = element("button", "reason", title);
  label.tabIndex = -1;
  const place = first === null ? "" : " Click to go to the frame.";
  label.title = `${question} This sign is stronger here than in ${Math.floor(100 * share)} % of the tracklets of this dataset.${place}`;
  if (first !== null) label.addEventListener("click", () => pickFrame(first, false));
  return label;
}

/** Draws the tiles: all frames, those around the cut, or a sample. */
export function showFrames() {
  const { entry, sheet, selection } = state;
  const detail = currentDetail();
  if (!entry) return;
  if (selection.allFrames) sheet.showAll(detail);
  else if (selection.cut !== null) sheet.showClose(entry, detail, selection.cut);
  else sheet.showSample(entry, detail);
}

/** Makes the first piece that is not reviewed the current one. */
export function selectOpenPiece() {
  const open = currentDetail().pieces.findIndex(isOpen);
  state.selection.piece = Math.max(0, open);
}

export function showMarks() {
  const detail = currentDetail();
  const now = currentPiece();
  $("pieces").replaceChildren(...detail.pieces.map(makePieceLabel));
  const flags = now.flags.map((flag) => element("span", "flag", flag));
  const comments = now.comments.map(([who, text]) => element("span", "comment", `${who}: ${text}`));
  const verdicts = (detail.verdicts ?? []).map(([who, verdict]) =>
    element("span", "comment", `${who} says ${verdict}`),
  );
  $("notes").replaceChildren(...flags, ...comments, ...verdicts);
  const { range, cursor, cut } = state.selection;
  const marks = { pieces: detail.pieces, piece: now, range, cursor, cut, drops: detail.drops };
  state.sheet.mark(marks);
  state.chart.show(detail, marks);
}

/** @type {(piece: import("./api.js").Piece, i: number, pieces: unknown[]) => HTMLElement} */
function makePieceLabel({ start, stop, status, reasons, dropped }, i, pieces) {
  const frames = pieces.length > 1 ? `frames ${start}–${stop - 1} ` : "";
  const why = reasons.length ? `: ${reasons.map(titleOf).join(", ")}` : "";
  const without = dropped.length ? `, without ${formatRanges(dropped)}` : "";
  const now = i === state.selection.piece ? " now" : "";
  return element(
    "span",
    `piece ${status}${now}`,
    `${frames}${STATUS_LABELS[status]}${why}${without}`,
  );
}

/**
 * Chooses a frame, or all from the one chosen before.
 *
 * @param {number} frame
 * @param {boolean} extend
 */
export function pickFrame(frame, extend) {
  if (!state.entry?.detail) return;
  const { selection } = state;
  if (!extend || selection.anchor < 0) selection.anchor = frame;
  selection.cursor = frame;
  selection.range = [Math.min(selection.anchor, frame), Math.max(selection.anchor, frame) + 1];
  state.sheet.reveal(frame);
  showMarks();
  showKeyHints();
}

/**
 * Chooses the frame that lies `step` tiles further.
 *
 * @param {number} step
 * @param {boolean} extend
 */
export function moveCursor(step, extend) {
  const { tiles } = state.sheet;
  if (!tiles.length) return;
  const now = tiles.findIndex(({ position }) => position === state.selection.cursor);
  const first = step > 0 ? 0 : tiles.length - 1;
  const place = now < 0 ? first : Math.max(0, Math.min(tiles.length - 1, now + step));
  pickFrame(tiles[place].position, extend);
}

export function clearRange() {
  Object.assign(state.selection, { range: null, cursor: -1, anchor: -1 });
}

export function stopPlaying() {
  clearInterval(state.playing);
  state.playing = 0;
  $("stage").hidden = true;
}

/**
 * Plays every frame of the piece, large; waits for pictures that are not loaded yet. Stops where
 * it plays already.
 */
export function play() {
  if (state.playing) {
    stopPlaying();
    return;
  }
  const { selection, sheet } = state;
  if (!selection.allFrames && sheet.mode === "sample") {
    selection.allFrames = true;
    showFrames();
    showMarks();
  }
  const { start, stop } = currentPiece();
  let frame = selection.cursor < 0 ? start : selection.cursor;
  state.playing = setInterval(() => {
    const tile = sheet.tiles[frame];
    if (!tile || frame >= stop) {
      stopPlaying();
      return;
    }
    if (!sheet.enlarge(tile, $("stage"))) return;
    selection.cursor = frame++;
    showMarks();
  }, PLAY_MS);
}
