// Which tracklets are shown, and in which order: views, the next and the previous one, the queue
// asked for again.

import { fetchJson } from "./api.js";
import { closeComparison } from "./compared.js";
import { $, scrollToMain } from "./dom.js";
import { showKeyHints } from "./key_hints.js";
import { emptySelection, state } from "./state.js";
import { reportFailure, showNote, showProgress } from "./status.js";
import { render, stopPlaying } from "./tracklet.js";

/** @typedef {import("./state.js").View} View */

const N_AHEAD = 5;
const REFRESH_EVERY = 12; // decisions
const N_MANY = 20_000; // tracklets: the server takes longer to order more than these
const REFRESH_EVERY_MANY = 60;

/** The tracklets of each view. @type {Record<View, () => number[]>} */
const VIEWS = {
  review: () => state.store.listOpen(),
  link: () =>
    selectTracklets((n) => "ae".includes(state.store.statusCodes[n]) && !state.store.linked.has(n)),
  unsure: () => selectTracklets((n) => state.store.statusCodes[n] === "?"),
  flagged: () => selectTracklets((n) => state.store.flagged.has(n)),
  all: () => selectTracklets(() => true),
  differ: () => state.store.differ,
  found: () => state.found,
};

/** @type {(isWanted: (n: number) => boolean) => number[]} */
const selectTracklets = (isWanted) =>
  Array.from({ length: state.store.n }, (_, n) => n).filter(isWanted);

/**
 * @param {View} name
 * @param {number[]} [order] of its tracklets, where it is known
 */
export function setView(name, order = VIEWS[name]()) {
  if (name === "review" && state.view !== "review") refreshOrder();
  if (name === "link") refreshLinked();
  state.view = name;
  $("view", HTMLSelectElement).value = name;
  setOrder(order, 0);
  show(0);
}

export function showNextView() {
  const names = /** @type {View[]} */ (Object.keys(VIEWS));
  setView(names[(names.indexOf(state.view) + 1) % names.length]);
}

/**
 * @param {number[]} order
 * @param {number} at
 */
export function setOrder(order, at) {
  state.order = order;
  state.queue.show(order, at);
}

/** @param {number} place in the order */
export function show(place) {
  stopPlaying();
  closeComparison();
  for (const id of ["video", "persons", "timeline"]) $(id).hidden = true;
  if (state.mode !== "batch") {
    state.mode = "browse";
    document.body.classList.remove("wide");
  }
  state.at = Math.max(0, Math.min(place, state.order.length - 1));
  state.queue.move(state.at);
  const n = state.order.at(state.at);
  $("nothing").hidden = n !== undefined;
  $("one").hidden = n === undefined || state.mode === "batch";
  if (n === undefined) {
    showNothing();
    return;
  }
  scrollToMain();
  state.selection = emptySelection();
  state.entry = state.store.get(n);
  state.shownAt_ms = performance.now();
  if (state.entry.detail) render();
  else waitFor(state.entry);
  requestAnimationFrame(() => setTimeout(preload, 0));
}

function showNothing() {
  state.entry = null;
  const { store, keys } = state;
  const [view, conflicts] = [keys.of("view"), keys.of("conflicts")];
  const next = `Next: link persons (${view}), resolve conflicts (${conflicts})`;
  $("nothing").textContent =
    store.nDone === store.nMine
      ? `All tracklets are reviewed. ${next}, then run \`lpw clean --apply\`.`
      : `This view is empty. Press ${view} for the next one.`;
  state.candidates.clear();
  showKeyHints();
}

/** @param {import("./store.js").Entry} entry */
function waitFor(entry) {
  $("id").textContent = state.store.ids[entry.n];
  $("facts").textContent = "loading …";
  for (const id of ["reasons", "pieces", "notes"]) $(id).textContent = "";
  state.sheet.clear();
  state.candidates.clear();
  const showIt = () => {
    if (state.entry !== entry) return;
    state.shownAt_ms = performance.now();
    render();
  };
  entry.ready.then(showIt, () => {});
}

export function preload() {
  if (!state.entry) return;
  const { store, order, at, view } = state;
  const wanted = [];
  for (let i = at + 1; i < order.length && wanted.length < N_AHEAD; i++) {
    if (view !== "review" || store.isOpen(order[i])) wanted.push(order[i]);
  }
  const ahead = wanted.map((n) => store.get(n));
  store.keepAlive(state.entry);
  const count = () => {
    document.body.dataset.ahead = String(ahead.filter(({ detail }) => detail).length);
  };
  count();
  for (const { ready } of ahead) ready.then(count, () => {});
}

/** Shows the next tracklet; of those to review, the next that is still open. */
export function showNext() {
  const { order, at, view, store } = state;
  const isWanted = (/** @type {number} */ n) => view !== "review" || store.isOpen(n);
  const next = order.findIndex((n, place) => place > at && isWanted(n));
  if (next >= 0) {
    show(next);
    return;
  }
  if (view !== "review") {
    showNote("This was the last one.");
    return;
  }
  const first = order.findIndex(isWanted);
  if (first < 0) setOrder([], 0);
  show(Math.max(0, first));
}

/** Counts decisions; asks for the order of the queue again after some. */
export function refreshOrderSometimes() {
  const every = state.store.n > N_MANY ? REFRESH_EVERY_MANY : REFRESH_EVERY;
  if (++state.nSinceRefresh >= every) refreshOrder();
}

/** Asks who is linked, also by undos and by other tabs, and lists those who are not. */
async function refreshLinked() {
  const { store } = state;
  try {
    const { linked } = await fetchJson("/api/codes");
    const waiting = state.outbox.waiting.length ? store.linked : [];
    store.linked = new Set([...linked, ...waiting]);
  } catch (error) {
    reportFailure(error);
    return;
  }
  if (state.view !== "link") return;
  const shown = state.entry?.n ?? -1;
  const order = VIEWS.link();
  const at = order.indexOf(shown);
  setOrder(order, Math.max(0, at));
  if (at < 0) show(0);
  else state.at = at;
}

async function refreshOrder() {
  state.nSinceRefresh = 0;
  try {
    const fresh = state.store.takeOrder(await fetchJson("/api/order"));
    if (state.view === "review") {
      const head = state.order.slice(0, state.at + 1 + N_AHEAD); // what is loaded stays
      const known = new Set(head);
      setOrder([...head, ...fresh.filter((n) => !known.has(n))], state.at);
    }
    showProgress();
  } catch (error) {
    reportFailure(error);
  }
}
