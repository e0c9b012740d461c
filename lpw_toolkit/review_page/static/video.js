// The source frame of an image: who else is there, and where the tracklet went. Loaded from the video
// on this machine, never kept.

import { fetchJson } from "./api.js";
import { $ } from "./dom.js";
import { enterMode, showTracklet } from "./modes.js";
import { currentDetail, currentPiece, state } from "./state.js";
import { reportFailure, showNote } from "./status.js";

/**
 * @typedef {object} VideoFrame
 * @property {number | null} frame_index
 * @property {number | null} pts_s
 * @property {(number | null)[]} times of the tracklet's images, seconds
 * @property {([number, number] | null)[]} trail where the feet are
 * @property {[number, number] | null} size_px of the frame
 * @property {string} why the frame itself cannot be shown; "" where it can
 * @property {boolean} has_near whether another frame of the video is decoded
 * @property {{n: number, position: number, box: [number, number, number, number]}[]} boxes
 */

const N_AHEAD = 6;
const N_KEPT = 48;
const LINE_PX = 2;
const MAX_STEP_MS = 1000; // a longer pause between two frames is not waited for

/** One view of the videos; it lasts as long as the page. */
class VideoView {
  constructor() {
    this.n = -1;
    this.position = 0;
    this.frame = /** @type {VideoFrame | null} */ (null);
    this.image = /** @type {HTMLImageElement | null} */ (null);
    this.isNear = false; // a frame close by is shown until the right one is decoded
    this.timer = 0;
    this.pictures = /** @type {Map<string, Promise<HTMLImageElement>>} */ (new Map());
  }

  /** @param {string} address */
  load(address) {
    const known = this.pictures.get(address);
    if (known) return known;
    const image = new Image();
    image.src = address;
    const ready = image.decode().then(() => image);
    this.pictures.set(address, ready);
    ready.catch(() => this.pictures.delete(address));
    for (const old of [...this.pictures.keys()].slice(0, -N_KEPT)) this.pictures.delete(old);
    return ready;
  }

  /** @param {number} position */
  async show(position) {
    this.position = position;
    const { n } = this;
    const isShown = () => state.mode === "video" && this.n === n && this.position === position;
    try {
      const frame = /** @type {VideoFrame} */ (await fetchJson(`/api/frame/${n}/${position}`));
      if (!isShown()) return;
      this.frame = frame;
      this.draw();
      if (frame.why) return;
      this.showNear(isShown);
      const image = await this.load(`/frame/${n}/${position}`);
      if (!isShown()) return;
      this.image = image;
      this.isNear = false;
      this.draw();
      const last = Math.min(position + N_AHEAD, frame.times.length - 1);
      for (let i = position + 1; i <= last; i++) this.load(`/frame/${n}/${i}`).catch(() => {});
    } catch (error) {
      if (isShown()) reportFailure(error);
    }
  }

  /** @param {() => boolean} isShown */
  async showNear(isShown) {
    const exact = `/frame/${this.n}/${this.position}`;
    if (this.pictures.has(exact) || !this.frame?.has_near) return;
    const image = new Image();
    image.src = `${exact}/near`;
    try {
      await image.decode();
    } catch {
      return; // nothing near is decoded
    }
    const now = await Promise.race([this.pictures.get(exact), null]);
    if (!isShown() || now) return;
    this.image = image;
    this.isNear = true;
    this.draw();
  }

  draw() {
    const { frame, image } = this;
    if (!frame) return;
    const canvas = $("video-canvas", HTMLCanvasElement);
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const stored = image && [image.naturalWidth, image.naturalHeight];
    const size = frame.size_px ?? stored ?? boundsOf(frame);
    [canvas.width, canvas.height] = size;
    const box = $("video").getBoundingClientRect();
    const shown = Math.max(0.05, Math.min((box.width - 28) / size[0], (box.height - 70) / size[1]));
    canvas.style.width = `${size[0] * shown}px`;
    canvas.style.height = `${size[1] * shown}px`;
    canvas.dataset.shown = image ? (this.isNear ? "near" : "frame") : "";
    if (image) pen.drawImage(image, 0, 0, size[0], size[1]);
    this.drawBoxes(pen, 1 / shown, frame);
    $("video-facts").textContent = this.describe(frame);
  }

  /** @type {(pen: CanvasRenderingContext2D, px: number, frame: VideoFrame) => void} */
  drawBoxes(pen, px, { boxes, trail }) {
    const style = getComputedStyle(document.documentElement);
    const own = style.getPropertyValue("--chosen").trim();
    pen.lineWidth = LINE_PX * px;
    pen.strokeStyle = own;
    pen.beginPath();
    for (const point of trail) if (point) pen.lineTo(...point);
    pen.stroke();
    pen.font = `${12 * px}px system-ui, sans-serif`;
    for (const { n, box } of boxes) {
      const [x1, y1, x2, y2] = box;
      pen.strokeStyle = n === this.n ? own : "#ffffff";
      pen.lineWidth = (n === this.n ? 2 * LINE_PX : LINE_PX) * px;
      pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
      const name = state.store.shorten(state.store.ids[n]);
      const width = pen.measureText(name).width + 8 * px;
      pen.fillStyle = "rgb(0 0 0 / 70%)";
      const left = Math.max(0, Math.min(x1, pen.canvas.width - width));
      const bottom = Math.max(16 * px, y1);
      pen.fillRect(left, bottom - 16 * px, width, 16 * px);
      pen.fillStyle = "#ffffff";
      pen.fillText(name, left + 4 * px, bottom - 4 * px);
    }
  }

  /** @param {VideoFrame} frame */
  describe({ frame_index: index, pts_s: at, why, times, boxes }) {
    if (why) return `The frame cannot be shown: ${why}.`;
    const where = index === null ? "" : `frame ${index} of the video`;
    const when = at === null ? "" : `, ${at.toFixed(2)} s`;
    const near = this.isNear ? ", the nearest one decoded so far is shown" : "";
    const others = boxes.length - 1;
    return `image ${this.position} of ${times.length}, ${where}${when}; ${others} others${near}`;
  }

  /**
   * The tracklet whose box is at a place of the canvas, the smallest of several.
   *
   * @param {MouseEvent} event
   */
  find({ offsetX, offsetY }) {
    const canvas = $("video-canvas", HTMLCanvasElement);
    const scale = canvas.width / canvas.clientWidth;
    const [x, y] = [offsetX * scale, offsetY * scale];
    const hit = (this.frame?.boxes ?? [])
      .filter(({ box: [x1, y1, x2, y2] }) => x1 <= x && x < x2 && y1 <= y && y < y2)
      .sort((a, b) => areaOf(a.box) - areaOf(b.box));
    return hit.find(({ n }) => n !== this.n) ?? hit[0];
  }
}

/** @type {(box: [number, number, number, number]) => number} */
const areaOf = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);

/** @param {VideoFrame} frame */
function boundsOf({ boxes, trail }) {
  const corners = [...boxes.map(({ box }) => [box[2], box[3]]), ...trail.filter((each) => each)];
  return [0, 1].map((axis) => Math.max(320, ...corners.map((point) => (point ?? [0, 0])[axis])));
}

const view = new VideoView();

/** Shows the source frame of the chosen image, of the first of the piece where none is chosen. */
export function showVideo() {
  const detail = currentDetail();
  const { cursor } = state.selection;
  view.n = detail.n;
  view.frame = view.image = null;
  enterMode("video");
  $("video-title").textContent = detail.id;
  $("video-facts").textContent = "loading …";
  view.show(cursor >= 0 ? cursor : currentPiece().start);
}

/** @param {number} step */
export function moveVideo(step) {
  stopVideo();
  goTo(view.position + step);
}

/** @param {number} position */
function goTo(position) {
  const last = currentDetail().n_frames - 1;
  view.show(Math.max(0, Math.min(last, position)));
  state.selection.cursor = view.position;
}

/** Plays from here at the speed of the camera; stops where it plays already. */
export function playVideo() {
  if (view.timer) {
    stopVideo();
    return;
  }
  const tick = () => {
    const { times = [] } = view.frame ?? {};
    const next = view.position + 1;
    if (state.mode !== "video" || next >= times.length) {
      stopVideo();
      return;
    }
    const wait_ms = 1000 * ((times[next] ?? 0) - (times[view.position] ?? 0));
    view.timer = setTimeout(
      () => {
        goTo(next);
        tick();
      },
      Math.max(10, Math.min(wait_ms, MAX_STEP_MS)),
    );
  };
  tick();
}

export function stopVideo() {
  clearTimeout(view.timer);
  view.timer = 0;
}

/** @param {MouseEvent} event on the canvas: another box opens its tracklet */
export function clickVideo(event) {
  const found = view.find(event);
  if (!found || found.n === view.n) {
    showNote("Click the box of another tracklet to open it.");
    return;
  }
  stopVideo();
  showTracklet(found.n);
}
