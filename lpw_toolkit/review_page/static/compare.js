// Two pieces beside each other, before they are joined: the end of the one and the beginning of the
// other, where they went, and when.

import { fetchJson, fetchPicture } from "./api.js";
import { candidatesOf } from "./candidates.js";
import { closeComparison } from "./compared.js";
import { decide } from "./decide.js";
import { $, duration, element, setName } from "./dom.js";
import { enterMode, showTracklet } from "./modes.js";
import { currentDetail, currentPiece, state } from "./state.js";
import { reportFailure, showNote } from "./status.js";
import { drawTrails } from "./trails.js";

/** @typedef {import("./api.js").Comparison} Comparison */
/** @typedef {import("./api.js").Side} Side */
/** @typedef {import("./candidates.js").Kind} Kind */

/**
 * A piece that was put aside to be compared with others.
 *
 * @typedef {{n: number, name: string}} Pinned
 */

/**
 * @typedef {object} Compared
 * @property {Kind | "pinned"} kind
 * @property {number} place among the candidates of the kind
 * @property {Pinned} own
 * @property {Pinned & {why: string}} other
 * @property {Comparison | null} found null until it is loaded
 * @property {HTMLImageElement[]} images keep the pictures decoded
 * @property {import("./state.js").Mode} back what was shown before
 */

const ENDS = { first: "begins", last: "ends", spread: "all of it" };
const LARGE_PX = 224;

/** @param {Pinned} piece */
function spanOf({ n, name }) {
  const part = /@(\d+)-(\d+)$/.exec(name.slice(state.store.ids[n].length));
  return part ? `${part[1]}-${part[2]}` : `0-${state.store.frames[n]}`;
}

/**
 * Shows the current piece beside a candidate.
 *
 * @param {Kind} kind
 * @param {number} place
 */
export function compareCandidate(kind, place) {
  const other = candidatesOf(kind, currentDetail())[place];
  if (!other) {
    showNote("There is no such candidate.");
    return;
  }
  const { n, piece, name, why = "" } = other;
  compare(kind, place, ownPiece(), { n, name: piece ?? name ?? state.store.ids[n], why });
}

/** @returns {Pinned} */
const ownPiece = () => ({ n: currentDetail().n, name: currentPiece().name });

/** Any two pieces, from the table of persons. @type {(own: Pinned, other: Compared["other"]) => void} */
export const comparePieces = (own, other) => {
  compare("pinned", 0, own, other);
};

/** Puts the current piece aside, or compares it with the one that is. */
export function pin() {
  const { n } = currentDetail();
  const { name } = currentPiece();
  if (!state.pinned) {
    state.pinned = { n, name };
    showNote(`Put aside. Go to another tracklet and press ${state.keys.of("pin")} to compare.`);
  } else if (state.pinned.name === name) {
    state.pinned = null;
    showNote("No longer put aside.");
  } else {
    compare("pinned", 0, ownPiece(), { ...state.pinned, why: "" });
  }
  showPinned();
}

export function showPinned() {
  $("pinned").hidden = !state.pinned;
  if (state.pinned) setName($("pinned-name"), state.store.shorten(state.pinned.name));
}

/** @type {(kind: Compared["kind"], place: number, own: Pinned, other: Compared["other"]) => Promise<void>} */
async function compare(kind, place, own, other) {
  if (own.name === other.name) return;
  const before = state.mode === "compare" ? state.compared?.back : state.mode;
  const back = before === "persons" || before === "timeline" ? before : "browse";
  /** @type {Compared} */
  const compared = { kind, place, own, other, found: null, images: [], back };
  closeComparison();
  enterMode("compare");
  state.compared = compared;
  draw(compared);
  try {
    const address = [own, other].map((each) => `${each.n}/${spanOf(each)}`).join("/");
    const found = await fetchJson(`/api/compare/${address}`);
    if (state.compared !== compared) return;
    Object.assign(compared, { found });
    draw(compared);
  } catch (error) {
    if (state.compared !== compared) return;
    enterMode(back);
    reportFailure(error);
  }
}

/**
 * Another candidate of the same kind.
 *
 * @param {number} place
 */
export function compareOther(place) {
  const { compared } = state;
  if (!compared || compared.kind === "pinned") return;
  const n = candidatesOf(compared.kind, currentDetail()).length;
  if (n) compareCandidate(compared.kind, (place + n) % n);
}

/** What the two become by Enter: one tracklet, one person, or nothing new. */
export function joinCompared() {
  const { compared } = state;
  if (!compared) return;
  if (compared.kind === "member") showTracklet(compared.other.n);
  else join(compared.kind === "merge" ? "merge" : "link");
}

/** Makes one tracklet of the two. */
export function mergeCompared() {
  const { found } = state.compared ?? {};
  if (found?.can_merge) join("merge");
  else if (found) showNote("Only two tracklets of one video at different times can be merged.");
}

/** Says that the two are not the same person. */
export const partCompared = () => join("unlink");

/** @param {"merge" | "link" | "unlink"} operation */
function join(operation) {
  const { compared, store } = state;
  if (!compared) return;
  const { own, other, back } = compared;
  decide(operation, [own.name, other.name], {}, [own.n]);
  for (const n of operation === "link" ? [own.n, other.n] : [own.n]) store.linked.add(n);
  if (state.pinned?.name === other.name) {
    state.pinned = null;
    showPinned();
  }
  enterMode(back);
}

/** @param {Compared} compared */
function draw(compared) {
  const { own, other, found } = compared;
  $("compare-facts").textContent = found ? describe(found, other.why) : "loading …";
  const pieces = [own, other];
  const sides = pieces.map((piece, i) => drawSide(compared, piece, found?.sides[i] ?? null, i));
  // In the order in which they happened: the one that ends stands left of the one that begins.
  $("sides").replaceChildren(...(found?.earlier === 1 ? sides.reverse() : sides));
  $("maps").replaceChildren(...(found ? drawTrails(found) : []));
}

/** @type {(compared: Compared, piece: Pinned, side: Side | null, i: number) => HTMLElement} */
function drawSide(compared, { name }, side, i) {
  const box = element("article", i ? "side other" : "side");
  const head = box.appendChild(element("h3"));
  const label = element("b", "name");
  setName(label, state.store.shorten(name));
  head.append(element("i", "mark", i ? "B" : "A"), label);
  if (!side) return box;
  const when = side.start_s === null ? "" : `, ${clock(side.start_s)} to ${clock(side.end_s ?? 0)}`;
  box.append(element("p", "", `${side.camera}, ${side.n_frames} frames${when}`));
  box.append(element("h4", "", ENDS[side.end]), drawStrip(compared, side.n, side.shown));
  if (side.end !== "spread") {
    box.append(element("h4", "", ENDS.spread), drawStrip(compared, side.n, side.looks));
  }
  return box;
}

/** @type {(compared: Compared, n: number, positions: number[]) => HTMLElement} */
function drawStrip(compared, n, positions) {
  const strip = element("div", "large");
  const address = `/sprite/${n}/large/${positions.join("-")}`;
  const show = (/** @type {string} */ url) => {
    const image = element("img");
    image.src = url;
    image.height = LARGE_PX;
    image.alt = `frames ${positions.join(", ")}`;
    strip.append(image);
  };
  fetchPicture(address, compared).then(show, reportFailure);
  return strip;
}

/** @param {number} seconds */
function clock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  const rest = (seconds % 60).toFixed(1).padStart(4, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** @type {(found: Comparison, why: string) => string} */
function describe({ gap_s: gap, earlier, same_camera: isSame }, why) {
  const place = isSame ? "Same camera." : "Two cameras.";
  let when = "Their times are on different clocks.";
  if (gap !== null) {
    const first = earlier ? "B" : "A";
    when =
      gap >= 0
        ? `${first} ends ${gap < 10 ? `${gap.toFixed(1)} s` : duration(gap)} before ${earlier ? "A" : "B"} begins.`
        : `Both are seen at once for ${duration(-gap)}.`;
  }
  return [place, when, why].filter(Boolean).join(" ");
}
