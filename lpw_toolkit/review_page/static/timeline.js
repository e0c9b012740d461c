// All tracklets of a camera as bars over time. Two of them can be compared, joined, or have their
// tails swapped: for two people whom the linker has taken for each other.

import { fetchJson } from "./api.js";
import { comparePieces } from "./compare.js";
import { decide } from "./decide.js";
import { $, count } from "./dom.js";
import { enterMode, showTracklet } from "./modes.js";
import { currentDetail, state } from "./state.js";
import { reportFailure, showNote } from "./status.js";

/**
 * @typedef {object} CameraTimeline
 * @property {string} camera
 * @property {number[]} n tracklets, in the order of time
 * @property {number[]} start_s
 * @property {number[]} end_s
 * @property {number[]} lane
 * @property {{name: string, offset_s: number}[]} videos
 * @property {number} n_untimed
 */

const LANE_PX = 16;
const BAR_PX = 12;
const FOOT_PX = 18;
const MIN_SPAN_S = 1;
const N_CHOSEN = 2;
/** Colour of each status code, as names of review.css. @type {Record<string, string>} */
const COLOURS = { a: "good", e: "good", r: "warn", p: "chosen", "?": "chosen" };

class TimelineView {
  constructor() {
    this.camera = 0;
    this.bars = /** @type {CameraTimeline | null} */ (null);
    this.from_s = 0; // what is in sight
    this.span_s = 1;
    this.top = 0; // lane that is drawn first
    this.at_s = /** @type {number | null} */ (null); // where tails are swapped
    this.chosen = /** @type {number[]} */ ([]);
    this.size = { width: 1, height: 1 };
  }

  async load() {
    const { camera } = this;
    try {
      const bars = /** @type {CameraTimeline} */ (await fetchJson(`/api/timeline/${camera}`));
      if (state.mode !== "timeline" || this.camera !== camera) return;
      this.bars = bars;
      this.showAround(this.chosen[0]);
      this.draw();
    } catch (error) {
      reportFailure(error);
    }
  }

  /** Brings a tracklet into sight, or all of them. @param {number} [n] */
  showAround(n) {
    const { bars } = this;
    if (!bars?.n.length) return;
    const place = bars.n.indexOf(n ?? -1);
    const first = bars.start_s[0];
    const last = bars.end_s.reduce((most, end) => Math.max(most, end), first);
    this.span_s = Math.max(MIN_SPAN_S, last - first);
    this.from_s = first;
    this.top = 0;
    if (place < 0) return;
    const length = bars.end_s[place] - bars.start_s[place];
    this.span_s = Math.max(MIN_SPAN_S, Math.min(this.span_s, 6 * length));
    this.from_s = bars.start_s[place] + length / 2 - this.span_s / 2;
    this.top = Math.max(0, bars.lane[place] - 8);
  }

  /** @param {number} seconds */
  x(seconds) {
    return ((seconds - this.from_s) / this.span_s) * this.size.width;
  }

  draw() {
    const canvas = $("timeline-canvas", HTMLCanvasElement);
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    this.size = { width, height };
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    pen.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
    pen.font = "10px system-ui, sans-serif";
    for (const i of this.listInSight()) this.drawBar(pen, i, colour);
    pen.fillStyle = colour("soft");
    for (const share of [0, 0.25, 0.5, 0.75]) {
      const at = this.from_s + share * this.span_s;
      pen.fillText(`${at.toFixed(1)} s`, this.x(at) + 2, height - 5);
      pen.fillRect(this.x(at), height - FOOT_PX, 1, 6);
    }
    if (this.at_s !== null) {
      pen.fillStyle = colour("chosen");
      pen.fillRect(this.x(this.at_s), 0, 2, height - FOOT_PX);
    }
    this.describe();
  }

  /** Places of the bars that can be seen. */
  listInSight() {
    const { bars, from_s: from, span_s: span, top, size } = this;
    if (!bars) return [];
    const bottom = top + Math.ceil((size.height - FOOT_PX) / LANE_PX);
    const found = [];
    for (let i = 0; i < bars.n.length && bars.start_s[i] <= from + span; i++) {
      const lane = bars.lane[i];
      if (bars.end_s[i] >= from && lane >= top && lane < bottom) found.push(i);
    }
    return found;
  }

  /** @type {(pen: CanvasRenderingContext2D, i: number, colour: (name: string) => string) => void} */
  drawBar(pen, i, colour) {
    const { bars } = this;
    if (!bars) return;
    const n = bars.n[i];
    const left = this.x(bars.start_s[i]);
    const width = Math.max(2, this.x(bars.end_s[i]) - left);
    const y = (bars.lane[i] - this.top) * LANE_PX + 2;
    pen.fillStyle = colour(COLOURS[state.store.statusCodes[n]] ?? "soft");
    pen.globalAlpha = this.chosen.includes(n) ? 1 : 0.55;
    pen.fillRect(left, y, width, BAR_PX);
    pen.globalAlpha = 1;
    if (this.chosen.includes(n)) {
      pen.strokeStyle = colour("text");
      pen.lineWidth = 2;
      pen.strokeRect(left, y, width, BAR_PX);
    }
    const name = state.store.shorten(state.store.ids[n]).replace(/^.*\//, "");
    if (pen.measureText(name).width + 6 > width) return;
    pen.fillStyle = colour("ground");
    pen.fillText(name, Math.max(left, 0) + 3, y + BAR_PX - 3);
  }

  describe() {
    const { bars, chosen, at_s: at } = this;
    if (!bars) return;
    const untimed = bars.n_untimed ? `, ${count(bars.n_untimed)} without times` : "";
    const names = chosen.map((n, i) => `${"AB"[i]} ${state.store.shorten(state.store.ids[n])}`);
    const when = at === null ? "" : `; tails at ${at.toFixed(2)} s`;
    $("timeline-facts").textContent =
      `${bars.camera}: ${count(bars.n.length)} tracklets${untimed}. ${names.join(", ")}${when}`;
  }

  /**
   * What is at a place of the canvas: a tracklet, and a time.
   *
   * @param {MouseEvent} event
   */
  find({ offsetX, offsetY }) {
    const at_s = this.from_s + (offsetX / this.size.width) * this.span_s;
    const lane = this.top + Math.floor(offsetY / LANE_PX);
    const i = this.listInSight().find(
      (place) =>
        this.bars?.lane[place] === lane &&
        this.bars.start_s[place] <= at_s &&
        at_s <= this.bars.end_s[place],
    );
    return { at_s, n: i === undefined ? null : (this.bars?.n[i] ?? null) };
  }

  /** @type {(factor: number, share?: number) => void} */
  zoom(factor, share = 0.5) {
    const fixed = this.from_s + share * this.span_s;
    this.span_s = Math.max(MIN_SPAN_S / 4, this.span_s * factor);
    this.from_s = fixed - share * this.span_s;
    this.draw();
  }

  /** @type {(share: number, lanes?: number) => void} */
  pan(share, lanes = 0) {
    this.from_s += share * this.span_s;
    this.top = Math.max(0, this.top + lanes);
    this.draw();
  }
}

const timeline = new TimelineView();

/** Wires the canvas. */
export function listenToTimeline() {
  const canvas = $("timeline-canvas");
  canvas.addEventListener("click", (event) => {
    const { n, at_s: at } = timeline.find(event);
    if (n === null || event.shiftKey) timeline.at_s = at;
    else if (timeline.chosen.includes(n)) {
      timeline.chosen = timeline.chosen.filter((each) => each !== n);
    } else timeline.chosen = [...timeline.chosen, n].slice(-N_CHOSEN);
    timeline.draw();
  });
  canvas.addEventListener("dblclick", (event) => {
    const { n } = timeline.find(event);
    if (n !== null) showTracklet(n);
  });
  const wheel = (/** @type {WheelEvent} */ event) => {
    event.preventDefault();
    if (event.ctrlKey) zoomTimeline(event.deltaY > 0 ? 1.25 : 0.8, event.offsetX);
    else timeline.pan(event.deltaX / timeline.size.width, Math.sign(event.deltaY));
  };
  canvas.addEventListener("wheel", wheel, { passive: false });
}

/** Shows the camera of the tracklet that is shown. */
export function showTimeline() {
  const { n, camera } = currentDetail();
  timeline.camera = Math.max(0, state.store.cameras.indexOf(camera));
  timeline.chosen = [n];
  timeline.at_s = null;
  timeline.bars = null;
  enterMode("timeline");
  timeline.load();
}

/** @type {(factor: number, x_px?: number) => void} */
export const zoomTimeline = (factor, x_px = timeline.size.width / 2) =>
  timeline.zoom(factor, x_px / timeline.size.width);

/** @type {(share: number, lanes?: number) => void} */
export const panTimeline = (share, lanes) => timeline.pan(share, lanes);

/** Brings all of the camera into sight. */
export function showWholeTimeline() {
  timeline.showAround();
  timeline.draw();
}

/** The two that are chosen, each with the piece that holds the chosen time. */
async function takeTwo() {
  const { chosen, at_s: at } = timeline;
  if (chosen.length < N_CHOSEN) {
    showNote("First click two bars.");
    return null;
  }
  return Promise.all(chosen.map((n) => findPiece(n, at)));
}

/** @type {(n: number, at_s: number | null) => Promise<{n: number, name: string, start: number, stop: number, cut: number}>} */
async function findPiece(n, at_s) {
  const entry = state.store.get(n);
  await entry.ready;
  const pieces = entry.detail?.pieces ?? [];
  let cut = -1;
  if (at_s !== null) {
    const { times } = await fetchJson(`/api/frame/${n}/0`);
    const i = timeline.bars?.n.indexOf(n) ?? -1;
    const shift = (timeline.bars?.start_s[i] ?? 0) - times[0];
    cut = times.findIndex((/** @type {number} */ time) => time + shift >= at_s);
  }
  const { name, start, stop } =
    pieces.find((each) => each.start < cut && cut < each.stop) ?? pieces[0];
  return { n, name, start, stop, cut };
}

export async function compareTwo() {
  const two = await takeTwo();
  if (two) comparePieces(two[0], { ...two[1], why: "" });
}

/** Each of the two goes on as the other from the chosen time on. */
export async function swapTails() {
  if (timeline.at_s === null) {
    showNote("First click beside the bars (or Shift+click) at the time where they change.");
    return;
  }
  const two = await takeTwo();
  if (!two) return;
  const inside = two.every(({ start, stop, cut }) => start < cut && cut < stop);
  if (!inside) {
    showNote("Both tracklets must be there before and after that time.");
    return;
  }
  const parts = two.map(({ n, start, stop, cut }) => {
    const id = state.store.ids[n];
    return [`${id}@${start}-${cut}`, `${id}@${cut}-${stop}`];
  });
  for (const { n, name, cut } of two) decide("split", [name], { at: cut }, [n]);
  const numbers = two.map(({ n }) => n);
  decide("merge", [parts[0][0], parts[1][1]], {}, numbers);
  decide("merge", [parts[1][0], parts[0][1]], {}, numbers);
  showNote("Their tails are swapped. Accept both when you have seen them.");
  timeline.draw();
}
