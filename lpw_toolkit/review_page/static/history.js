// All decisions of all logs in a dialog, filtered; each with both tracklets named and its own undo.

import { fetchJson } from "./api.js";
import { toRecord, undo } from "./decide.js";
import { count, element } from "./dom.js";
import { showTracklet } from "./modes.js";
import * as panels from "./panels.js";
import { isUndo, state } from "./state.js";
import { nameTracklets, reportFailure } from "./status.js";
import { describeDecision } from "./verdicts.js";

/** @typedef {import("./api.js").History} History */
/** @typedef {import("./api.js").SavedDecision} SavedDecision */

/** @type {[name: keyof History & ("reviewers" | "operations" | "days"), field: string, all: string][]} */
const CHOICES = [
  ["reviewers", "reviewer", "all reviewers"],
  ["operations", "operation", "all kinds"],
  ["days", "day", "all days"],
];

export async function showHistory() {
  const list = element("ol", "history");
  const status = element("p", "none");
  const more = element("button", "", "Older ones");
  const filters = element("p", "filters");
  const values = /** @type {Record<string, string>} */ ({});
  let nShown = 0;
  const load = async () => {
    const wanted = Object.entries(values).filter(([, value]) => value);
    const query = new URLSearchParams([...wanted, ["offset", String(nShown)]]);
    try {
      const found = /** @type {History} */ (await fetchJson(`/api/history?${query}`));
      if (!filters.children.length) fillFilters(filters, found, change);
      list.append(...found.lines.map(makeLine));
      nShown += found.lines.length;
      status.textContent = `${count(nShown)} of ${count(found.n)}`;
      more.hidden = nShown >= found.n;
    } catch (error) {
      reportFailure(error);
    }
  };
  const change = (/** @type {string} */ field, /** @type {string} */ value) => {
    values[field] = value;
    nShown = 0;
    list.replaceChildren();
    load();
  };
  more.addEventListener("click", load);
  const row = element("p", "buttons");
  row.append(status, more, panels.makeButton("Close", panels.close));
  panels.open("All decisions", filters, list, row);
  await load();
}

/** @type {(box: HTMLElement, found: History, change: (field: string, value: string) => void) => void} */
function fillFilters(box, found, change) {
  for (const [name, field, all] of CHOICES) {
    const select = box.appendChild(element("select"));
    select.setAttribute("aria-label", field);
    for (const value of ["", ...found[name]]) {
      const label = value || all;
      const title = state.operations[label]?.title ?? label;
      const option = Object.assign(element("option", "", title), { value });
      select.append(option);
    }
    select.addEventListener("change", () => change(field, select.value));
  }
  const input = box.appendChild(element("input"));
  input.placeholder = "part of a tracklet’s name";
  input.setAttribute("aria-label", "tracklet");
  input.addEventListener("change", () => change("tracklet", input.value));
}

/** @type {(decision: SavedDecision) => HTMLElement} */
function makeLine(decision) {
  const line = element("li", decision.undone ? "undone" : "");
  const when = element("time", "", decision.time.slice(0, 16).replace("T", " "));
  const what = `${describeDecision(decision)} ${nameTracklets(decision)}`;
  line.append(when, element("b", "", decision.reviewer), element("span", "what", what));
  if (!isUndo(decision)) {
    const word = decision.undone ? "redo" : "undo";
    const button = panels.makeButton(word, () => {
      panels.close();
      const known = state.records.find(({ request }) => request.uuid === decision.uuid);
      undo(known ?? toRecord(decision));
    });
    button.setAttribute("aria-label", `${word}: ${decision.reviewer} ${what}`);
    line.append(button);
  }
  if (decision.n !== null) {
    const { n } = decision;
    const show = () => {
      panels.close();
      showTracklet(n);
    };
    line.append(panels.makeButton("show", show));
  }
  return line;
}
