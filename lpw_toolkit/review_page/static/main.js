// The page of `lpw clean --review`: one tracklet at a time, by keyboard.

import { $, LETTER, STATUS, count, duration, element, tell, tellRanges, title } from "./words.js";
import { ACTIONS, Keys, keyOf } from "./keys.js";
import { Outbox } from "./outbox.js";
import { Store, ask, changeRanges, foresee, letterOf } from "./store.js";
import { QueueList } from "./queue.js";
import { Sheet } from "./sheet.js";
import { Chart } from "./chart.js";
import { Persons } from "./persons.js";
import { MARKS, Twelve } from "./twelve.js";
import * as panels from "./panels.js";

const N_AHEAD = 5, N_PACE = 50, MAX_SPENT_MS = 300_000, PLAY_MS = 120, N_LAST = 5;
const keys = new Keys();
let store, outbox, queue, sheet, chart, persons, twelve, channel;
let order = [], at = -1, view = "review";
let entry = null;  // what is shown
let mode = "look", piece = 0, cursor = -1, anchor = -1, range = null, cut = null, allFrames = false, playing = 0;
let shownAt = performance.now(), hiddenAt = 0, sinceRefit = 0;
let done = [];  // decisions, the newest first: {request, n, state, undone, before}
let pace = [];  // milliseconds of the last tracklets

// ---- beginning ---------------------------------------------------------------------------------------------------
async function begin() {
  let start;
  try {
    start = await ask("/api/start");
  } catch (error) {
    banner(error.status === 403 ? "Open the address that `lpw clean --review` printed last." : `The server does not answer: ${error.message}`);
    if (error.status !== 403) setTimeout(begin, 1000);
    return;
  }
  store = new Store(start, failed);
  const place = `lpw.out.${start.dataset.slice(0, 16)}.${start.reviewer}`;
  outbox = new Outbox(place, { saved, refused, changed: showSaved, back: () => (entry?.detail ? preload() : show(at)) });
  channel = new BroadcastChannel(place);
  channel.onmessage = ({ data }) => takeTouched(data, true);
  done = start.last.map((each) => ({ request: each, n: each.n, state: "saved", undone: each.undone }));
  pace = start.spent;
  queue = new QueueList(store, (place) => { if (mode === "twelve") leave(); show(place); });
  sheet = new Sheet((frame, more) => pick(frame, more));
  chart = new Chart((frame, more) => (mode === "cut" ? moveCut(frame) : pick(frame, more)));
  persons = new Persons(pickPerson);
  twelve = new Twelve(store);
  $("name").textContent = start.name;
  document.title = `${start.name} – lpw clean --review`;
  $("who").textContent = start.reviewer;
  for (const line of start.repairs) note(line);
  order = start.order;
  listen();
  await outbox.adopt();
  expect(outbox.waiting);
  setView("review", start.order.filter((n) => store.letters[n] === "u"));
  showProgress();
  showLast();
  showSaved();
  entry?.ready.then(() => requestAnimationFrame(() => performance.mark("first-tracklet")), () => {});
}

/** Decisions of before, still on their way: nobody is asked again what they are about, and they can be undone. */
function expect(requests) {
  const judged = { accept: "a", reject: "r" };
  const numbers = new Map(requests.length ? store.ids.map((id, n) => [id, n]) : []);
  for (const request of requests) {
    const { uuid, operation, tracklets } = request;
    for (const name of tracklets) if (judged[operation] && numbers.has(name)) store.setLetter(numbers.get(name), judged[operation]);
    if (operation === "undo" || done.some((each) => each.request.uuid === uuid)) continue;
    const n = numbers.get(tracklets[0]?.replace(/@\d+-\d+$/, "")) ?? null;
    done.unshift({ request, n, state: "sending", undone: false });
  }
}

function listen() {
  document.addEventListener("keydown", press);
  $("moment").addEventListener("click", (event) => { const key = event.target.closest("button")?.dataset.key; if (key) handle(key, false); });
  $("decisions").addEventListener("click", (event) => { const i = event.target.closest("button")?.dataset.place; if (i) undo(done[i]); });
  $("view").addEventListener("change", () => { setView($("view").value); $("view").blur(); });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hiddenAt = performance.now();
    else { shownAt += performance.now() - hiddenAt; }
  });
  $("dialog").addEventListener("cancel", (event) => { event.preventDefault(); panels.close(); });
  addEventListener("resize", () => { if (sheet) { sheet.size = null; if (entry?.detail) render(true); } });
  addEventListener("beforeunload", (event) => { if (outbox.waiting.length && !outbox.keeps) event.preventDefault(); });
}

// ---- the queue ---------------------------------------------------------------------------------------------------
const VIEWS = {
  review: () => order,
  link: () => everyone((n) => (store.letters[n] === "a" || store.letters[n] === "e") && !store.linked.has(n)),
  unsure: () => everyone((n) => store.letters[n] === "?"),
  all: () => everyone(() => true),
  differ: () => store.differ ?? [],
};

function everyone(wanted) {
  const found = [];
  for (let n = 0; n < store.n; n++) if (wanted(n)) found.push(n);
  return found;
}

function setView(name, fresh) {
  if (name === "review" && view !== "review") { refit(true); }
  view = $("view").value = name;
  order = fresh ?? (name === "review" ? everyone((n) => store.letters[n] === "u") : VIEWS[name]());
  queue.show(order, 0);
  show(0);
}

function show(place) {
  stop();
  mode = mode === "twelve" ? mode : "look";
  at = Math.max(0, Math.min(place, order.length - 1));
  queue.move(at);
  const n = order[at];
  $("nothing").hidden = n !== undefined;
  $("one").hidden = n === undefined || mode === "twelve";
  if (n === undefined) {
    entry = null;
    $("nothing").textContent = store.nDone === store.nMine ? "All tracklets are reviewed. What is left: l to link, g to settle; then `lpw clean --apply`." : "Nothing here. Press l for another view.";
    persons.clear();
    showMoment();
    return;
  }
  clear();
  entry = store.get(n);
  shownAt = performance.now();
  if (entry.detail) render();
  else { wait(entry); }
  requestAnimationFrame(() => setTimeout(preload, 0));
}

function clear() {
  piece = 0; cursor = anchor = -1; range = null; cut = null; allFrames = false;
}

function wait(wanted) {
  $("id").textContent = store.ids[wanted.n];
  $("facts").textContent = "loading …";
  for (const id of ["reasons", "pieces", "notes"]) $(id).textContent = "";
  sheet.clear();
  persons.clear();
  wanted.ready.then(() => { if (entry === wanted) { shownAt = performance.now(); render(); } }, () => {});
}

function preload() {
  if (!entry) return;
  const ahead = [];
  for (let i = at + 1, left = N_AHEAD; i < order.length && left; i++) {
    if (view === "review" && store.letters[order[i]] !== "u") continue;
    ahead.push(store.get(order[i]));
    left--;
  }
  store.keepAlive(entry);
  const tell = () => { document.body.dataset.ahead = ahead.filter((each) => each.detail).length; };
  tell();
  for (const each of ahead) each.ready.then(tell, () => {});
}

function next() {
  let place = at + 1;
  if (view === "review") while (place < order.length && store.letters[order[place]] !== "u") place++;
  if (place < order.length) { show(place); return; }
  const first = view === "review" ? order.findIndex((n) => store.letters[n] === "u") : -1;
  if (first >= 0) show(first);
  else if (view === "review") { order = []; queue.show(order, 0); show(0); } else note("This was the last one.");
}

async function refit(now = false) {
  const every = store.n > 20_000 ? 60 : 12;
  if (!now && ++sinceRefit < every) return;
  sinceRefit = 0;
  try {
    const found = await ask("/api/order");
    const fresh = store.takeOrder(found);
    if (view === "review") {
      const head = order.slice(0, at + 1 + N_AHEAD), known = new Set(head);
      order = head.concat(fresh.filter((n) => !known.has(n)));
      queue.show(order, at);
    }
    showProgress();
  } catch (error) {
    failed(error);
  }
}

// ---- one tracklet ------------------------------------------------------------------------------------------------
function render(anew = false) {
  const { detail } = entry;
  piece = Math.min(piece, detail.pieces.length - 1);
  if (!anew && detail.pieces.length > 1) piece = Math.max(0, detail.pieces.findIndex((each) => each.status === "unreviewed"));
  $("one").hidden = mode === "twelve";
  $("nothing").hidden = true;
  $("id").textContent = detail.id;
  $("facts").textContent = `${detail.camera} · ${count(detail.n_frames)} frames${store.random.has(entry.n) ? " · drawn at random" : ""}`;
  $("reasons").replaceChildren(...detail.reasons.slice(0, 4).map((reason) => element("span", "reason", `${reason.title} ${Math.round(100 * reason.score)}`)));
  if (!detail.reasons.length) $("reasons").append(element("span", "none", "nothing suspicious"));
  if (allFrames) sheet.showAll(entry); else if (cut !== null) sheet.showClose(entry, cut); else sheet.showSample(entry);
  persons.show(entry, mode);
  mark();
  showMoment();
}

function mark() {
  const { detail } = entry, now = detail.pieces[piece];
  const parts = detail.pieces.map((each, i) => {
    const span = element("span", `piece ${each.status}${i === piece ? " now" : ""}`);
    const dropped = each.dropped.length ? `, without ${tellRanges(each.dropped)}` : "";
    const why = each.reasons.length ? `: ${each.reasons.map(title).join(", ")}` : "";
    const frames = detail.pieces.length > 1 ? `frames ${each.start}–${each.stop - 1} ` : "";
    span.textContent = `${frames}${STATUS[each.status]}${why}${dropped}`;
    return span;
  });
  $("pieces").replaceChildren(...parts);
  $("notes").replaceChildren(...now.flags.map((flag) => element("span", "flag", flag)),
    ...now.comments.map(([who, text]) => element("span", "comment", `${who}: ${text}`)),
    ...(detail.verdicts ?? []).map(([who, word]) => element("span", "comment", `${who} says ${word}`)));
  const marks = { pieces: detail.pieces, piece: now, range, cursor, cut, drops: detail.drops };
  sheet.mark(marks);
  chart.show(detail, marks);
}

function pick(frame, more) {
  if (!entry?.detail || mode === "cut") { if (mode === "cut") moveCut(frame); return; }
  if (!more || anchor < 0) anchor = frame;
  cursor = frame;
  const low = Math.min(anchor, frame), high = Math.max(anchor, frame);
  range = [low, high + 1];
  sheet.reveal(frame);
  mark();
  showMoment();
}

function moveCursor(step, more) {
  const tiles = sheet.tiles;
  if (!tiles.length) return;
  const now = tiles.findIndex((tile) => tile.position === cursor);
  const place = now < 0 ? (step > 0 ? 0 : tiles.length - 1) : Math.max(0, Math.min(tiles.length - 1, now + step));
  pick(tiles[place].position, more);
}

function rowLength() {
  const top = sheet.tiles[0]?.node.offsetTop;
  const next = sheet.tiles.findIndex((tile) => tile.node.offsetTop !== top);
  return next < 0 ? sheet.tiles.length : next;
}

function stop() {
  if (playing) clearInterval(playing);
  playing = 0;
  $("stage").hidden = true;
}

/** Every frame, large, one after the other; what is not here yet is waited for. */
function play() {
  if (playing) { stop(); return; }
  if (!allFrames && sheet.mode === "sample") { allFrames = true; sheet.showAll(entry); mark(); }
  const now = entry.detail.pieces[piece];
  let frame = cursor < 0 ? now.start : cursor;
  playing = setInterval(() => {
    const tile = sheet.tiles[frame];
    if (!tile || frame >= now.stop) { stop(); return; }
    if (!sheet.enlarge(tile, $("stage"))) return;
    cursor = frame++;
    mark();
  }, PLAY_MS);
}

// ---- deciding ----------------------------------------------------------------------------------------------------
function decide(operation, tracklets, arguments_ = {}, about = [entry.n]) {
  const spent = Math.round(Math.max(0, Math.min(MAX_SPENT_MS, performance.now() - shownAt)));
  const request = { uuid: crypto.randomUUID(), operation, tracklets, arguments: arguments_, spent_ms: spent };
  const record = { request, n: about[0] ?? null, state: "sending", undone: false, before: new Map() };
  if (operation !== "undo") {
    for (const n of about) apply(n, request, record);
    done.unshift(record);
    done.length = Math.min(done.length, 200);
  }
  shownAt = performance.now();
  outbox.add(request);
  showLast();
  showProgress();
  return record;
}

function apply(n, request, record) {
  const known = store.entries.get(n)?.detail;
  record.before.set(n, { letter: store.letters[n], pieces: known?.pieces });
  if (known) {
    known.pieces = foresee(known.pieces, known.id, known.n_frames, request);
    store.setLetter(n, letterOf(known.pieces));
  } else if (request.operation === "accept" || request.operation === "reject") {
    store.setLetter(n, request.operation[0]);
  }
}

function accept() {
  const { pieces, id } = entry.detail;
  const kept = pieces.filter((each) => each.status !== "rejected");
  const names = kept.length === pieces.length && pieces.length === 1 ? [id] : (kept.length ? kept : [pieces[piece]]).map((each) => each.name);
  pace.push(performance.now() - shownAt);
  decide("accept", names);
  next();
}

function reject(reason) {
  const { pieces } = entry.detail;
  const alone = pieces.length === 1;
  if (alone) pace.push(performance.now() - shownAt);
  decide("reject", [pieces[piece].name], { reason });
  enter("look");
  if (alone) next();
  else { piece = Math.max(0, entry.detail.pieces.findIndex((each) => each.status === "unreviewed")); mark(); }
}

function dropFrames(ranges) {
  const now = entry.detail.pieces[piece];
  const inside = ranges.map(([a, b]) => [Math.max(a, now.start), Math.min(b, now.stop)]).filter(([a, b]) => a < b);
  if (!inside.length) { note("These frames belong to another piece: ] and [ change the piece."); return; }
  const isGone = inside.every(([a, b]) => now.dropped.some(([c, d]) => c <= a && b <= d));
  const left = changeRanges([[now.start, now.stop]], changeRanges(now.dropped, inside, true), false);
  if (!isGone && !left.length) { note("No frame would be left: x rejects it."); return; }
  decide(isGone ? "restore_frames" : "drop_frames", [now.name], { frames: inside });
  range = null;
  anchor = -1;
  mark();
  showMoment();
}

function beginCut() {
  const now = entry.detail.pieces[piece];
  const inside = entry.detail.cuts.filter((each) => now.start < each && each < now.stop);
  if (now.stop - now.start < 2) { note("One frame cannot be split."); return; }
  cut = inside[0] ?? (cursor > now.start && cursor < now.stop ? cursor : Math.floor((now.start + now.stop) / 2));
  range = null;
  cursor = anchor = -1;
  enter("cut");
  moveCut(cut);
}

function moveCut(to) {
  const now = entry.detail.pieces[piece];
  cut = Math.max(now.start + 1, Math.min(now.stop - 1, to));
  if (!allFrames) sheet.showClose(entry, cut);
  sheet.reveal(cut);
  mark();
  showMoment();
}

function nextCut(step) {
  const now = entry.detail.pieces[piece];
  const cuts = entry.detail.cuts.filter((each) => now.start < each && each < now.stop);
  if (cuts.length) moveCut(cuts[(cuts.indexOf(cut) + step + cuts.length) % cuts.length]);
}

function split() {
  const now = entry.detail.pieces[piece], where = cut;
  decide("split", [now.name], { at: where });
  enter("look");
}

function pickPerson(kind, place) {
  if (!entry?.detail) return;
  const { merges, across, members, pieces } = entry.detail, name = pieces[piece].name;
  const other = { merge: merges, across, member: members }[kind]?.[place];
  if (!other) { note("There is no such candidate."); return; }
  if (mode === "apart") decide("unlink", [name, other.piece ?? other.name]);
  else if (kind === "merge") decide("merge", [name, other.piece]);
  else if (kind === "across") decide("link", [name, other.piece]);
  else { lookAt(other.n); return; }
  store.linked.add(entry.n);
  enter("look");
}

function none() {
  const { across, pieces } = entry.detail;
  if (!across.length) { note("Nobody is proposed."); return; }
  decide("unlink", [pieces[piece].name, ...across.map((each) => each.piece)]);
  store.linked.add(entry.n);
  if (view === "link") next();
}

function unsure() {
  decide("flag", entry.detail.pieces.map((each) => each.name), { flag: "unsure" });
  if (view === "link") store.linked.add(entry.n);
  next();
}

function undo(record = done.find((each) => !each.undone && each.state !== "refused" && each.request.operation !== "undo")) {
  if (!record) { note("Nothing to undo."); return; }
  if (record.undone && !record.undoneBy) { note("It was undone before this page was opened."); return; }
  const of = record.undone ? record.undoneBy : record.request.uuid;
  const again = record.undone;
  const made = decide("undo", [], { of }, []);
  record.undone = !again;
  record.undoneBy = again ? null : made.request.uuid;
  const about = record.before ? [...record.before.keys()] : [record.n];
  for (const n of about) {
    const before = record.before?.get(n), known = store.entries.get(n)?.detail;
    const later = done.some((each) => each !== record && !each.undone && done.indexOf(each) < done.indexOf(record) && (each.before?.has(n) || each.n === n));
    if (before && !again && !later) {
      store.setLetter(n, before.letter);
      if (known && before.pieces) known.pieces = before.pieces;
    }
  }
  showLast();
  showProgress();
  if (mode === "twelve") { twelve.open(); return; }
  if (record.n !== null) lookAt(record.n);
}

function lookAt(n) {
  if (entry?.n === n) { enter("look"); queue.draw(); return; }
  let place = order.indexOf(n);
  if (place < 0) { place = at; order.splice(at, 0, n); queue.show(order, at); }
  show(place);
}

// ---- what the server says ----------------------------------------------------------------------------------------
function saved(request, answer) {
  const record = done.find((each) => each.request.uuid === request.uuid);
  if (record) record.state = "saved";
  takeTouched(answer.touched, false);
  channel.postMessage(answer.touched);
  if (["merge", "link", "unlink", "assign_person", "undo"].includes(request.operation)) renew(answer.touched.map((each) => each.n));
  showLast();
  showProgress();
  if (request.operation === "accept" || request.operation === "reject") refit();
}

/** Pieces as the log has them; not where a later decision about the same tracklet is still on its way. */
function takeTouched(touched, elsewhere) {
  for (const { n, letter, pieces } of touched) {
    const id = store.ids[n];
    const isLater = outbox.waiting.some(({ tracklets, operation }) => operation === "undo" || tracklets.some((name) => name === id || name.startsWith(`${id}@`)));
    if (isLater) continue;
    store.setLetter(n, letter);
    const known = store.entries.get(n)?.detail;
    if (known) known.pieces = pieces;
    if (known && entry?.n === n) { piece = Math.min(piece, pieces.length - 1); mark(); }
  }
  queue.draw();
  if (elsewhere) { showProgress(); if (touched.some(({ n }) => entry?.n === n)) note("Another tab has just decided on this tracklet."); }
}

async function renew(numbers) {
  const isShown = entry && numbers.includes(entry.n);
  store.forget(numbers);
  if (!isShown) return;
  const wanted = store.get(entry.n), was = entry;
  try {
    await wanted.ready;
  } catch { return; }
  if (entry === was) { entry = wanted; render(true); }
}

function refused(request, why) {
  const record = done.find((each) => each.request.uuid === request.uuid);
  if (record) record.state = "refused";
  note(`Not saved, ${tell(request)}: ${why}`);
  const numbers = record?.before ? [...record.before.keys()] : [];
  for (const n of numbers) store.setLetter(n, record.before.get(n).letter);
  renew(numbers);
  showLast();
  showProgress();
}

function failed(error) {
  if (error.status === undefined) outbox?.doubt("lost");
  else if (error.status === 403) outbox?.doubt("token");
  else note(error.message);
}

function banner(text) {
  $("banner").textContent = text;
  $("banner").hidden = !text;
}

function showSaved() {
  const n = outbox.waiting.length, { trouble } = outbox;
  const kept = n ? ` ${count(n)} ${n === 1 ? "decision is" : "decisions are"} kept ${outbox.keeps ? "in this browser" : "in this tab only: do not close it"} and will be sent.` : "";
  const words = { lost: "The server does not answer.", token: "The server was started anew: open the address that it printed." };
  banner(trouble ? `${words[trouble] ?? `Not saved: ${trouble}`}${kept}` : "");
  $("saved").textContent = trouble ? `not saved: ${count(n)}` : n ? `saving ${count(n)} …` : "saved";
  $("saved").dataset.state = trouble ? "lost" : n ? "sending" : "saved";
}

// ---- words around it ---------------------------------------------------------------------------------------------
let noteTimer = 0;
function note(text) {
  let node = $("note");
  if (!node) { node = element("p"); node.id = "note"; node.setAttribute("role", "status"); document.body.append(node); }
  node.textContent = text;
  node.hidden = false;
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => { node.hidden = true; }, 6000);
}

function showProgress() {
  const left = store.nMine - store.nDone, recent = pace.slice(-N_PACE).map((ms) => Math.min(ms, MAX_SPENT_MS));
  const mean = recent.length ? recent.reduce((sum, ms) => sum + ms, 0) / recent.length / 1000 : 0;
  $("bar").value = store.nDone / Math.max(store.nMine, 1);
  $("progress").textContent = `${count(store.nDone)} of ${count(store.nMine)} reviewed`;
  $("pace").textContent = recent.length ? `${mean.toFixed(1)} s per tracklet, ${duration(mean * left)} left` : "";
  $("told").textContent = store.told;
}

function showLast() {
  const last = done.slice(0, N_LAST).map((record, i) => {
    const line = element("li", `${record.state}${record.undone ? " undone" : ""}`);
    const button = element("button", "", record.undone ? "redo" : "undo");
    button.dataset.place = i;
    const what = `${tell(record.request)} ${record.n === null ? "" : store.ids[record.n]}`;
    button.setAttribute("aria-label", `${record.undone ? "redo" : "undo"}: ${what}`);
    line.append(element("kbd", mode === "undo" ? "" : "off", i + 1), element("span", "what", what), button);
    return line;
  });
  $("decisions").replaceChildren(...last);
}

const MODES = {
  reject: () => [...store.reasons.map((reason, i) => [String((i + 1) % 10), title(reason)]), ["Space", "no reason"], ["Escape", "leave"]],
  cut: () => [["ArrowLeft", "earlier"], ["ArrowRight", "later"], ["ArrowUp", "other cut"], ["Enter", `split before ${cut}`], ["Escape", "leave"]],
  merge: () => [["1", "… 9 merge with"], ["Escape", "leave"]],
  apart: () => [["1", "… 9 is not the same"], ["Escape", "leave"]],
  undo: () => [["1", "… 5 undo"], ["Escape", "leave"]],
  twelve: () => [[keys.of("accept"), "accept all that are not left out"], [keys.of("reject"), "reject those left out: no person"], [keys.of("undo"), "undo"], ["Escape", "leave"]],
};

function momentOf() {
  if (MODES[mode]) return MODES[mode]();
  if (!entry?.detail) return [["view"], ["settle"], ["help"]].map(([name]) => [keys.of(name), ACTIONS.find((each) => each.name === name).title]);
  const names = ["accept", "reject", ...(range ? ["drop"] : []), ...(entry.detail.drops.length ? ["drop_suggested"] : []), "split", "merge",
    ...(entry.detail.across.length ? ["none"] : []), "unsure", "undo", "all_frames", "play", "twelve", "comment", "flag", "settle", "help"];
  const list = names.map((name) => [keys.of(name), { settle: `${entry.detail.n_clashes} to settle` }[name] ?? ACTIONS.find((each) => each.name === name).title.replace(/,? or .*/, "")]);
  if (entry.detail.across.length) list.splice(names.indexOf("none"), 0, ["1", "… 9 link"]);
  return list;
}

let lastMoment = "";
function showMoment() {
  const list = momentOf(), text = JSON.stringify(list);
  if (text === lastMoment) return;
  lastMoment = text;
  $("moment").replaceChildren(...list.map(([key, word]) => {
    const button = element("button");
    button.dataset.key = key;
    button.tabIndex = -1;
    button.append(element("kbd", "", { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑ ↓", Escape: "Esc" }[key] ?? key), ` ${word}`);
    return button;
  }));
}

// ---- keys --------------------------------------------------------------------------------------------------------
function enter(name) {
  const was = mode;
  mode = name;
  if (name !== "cut" && cut !== null) cut = null;
  $("twelve").hidden = name !== "twelve";
  $("one").hidden = name === "twelve" || !entry;
  document.body.classList.toggle("wide", name === "twelve");
  if (entry?.detail && name !== "twelve") render(true);
  if (was === "undo" || name === "undo") showLast();
  showMoment();
}

function leave() {
  if (mode !== "look") { const was = mode; enter("look"); if (was === "twelve") { if (view === "review" && store.letters[order[at]] !== "u") next(); else show(at); } } else { range = null; cursor = anchor = -1; stop(); if (entry?.detail) { mark(); showMoment(); } }
}

function press(event) {
  const target = event.target;
  if (panels.isOpen()) {
    if (event.key === "Escape") { event.preventDefault(); panels.close(); }
    return;
  }
  if (target instanceof Element && target.closest("textarea, input, select")) return;
  const key = keyOf(event);
  if (!key || key === "Tab") return;
  if ((key === "Enter" || key === "Space") && target instanceof Element && target.closest("button, a")) return;
  if (handle(key, event.shiftKey, event.repeat)) event.preventDefault();
}

/** Does what a key means now; whether it means anything. */
function handle(key, shift, repeat = false) {
  if (key === "Escape") { leave(); return true; }
  if (mode === "twelve") return handleTwelve(key, repeat);
  if (MODES[mode]) return handleMode(key, shift);
  const arrows = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -rowLength(), ArrowDown: rowLength() };
  if (key in arrows && entry?.detail) { moveCursor(arrows[key], shift); return true; }
  if (/^[1-9]$/.test(key) && keys.action(key) === undefined) { if (entry?.detail && !repeat) pickPerson("across", Number(key) - 1); return true; }
  const name = keys.action(key);
  if (!name) return false;
  if (repeat && name !== "next" && name !== "previous") return true;  // a key held down decides once
  const doing = DOING[name];
  if (NEEDS_NOTHING.has(name)) doing();
  else if (entry?.detail) doing();
  return true;
}

const NEEDS_NOTHING = new Set(["next", "previous", "undo", "undo_one", "twelve", "view", "settle", "help"]);
const DOING = {
  accept, split: beginCut, none, unsure, next, play,
  reject: () => enter("reject"),
  merge: () => (entry.detail.merges.length ? enter("merge") : note("Nobody of this camera fits.")),
  apart: () => enter("apart"),
  undo: () => undo(),
  undo_one: () => enter("undo"),
  previous: () => show(at - 1),
  drop: () => (range ? dropFrames([range]) : note("Choose frames with ← and →, a range with Shift.")),
  drop_suggested: () => (entry.detail.drops.length ? dropFrames(entry.detail.drops) : note("No frames are suggested.")),
  person: () => panels.askText("Number of this person in the scene", { number: true }, (person) => decide("assign_person", [entry.detail.pieces[piece].name], { person })),
  flag: () => { decide("flag", [entry.detail.pieces[piece].name], { flag: "look-again" }); mark(); },
  comment: () => panels.askText("Comment", {}, (text) => { decide("comment", [entry.detail.pieces[piece].name], { text }); mark(); }),
  next_piece: () => turnPiece(1),
  previous_piece: () => turnPiece(-1),
  all_frames: () => { allFrames = !allFrames; render(true); },
  twelve: () => { stop(); if (twelve.open()) enter("twelve"); else note("Nothing is left to review."); },
  view: () => { const names = Object.keys(VIEWS); setView(names[(names.indexOf(view) + 1) % names.length]); },
  settle: async () => {
    try {
      panels.showClashes(await ask("/api/clashes"), lookAt, (decision) => undo(done.find((each) => each.request.uuid === decision.uuid)
        ?? { request: decision, n: decision.n, undone: false, state: "saved" }));
    } catch (error) { failed(error); }
  },
  help: () => panels.showHelp(keys, () => { lastMoment = ""; showMoment(); }),
};

function turnPiece(step) {
  const { pieces } = entry.detail;
  piece = (piece + step + pieces.length) % pieces.length;
  mark();
}

function handleMode(key, shift) {
  if (mode === "reject") {
    if (/^[0-9]$/.test(key)) { const reason = store.reasons[(Number(key) + 9) % 10]; if (reason) reject(reason); }
    else if (key === "Space" || key === "Enter" || keys.action(key) === "reject") reject(null);
    return true;
  }
  if (mode === "cut") {
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    if (key in steps) moveCut(cut + steps[key] * (shift ? 10 : 1));
    else if (key === "ArrowUp" || key === "ArrowDown") nextCut(key === "ArrowUp" ? -1 : 1);
    else if (key === "Enter" || keys.action(key) === "split") split();
    else if (keys.action(key) === "all_frames") { allFrames = !allFrames; render(true); moveCut(cut); }
    return true;
  }
  if (/^[1-9]$/.test(key)) {
    const place = Number(key) - 1;
    if (mode === "merge") pickPerson("merge", place);
    else if (mode === "apart") pickPerson(entry.detail.members.length ? "member" : "across", place);
    else if (mode === "undo" && done[place]) { enter("look"); undo(done[place]); }
  } else if (keys.action(key) === "help") { DOING.help(); }
  return true;
}

function handleTwelve(key, repeat) {
  const place = MARKS.indexOf(key), name = keys.action(key);
  if (repeat) return true;
  if (place >= 0) twelve.toggle(place);
  else if (name === "accept") {
    const numbers = twelve.take();
    if (numbers.length) {
      pace.push(...numbers.map(() => (performance.now() - shownAt) / numbers.length));
      decide("accept", numbers.map((n) => store.ids[n]), {}, numbers);
    }
    const waiting = [...twelve.passed].filter((n) => store.letters[n] === "u");
    order = [...order.slice(0, at + 1), ...waiting, ...order.slice(at + 1).filter((n) => !twelve.passed.has(n))];
    queue.show(order, at);
    if (!twelve.open()) { enter("look"); next(); }
  } else if (name === "reject") {
    const numbers = twelve.takeOut();
    if (!numbers.length) { note("Leave some out first."); return true; }
    decide("reject", numbers.map((n) => store.ids[n]), { reason: "no_person" }, numbers);
    if (!twelve.open()) { enter("look"); next(); }
  } else if (name === "undo") undo();
  else if (name === "twelve") leave();
  else if (name === "help") DOING.help();
  return true;
}

begin();
