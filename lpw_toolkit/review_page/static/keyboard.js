// What a key means in each mode.

import { BATCH_KEYS } from "./batch_accept.js";
import { acceptBatch, rejectBatch } from "./batch_operations.js";
import { kindToPart } from "./candidates.js";
import { compareOther, joinCompared, mergeCompared, partCompared } from "./compare.js";
import { moveCut, moveToSuggestedCut, splitHere } from "./cut.js";
import { undo } from "./decide.js";
import { keyOf } from "./keys.js";
import { enterMode, leaveMode } from "./modes.js";
import { chooseCandidate, reject, toggleAllFrames } from "./operations.js";
import * as panels from "./panels.js";
import {
  choosePersonTile,
  linkPersons,
  movePersonCursor,
  movePersons,
  partPersons,
  turnPersons,
  turnPersonsView,
} from "./persons.js";
import { currentDetail, state } from "./state.js";
import { moveCursor } from "./tracklet.js";
import { compareTwo, panTimeline, showWholeTimeline, swapTails, zoomTimeline } from "./timeline.js";
import { moveVideo, playVideo } from "./video.js";

/**
 * @typedef {{key: string, name?: string, shift: boolean, repeat: boolean}} Press name: of the
 *   key's action
 */

/**
 * Every mode but browsing takes all keys.
 *
 * @type {Partial<Record<import("./state.js").Mode, (press: Press) => void>>}
 */
const HANDLERS = {
  reject: ({ key, name }) => {
    const reason = state.store.reasons[(Number(key) + 9) % 10];
    if (/^[0-9]$/.test(key)) {
      if (reason) reject(reason);
    } else if (key === "Space" || key === "Enter" || name === "reject") reject(null);
  },
  cut: ({ key, name, shift }) => {
    const cut = state.selection.cut ?? 0;
    const step = shift ? 10 : 1;
    if (key === "ArrowLeft") moveCut(cut - step);
    else if (key === "ArrowRight") moveCut(cut + step);
    else if (key === "ArrowUp") moveToSuggestedCut(-1);
    else if (key === "ArrowDown") moveToSuggestedCut(1);
    else if (key === "Enter" || name === "split") splitHere();
    else if (name === "all_frames") {
      toggleAllFrames();
      moveCut(cut);
    }
  },
  merge: (press) => withDigit(press, (place) => chooseCandidate("merge", place)),
  apart: (press) =>
    withDigit(press, (place) => {
      chooseCandidate(kindToPart(currentDetail()), place);
    }),
  undo: (press) =>
    withDigit(press, (place) => {
      const record = state.records[place];
      if (!record) return;
      enterMode("browse");
      undo(record);
    }),
  compare: ({ key, name, repeat }) => {
    if (repeat) return;
    const place = state.compared?.place ?? 0;
    if (key === "Enter") joinCompared();
    else if (name === "merge") mergeCompared();
    else if (name === "unlink") partCompared();
    else if (key === "ArrowLeft") compareOther(place - 1);
    else if (key === "ArrowRight") compareOther(place + 1);
    else if (/^[1-9]$/.test(key)) compareOther(Number(key) - 1);
    else if (name === "undo" || name === "help") state.keys.find(name).run();
  },
  persons: ({ key, name, repeat }) => {
    if (key === "ArrowLeft" || key === "ArrowUp") movePersonCursor(-1);
    else if (key === "ArrowRight" || key === "ArrowDown") movePersonCursor(1);
    else if (repeat) return;
    else if (key === "Space") choosePersonTile();
    else if (key === "Enter") linkPersons();
    else if (name === "unlink") partPersons();
    else if (name === "merge") movePersons();
    else if (name === "next") turnPersons(1);
    else if (name === "previous") turnPersons(-1);
    else if (name === "view") turnPersonsView();
    else if (name === "persons") leaveMode();
    else if (name === "undo" || name === "history" || name === "help") state.keys.find(name).run();
  },
  timeline: ({ key, name, repeat }) => {
    if (key === "ArrowLeft") panTimeline(-0.1);
    else if (key === "ArrowRight") panTimeline(0.1);
    else if (key === "ArrowUp") panTimeline(0, -1);
    else if (key === "ArrowDown") panTimeline(0, 1);
    else if (key === "+") zoomTimeline(0.8);
    else if (key === "0") showWholeTimeline();
    else if (name === "unlink") zoomTimeline(1.25);
    else if (repeat) return;
    else if (key === "Enter") compareTwo();
    else if (name === "split") swapTails();
    else if (name === "timeline") leaveMode();
    else if (name === "undo" || name === "help") state.keys.find(name).run();
  },
  video: ({ key, name, shift }) => {
    const step = shift ? 10 : 1;
    if (key === "ArrowLeft") moveVideo(-step);
    else if (key === "ArrowRight") moveVideo(step);
    else if (name === "play") playVideo();
    else if (name === "video") leaveMode();
  },
  batch: ({ key, name, repeat }) => {
    if (repeat) return;
    if (BATCH_KEYS.includes(key)) state.batch.toggle(BATCH_KEYS.indexOf(key));
    else if (name === "accept") acceptBatch();
    else if (name === "reject") rejectBatch();
    else if (name === "batch_accept") leaveMode();
    else if (name === "undo" || name === "help") state.keys.find(name).run();
  },
};

/** @type {(press: Press, act: (place: number) => void) => void} */
function withDigit({ key, name }, act) {
  if (/^[1-9]$/.test(key)) act(Number(key) - 1);
  else if (name === "help") state.keys.find(name).run();
}

/** @param {KeyboardEvent} event */
export function pressKey(event) {
  if (panels.isOpen()) {
    if (event.key !== "Escape") return;
    event.preventDefault();
    panels.close();
    return;
  }
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest("textarea, input, select")) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "k") {
    event.preventDefault();
    state.keys.find("find").run();
    return;
  }
  const key = keyOf(event);
  if (!key || key === "Tab") return;
  if ((key === "Enter" || key === "Space") && target?.closest("button, a")) return;
  if (handleKey(key, event.shiftKey, event.repeat)) event.preventDefault();
}

/**
 * Does what a key means now; returns whether it means anything.
 *
 * @param {string} key
 * @param {boolean} [shift]
 * @param {boolean} [repeat] whether the key is held down
 */
export function handleKey(key, shift = false, repeat = false) {
  if (key === "Escape") {
    leaveMode();
    return true;
  }
  const action = state.keys.action(key);
  const handler = HANDLERS[state.mode];
  if (handler) {
    handler({ key, name: action?.name, shift, repeat });
    return true;
  }
  const isLoaded = Boolean(state.entry?.detail);
  if (isLoaded && moveByArrow(key, shift)) return true;
  if (/^[1-9]$/.test(key) && !action) {
    if (isLoaded && !repeat) chooseCandidate("across", Number(key) - 1);
    return true;
  }
  if (!action) return false;
  if ((!repeat || action.repeats) && (isLoaded || action.always)) action.run();
  return true;
}

/** @type {(key: string, extend: boolean) => boolean} */
function moveByArrow(key, extend) {
  if (key === "ArrowLeft") moveCursor(-1, extend);
  else if (key === "ArrowRight") moveCursor(1, extend);
  else if (key === "ArrowUp") moveCursor(-state.sheet.nColumns, extend);
  else if (key === "ArrowDown") moveCursor(state.sheet.nColumns, extend);
  else return false;
  return true;
}
