// Other reviewers: what they decide while the page is open, and who has done what.

import { fetchJson } from "./api.js";
import { count, element } from "./dom.js";
import * as panels from "./panels.js";
import { state } from "./state.js";
import { reportFailure, showNote, showProgress } from "./status.js";
import { takeTouched } from "./sync.js";
import { titleOf } from "./verdicts.js";

const POLL_MS = 5000;

/**
 * @typedef {object} Team
 * @property {{reviewer: string, n_decisions: number, n_tracklets: number, per_hour: number | null,
 *   reasons: Record<string, number>, n_conflicts: number}[]} reviewers
 * @property {{camera: string, n_done: number, n: number}[]} cameras
 * @property {{reviewers: string[], n_both: number, kappa: number | null,
 *   link_f1: number | null}[]} agreement
 */

/**
 * @typedef {{n: number, touched: import("./api.js").Touched[], by: Record<string, number>,
 *   n_conflicts: number}} Changes
 */

let nKnown = 0;

/** Asks every few seconds what others have decided, while the page is in sight. */
export function watchOthers() {
  setInterval(() => {
    if (!document.hidden && !state.outbox.trouble) takeChanges();
  }, POLL_MS);
}

export async function takeChanges() {
  try {
    const found = /** @type {Changes} */ (await fetchJson(`/api/changes/${nKnown}`));
    nKnown = found.n;
    if (!found.touched.length) return;
    state.store.nConflicts = found.n_conflicts;
    takeTouched(found.touched);
    showProgress();
    const who = Object.keys(found.by).join(", ");
    const isHere = found.touched.some(({ n }) => state.entry?.n === n);
    if (isHere) showNote(`${who} has just decided about this tracklet.`);
  } catch (error) {
    reportFailure(error);
  }
}

export async function showTeam() {
  try {
    const { reviewers, cameras, agreement } = /** @type {Team} */ (await fetchJson("/api/team"));
    const tables = [
      makeTable(
        ["reviewer", "tracklets judged", "an hour", "decisions", "in conflicts", "rejected"],
        reviewers.map((each) => [
          each.reviewer,
          count(each.n_tracklets),
          each.per_hour === null ? "–" : count(each.per_hour),
          count(each.n_decisions),
          count(each.n_conflicts),
          listReasons(each.reasons),
        ]),
      ),
      makeTable(
        ["camera", "done", "of"],
        cameras.map(({ camera, n_done: nDone, n }) => [camera, count(nDone), count(n)]),
      ),
    ];
    if (agreement.length) {
      tables.push(
        makeTable(
          ["two reviewers", "judged by both", "kappa", "F1 of links"],
          agreement.map(({ reviewers: two, n_both: nBoth, kappa, link_f1: f1 }) => [
            two.join(" and "),
            count(nBoth),
            kappa?.toFixed(2) ?? "not defined",
            f1?.toFixed(2) ?? "not defined",
          ]),
        ),
      );
    }
    const done = panels.makeButton("Close", panels.close);
    panels.open("Who has done what", ...tables, done);
    done.focus();
  } catch (error) {
    reportFailure(error);
  }
}

/** @param {Record<string, number>} reasons */
const listReasons = (reasons) =>
  Object.entries(reasons)
    .map(([name, n]) => `${titleOf(name)} ${count(n)}`)
    .join(", ");

/** @type {(heads: string[], rows: string[][]) => HTMLElement} */
function makeTable(heads, rows) {
  const table = element("table", "team");
  const head = table.appendChild(element("thead")).appendChild(element("tr"));
  for (const text of heads) head.append(element("th", "", text));
  const body = table.appendChild(element("tbody"));
  for (const row of rows) {
    const line = body.appendChild(element("tr"));
    for (const text of row) line.append(element("td", "", text));
  }
  return table;
}
