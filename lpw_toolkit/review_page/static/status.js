// What the page says about itself: banner, notes, saved or not, progress, the last decisions.

import { ServerError } from "./api.js";
import { $, count, duration, element } from "./dom.js";
import { state } from "./state.js";
import { describeDecision } from "./verdicts.js";

export const MAX_SPENT_MS = 300_000; // a longer time on one tracklet was a break
const N_PACE = 50;
const N_LAST = 5;
const NOTE_MS = 6000;

/** @type {Record<string, string>} */
const TROUBLES = {
  lost: "The server does not answer.",
  token: "The server was restarted. Open the address that it printed.",
};

/** @param {string} text empty hides it */
export function showBanner(text) {
  $("banner").textContent = text;
  $("banner").hidden = !text;
}

/** @param {string} text shown for a few seconds */
export function showNote(text) {
  $("note").textContent = text;
  $("note").hidden = false;
  clearTimeout(state.noteTimer);
  state.noteTimer = setTimeout(() => {
    $("note").hidden = true;
  }, NOTE_MS);
}

/**
 * Says why a request failed; where the server is lost, the outbox waits for it.
 *
 * @param {unknown} error
 */
export function reportFailure(error) {
  if (!(error instanceof ServerError)) state.outbox?.doubt("lost");
  else if (error.status === 403) state.outbox?.doubt("token");
  else showNote(error.message);
}

export function showSaved() {
  const { trouble, keeps, waiting } = state.outbox;
  const n = waiting.length;
  const what = `${count(n)} ${n === 1 ? "decision is" : "decisions are"} kept`;
  const where = keeps ? "in this browser" : "in this tab only: do not close it";
  const reason = TROUBLES[trouble] ?? `Not saved: ${trouble}`;
  showBanner(trouble ? `${reason}${n ? ` ${what} ${where} and will be sent.` : ""}` : "");
  $("saved").textContent = trouble
    ? `not saved: ${count(n)}`
    : n
      ? `saving ${count(n)} …`
      : "saved";
  $("saved").dataset.state = trouble ? "lost" : n ? "sending" : "saved";
}

export function showProgress() {
  const { nMine, nDone, estimate } = state.store;
  const recent = state.pace_ms.slice(-N_PACE).map((ms) => Math.min(ms, MAX_SPENT_MS));
  const mean_s = recent.reduce((sum, ms) => sum + ms, 0) / Math.max(recent.length, 1) / 1000;
  $("bar", HTMLProgressElement).value = nDone / Math.max(nMine, 1);
  $("progress").textContent = `${count(nDone)} of ${count(nMine)} reviewed`;
  $("pace").textContent = recent.length
    ? `${mean_s.toFixed(1)} s per tracklet, ${duration(mean_s * (nMine - nDone))} left`
    : "";
  // The estimate is a few decisions old: where nothing is left to review, it says nothing.
  $("estimate").textContent = nDone < nMine ? estimate : "";
}

/**
 * Which tracklets a decision is about: both of two, else the first and how many more.
 *
 * @param {import("./api.js").DecisionRequest} request
 */
export function nameTracklets({ tracklets }) {
  const names = tracklets.map((name) => state.store.shorten(name));
  if (names.length < 3) return names.join(" and ");
  return `${names[0]} and ${count(names.length - 1)} more`;
}

export function showRecords() {
  const lines = state.records.slice(0, N_LAST).map((record, i) => {
    const line = element("li", `${record.state}${record.undone ? " undone" : ""}`);
    const word = record.undone ? "redo" : "undo";
    const button = element("button", "", word);
    button.dataset.place = String(i);
    const what = `${describeDecision(record.request)} ${nameTracklets(record.request)}`;
    button.setAttribute("aria-label", `${word}: ${what}`);
    const digit = element("kbd", state.mode === "undo" ? "" : "off", i + 1);
    const text = element("span", "what", what);
    text.title = what;
    line.append(digit, text, button);
    return line;
  });
  $("decisions").replaceChildren(...lines);
}
