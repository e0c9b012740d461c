// The strip chart under the sheet: one lane for each signal, suggested cuts and dropped frames across them.

import { $ } from "./words.js";

const LANES = [["change", "appearance"], ["overlap", "overlap"], ["size", "size"], ["score", "score"], ["sharpness", "sharpness"]];
const LEFT_PX = 78, LANE_PX = 23, GAP_PX = 3, FOOT_PX = 14;

export class Chart {
  constructor(choose) {
    this.canvas = $("chart");
    this.canvas.addEventListener("click", (event) => {
      const frame = Math.floor(((event.offsetX - LEFT_PX) / (this.canvas.clientWidth - LEFT_PX)) * this.n);
      if (this.n && frame >= 0 && frame < this.n) choose(frame, event.shiftKey);
    });
    this.readColours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.readColours(); this.draw(); });
    new ResizeObserver(() => { this.width = 0; this.draw(); }).observe(this.canvas);
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    this.colours = Object.fromEntries(["text", "soft", "faint", "accent", "chosen", "warn", "seen"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  show(detail, marks) {
    this.detail = detail;
    this.n = detail.n_frames;
    this.marks = marks;
    this.canvas.setAttribute("aria-label", detail.cuts.length
      ? `Signals along the tracklet; suggested cuts before frames ${detail.cuts.slice(0, 5).join(", ")}` : "Signals along the tracklet");
    this.waiting ||= requestAnimationFrame(() => { this.waiting = 0; this.draw(); });  // once for each frame at most
  }

  draw() {
    if (!this.detail) return;
    const ratio = devicePixelRatio || 1, height = LANES.length * (LANE_PX + GAP_PX) + FOOT_PX;
    const width = this.width ||= this.canvas.clientWidth;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const c = this.canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    c.font = "11px system-ui, sans-serif";
    const x = (frame) => LEFT_PX + (frame / this.n) * (width - LEFT_PX);
    const { pieces, range, cursor, cut, drops } = this.marks, bottom = height - FOOT_PX;
    const band = (ranges, colour) => { c.fillStyle = colour; for (const [a, b] of ranges) c.fillRect(x(a), 0, Math.max(1.5, x(b) - x(a)), bottom); };
    LANES.forEach(([name, word], i) => this.drawLane(c, name, word, i, x, width));
    c.globalAlpha = 0.3;
    band(pieces.flatMap((piece) => piece.dropped), this.colours.warn);
    if (range) band([range], this.colours.chosen);
    c.globalAlpha = 1;
    this.drawLines(c, this.detail.cuts.slice(0, 5), this.colours.accent, [3, 3], x, bottom);
    this.drawLines(c, pieces.slice(1).map((piece) => piece.start), this.colours.text, [], x, bottom);
    if (cut !== null) this.drawLines(c, [cut], this.colours.chosen, [], x, bottom, 3);
    if (cursor >= 0) this.drawLines(c, [cursor + 0.5], this.colours.chosen, [1, 2], x, bottom);
    c.fillStyle = this.colours.soft;
    c.textAlign = "left";
    c.fillText("0", LEFT_PX, height - 3);
    c.textAlign = "right";
    c.fillText(`${this.n - 1}`, width - 1, height - 3);
    c.textAlign = "center";
    for (const at of cut !== null ? [cut] : this.detail.cuts.slice(0, 1)) {
      c.fillText(`cut ${at}`, Math.min(width - 40, Math.max(LEFT_PX + 30, x(at))), height - 3);
    }
    for (const [a] of drops) c.fillText("D", x(a), height - 3);
  }

  drawLane(c, name, word, i, x, width) {
    const top = i * (LANE_PX + GAP_PX), values = this.detail.signals[name], step = this.detail.signals.step;
    c.fillStyle = this.colours.seen;
    c.fillRect(LEFT_PX, top, width - LEFT_PX, LANE_PX);
    c.fillStyle = this.colours.soft;
    c.textAlign = "right";
    c.fillText(word, LEFT_PX - 6, top + 15);
    if (!values) return;
    const known = values.filter((value) => value !== null), most = Math.max(...known, 1e-9);
    const low = name === "size" || name === "sharpness" ? Math.min(...known) * 0.9 : 0;
    c.strokeStyle = c.fillStyle = this.colours.accent;
    c.lineWidth = 1.4;
    c.setLineDash([]);
    c.beginPath();
    let open = false;
    values.forEach((value, k) => {
      if (value === null) return;
      const px = x(k * step + step / 2), py = top + LANE_PX - 2 - ((value - low) / (most - low || 1)) * (LANE_PX - 4);
      if (open) c.lineTo(px, py); else c.moveTo(px, py);
      open = true;
    });
    c.stroke();
  }

  drawLines(c, frames, colour, dash, x, bottom, lineWidth = 1.5) {
    c.strokeStyle = colour;
    c.lineWidth = lineWidth;
    c.setLineDash(dash);
    for (const frame of frames) {
      c.beginPath();
      c.moveTo(x(frame), 0);
      c.lineTo(x(frame), bottom);
      c.stroke();
    }
    c.setLineDash([]);
  }
}
