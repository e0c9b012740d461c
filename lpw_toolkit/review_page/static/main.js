// The page of `lpw clean --review`: one tracklet at a time, by keyboard. Makes the parts of the
// page and wires them.

import { goToAddress, keepAddress } from "./address.js";
import { ServerError, fetchJson } from "./api.js";
import { BatchAccept } from "./batch_accept.js";
import { Candidates } from "./candidates.js";
import { Chart } from "./chart.js";
import { pin } from "./compare.js";
import { chooseFrame } from "./cut.js";
import { toRecord, undo } from "./decide.js";
import { $, closest } from "./dom.js";
import { handleKey, pressKey } from "./keyboard.js";
import { Keys } from "./keys.js";
import { leaveMode } from "./modes.js";
import { preload, setView, show } from "./navigate.js";
import { chooseCandidate, makeActions } from "./operations.js";
import { Outbox } from "./outbox.js";
import * as panels from "./panels.js";
import { listenToPersons } from "./persons.js";
import { QueueList } from "./queue.js";
import { Sheet } from "./sheet.js";
import { state } from "./state.js";
import {
  reportFailure,
  showBanner,
  showNote,
  showProgress,
  showRecords,
  showSaved,
} from "./status.js";
import { Store } from "./store.js";
import { addWaiting, markPending, onOtherTab, onRefused, onSaved, settle } from "./sync.js";
import { watchOthers } from "./team.js";
import { listenToTimeline } from "./timeline.js";
import { render } from "./tracklet.js";
import { clickVideo } from "./video.js";

const RETRY_MS = 1000;

async function begin() {
  /** @type {import("./api.js").Start} */
  let start;
  try {
    start = await fetchJson("/api/start");
  } catch (error) {
    if (error instanceof ServerError && error.status === 403) {
      showBanner("Open the address that `lpw clean --review` printed last.");
    } else {
      showBanner(`The server does not answer: ${error}`);
      setTimeout(begin, RETRY_MS);
    }
    return;
  }
  build(start);
  listen();
  await state.outbox.adopt();
  markPending(state.outbox.waiting);
  setView(
    "review",
    start.order.filter((n) => state.store.isOpen(n)),
  );
  showProgress();
  showRecords();
  showSaved();
  const markFirst = () => requestAnimationFrame(() => performance.mark("first-tracklet"));
  state.entry?.ready.then(markFirst, () => {});
  await goToAddress();
  keepAddress();
  watchOthers();
}

/** @param {import("./api.js").Start} start */
function build(start) {
  const place = `lpw.out.${start.dataset.slice(0, 16)}.${start.reviewer}`;
  const onReconnect = () => (state.entry?.detail ? preload() : show(state.at));
  state.reviewer = start.reviewer;
  state.operations = start.operations;
  state.keys = new Keys(makeActions(start.operations));
  state.store = new Store(start, reportFailure, addWaiting);
  const listener = { onSaved, onRefused, onChange: showSaved, onReconnect, onDrained: settle };
  state.outbox = new Outbox(place, listener);
  state.channel = new BroadcastChannel(place);
  state.records = start.last.map(toRecord);
  state.pace_ms = start.spent;
  state.queue = new QueueList(state.store, (at) => {
    if (state.mode === "batch") leaveMode();
    show(at);
  });
  state.sheet = new Sheet(chooseFrame);
  state.chart = new Chart(chooseFrame);
  state.candidates = new Candidates(chooseCandidate);
  state.batch = new BatchAccept(state.store);
  state.order = start.order;
  $("name").textContent = start.name;
  document.title = `${start.name} – lpw clean --review`;
  $("who").textContent = start.reviewer;
  for (const line of start.repairs) showNote(line);
}

function listen() {
  state.channel.addEventListener("message", onOtherTab);
  document.addEventListener("keydown", pressKey);
  // A button that a mouse has pressed does not take the keys from the page.
  for (const id of ["key-hints", "candidates", "decisions", "pinned", "reasons"]) {
    $(id).addEventListener("mousedown", (event) => event.preventDefault());
  }
  $("key-hints").addEventListener("click", (event) => {
    const key = closest(event, "button")?.dataset.key;
    if (key) handleKey(key);
  });
  $("decisions").addEventListener("click", (event) => {
    const place = closest(event, "button")?.dataset.place;
    if (place) undo(state.records[Number(place)]);
  });
  $("pinned").addEventListener("click", pin);
  listenToPersons();
  listenToTimeline();
  $("video-canvas").addEventListener("click", clickVideo);
  const view = $("view", HTMLSelectElement);
  view.addEventListener("change", () => {
    setView(/** @type {import("./state.js").View} */ (view.value));
    view.blur();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) state.hiddenAt_ms = performance.now();
    else state.shownAt_ms += performance.now() - state.hiddenAt_ms;
  });
  $("dialog").addEventListener("cancel", (event) => {
    event.preventDefault();
    panels.close();
  });
  addEventListener("resize", () => {
    state.sheet.size = null;
    if (state.entry?.detail) render(true);
  });
  addEventListener("beforeunload", (event) => {
    if (state.outbox.waiting.length && !state.outbox.keeps) event.preventDefault();
  });
}

begin();
