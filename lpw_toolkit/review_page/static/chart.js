// The strip chart under the sheet: one lane for each signal, suggested cuts and dropped frames
// across them.

import { $ } from "./dom.js";

/** @typedef {import("./api.js").Range} Range */
/** @typedef {import("./api.js").Detail} Detail */
/** @typedef {{frames: number[], colour: string, dash?: number[], width_px?: number}} Lines */

const LANES = [
  ["change", "appearance"],
  ["overlap", "overlap"],
  ["size", "size"],
  ["score", "score"],
  ["sharpness", "sharpness"],
];
const FROM_LOWEST = new Set(["size", "sharpness"]); // lanes that do not begin at zero
const COLOURS = ["text", "soft", "accent", "chosen", "warn", "seen"];
const LEFT_PX = 78;
const LANE_PX = 23;
const GAP_PX = 3;
const FOOT_PX = 14;
const HEIGHT_PX = LANES.length * (LANE_PX + GAP_PX) + FOOT_PX;
const BOTTOM_PX = HEIGHT_PX - FOOT_PX;
const N_CUTS = 5;
const LABEL_GAP_PX = 3;

export class Chart {
  /** @param {(frame: number, extend: boolean) => void} choose */
  constructor(choose) {
    this.canvas = $("chart", HTMLCanvasElement);
    this.pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.detail = /** @type {Detail | null} */ (null);
    this.marks = /** @type {import("./sheet.js").Marks | null} */ (null);
    this.n = 0; // frames
    this.width = 0; // px; 0 is unknown
    this.waiting = 0;
    this.colours = /** @type {Record<string, string>} */ ({});
    this.canvas.addEventListener("click", (event) => {
      const width = this.canvas.clientWidth - LEFT_PX;
      const frame = Math.floor(((event.offsetX - LEFT_PX) / width) * this.n);
      if (this.n && frame >= 0 && frame < this.n) choose(frame, event.shiftKey);
    });
    this.readColours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.readColours();
      this.draw();
    });
    new ResizeObserver(() => {
      this.width = 0;
      this.draw();
    }).observe(this.canvas);
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of COLOURS) this.colours[name] = style.getPropertyValue(`--${name}`).trim();
  }

  /**
   * @param {Detail} detail
   * @param {import("./sheet.js").Marks} marks
   */
  show(detail, marks) {
    this.detail = detail;
    this.n = detail.n_frames;
    this.marks = marks;
    const cuts = detail.cuts.slice(0, N_CUTS).join(", ");
    const label = cuts ? `; suggested cuts before frames ${cuts}` : "";
    this.canvas.setAttribute("aria-label", `Signals along the tracklet${label}`);
    // At most once for each frame of the screen.
    this.waiting ||= requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  /**
   * Where a frame begins.
   *
   * @param {number} frame
   */
  x(frame) {
    return LEFT_PX + (frame / this.n) * (this.width - LEFT_PX);
  }

  draw() {
    const { detail, marks, pen, colours } = this;
    if (!detail || !marks) return;
    this.clear();
    LANES.forEach(([name, title], i) => {
      this.drawLane(detail.signals, name, title, i * (LANE_PX + GAP_PX));
    });
    const { pieces, range, cursor, cut } = marks;
    pen.globalAlpha = 0.3;
    this.drawBands(
      pieces.flatMap((piece) => piece.dropped),
      colours.warn,
    );
    if (range) this.drawBands([range], colours.chosen);
    pen.globalAlpha = 1;
    this.drawLines({ frames: detail.cuts.slice(0, N_CUTS), colour: colours.accent, dash: [3, 3] });
    this.drawLines({ frames: pieces.slice(1).map(({ start }) => start), colour: colours.text });
    if (cut !== null) this.drawLines({ frames: [cut], colour: colours.chosen, width_px: 3 });
    if (cursor >= 0)
      this.drawLines({ frames: [cursor + 0.5], colour: colours.chosen, dash: [1, 2] });
    this.drawFoot(cut !== null ? [cut] : detail.cuts.slice(0, 1), marks.drops);
  }

  clear() {
    const ratio = devicePixelRatio || 1;
    this.width ||= this.canvas.clientWidth;
    const [width, height] = [Math.round(this.width * ratio), Math.round(HEIGHT_PX * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.pen.clearRect(0, 0, this.width, HEIGHT_PX);
    this.pen.font = "11px system-ui, sans-serif";
  }

  /**
   * @param {Range[]} ranges
   * @param {string} colour
   */
  drawBands(ranges, colour) {
    this.pen.fillStyle = colour;
    for (const [start, stop] of ranges) {
      const left = this.x(start);
      this.pen.fillRect(left, 0, Math.max(1.5, this.x(stop) - left), BOTTOM_PX);
    }
  }

  /**
   * @param {Detail["signals"]} signals
   * @param {string} name
   * @param {string} title
   * @param {number} top
   */
  drawLane(signals, name, title, top) {
    const { pen, colours } = this;
    pen.fillStyle = colours.seen;
    pen.fillRect(LEFT_PX, top, this.width - LEFT_PX, LANE_PX);
    pen.fillStyle = colours.soft;
    pen.textAlign = "right";
    pen.fillText(title, LEFT_PX - 6, top + 15);
    if (!signals[name]) return;
    const known = signals[name].flatMap((value, i) => (value === null ? [] : [{ value, i }]));
    const values = known.map(({ value }) => value);
    const low = FROM_LOWEST.has(name) ? Math.min(...values) * 0.9 : 0;
    const height = Math.max(...values, 1e-9) - low || 1;
    pen.strokeStyle = colours.accent;
    pen.lineWidth = 1.4;
    pen.setLineDash([]);
    pen.beginPath();
    for (const { value, i } of known) {
      const y = top + LANE_PX - 2 - ((value - low) / height) * (LANE_PX - 4);
      pen.lineTo(this.x((i + 0.5) * signals.step), y);
    }
    pen.stroke();
  }

  /** @param {Lines} lines */
  drawLines({ frames, colour, dash = [], width_px = 1.5 }) {
    const { pen } = this;
    pen.strokeStyle = colour;
    pen.lineWidth = width_px;
    pen.setLineDash(dash);
    for (const frame of frames) {
      pen.beginPath();
      pen.moveTo(this.x(frame), 0);
      pen.lineTo(this.x(frame), BOTTOM_PX);
      pen.stroke();
    }
    pen.setLineDash([]);
  }

  /**
   * The numbers of the first and the last frame, cuts and suggested drops.
   *
   * @param {number[]} cuts
   * @param {Range[]} drops
   */
  drawFoot(cuts, drops) {
    const { pen } = this;
    pen.fillStyle = this.colours.soft;
    pen.textAlign = "left";
    /** @type {[text: string, x: number][]} */
    const labels = [
      ...cuts.map((cut) => /** @type {[string, number]} */ ([`cut ${cut}`, this.x(cut)])),
      ...drops.map(([start]) => /** @type {[string, number]} */ (["D", this.x(start)])),
      ["0", LEFT_PX],
      [`${this.n - 1}`, this.width],
    ];
    const taken = /** @type {Range[]} */ ([]);
    for (const [text, x] of labels) {
      const width = pen.measureText(text).width;
      const left = Math.max(LEFT_PX, Math.min(this.width - width - 1, x - width / 2));
      const range = /** @type {Range} */ ([left - LABEL_GAP_PX, left + width + LABEL_GAP_PX]);
      // The first ones say the most: one that would lie on them is left out.
      if (taken.some(([a, b]) => a < range[1] && range[0] < b)) continue;
      taken.push(range);
      pen.fillText(text, left, HEIGHT_PX - 3);
    }
  }
}
