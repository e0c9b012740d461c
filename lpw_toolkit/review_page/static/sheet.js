// The contact sheet: tiles cut out of one picture. A sample of frames, all of them, or a close-up
// around a cut.

import { fetchPicture } from "./api.js";
import { $, closest, element } from "./dom.js";

const GAP_PX = 4;
const TILE_PX = 96;
const MAX_TILE_PX = 190;
const MIN_SCALE = 0.6;
const N_RUN = 64; // frames of one picture where all are shown
const N_BEFORE_CUT = 12;
const N_CLOSE = 32;
// The close-up moves in steps, so that a moving cut does not load pictures all the time.
const CLOSE_STEP = 8;

/** @typedef {import("./api.js").Range} Range */
/** @typedef {import("./api.js").Piece} Piece */
/** @typedef {import("./store.js").Entry} Entry */
/**
 * @typedef {{position: number, node: HTMLElement, load?: () => void}} Tile `load` loads its
 *   picture
 */

/**
 * @typedef {object} Marks
 * @property {Piece[]} pieces
 * @property {Piece} piece the current one
 * @property {Range | null} range chosen frames
 * @property {number} cursor
 * @property {number | null} cut
 * @property {Range[]} drops suggested
 */

/** @type {(ranges: Range[], position: number) => boolean} */
const isInside = (ranges, position) =>
  ranges.some(([start, stop]) => start <= position && position < stop);

export class Sheet {
  /** @param {(frame: number, extend: boolean) => void} choose */
  constructor(choose) {
    this.box = $("sheet");
    this.tiles = /** @type {Tile[]} */ ([]);
    this.images = /** @type {HTMLImageElement[]} */ ([]);
    this.mode = "";
    this.scale = 1;
    this.size = /** @type {{width: number, height: number} | null} */ (null);
    // By the node that starts it when it comes into sight.
    this.loads = /** @type {Map<Element, () => void>} */ (new Map());
    this.box.addEventListener("click", (event) => {
      const node = closest(event, ".tile");
      if (node) choose(Number(node.dataset.position), event.shiftKey);
    });
    const options = { root: this.box, rootMargin: "300px" };
    this.watch = new IntersectionObserver((seen) => {
      for (const { isIntersecting, target } of seen) if (isIntersecting) this.loads.get(target)?.();
    }, options);
  }

  clear() {
    this.watch.disconnect();
    this.loads.clear();
    this.box.replaceChildren();
    this.tiles = [];
    this.images = [];
  }

  /**
   * @param {Entry} entry
   * @param {import("./api.js").Detail} detail
   */
  showSample(entry, detail) {
    const { tiles, odd, tile_px: width } = detail;
    const wasScrolled = this.mode === "all";
    this.mode = tiles.length === detail.n_frames ? "whole" : "sample";
    const marked = new Set(odd);
    this.fit(tiles.length, width);
    this.tiles = tiles.map((position, i) => {
      const node = this.makeTile(position, i, width, tiles.length, marked.has(position));
      node.style.backgroundImage = `url("${entry.sheet}")`;
      return { position, node };
    });
    this.watch.disconnect();
    this.loads.clear();
    this.box.replaceChildren(...this.tiles.map((tile) => tile.node));
    if (wasScrolled) this.box.scrollTop = 0;
  }

  /**
   * All frames; their pictures are loaded when they come into sight.
   *
   * @param {import("./api.js").Detail} detail
   */
  showAll(detail) {
    this.mode = "all";
    this.scale = 1;
    this.clear();
    for (let start = 0; start < detail.n_frames; start += N_RUN) {
      this.addRun(detail, start, Math.min(start + N_RUN, detail.n_frames));
    }
  }

  /**
   * Frames around a cut.
   *
   * @param {Entry} entry
   * @param {import("./api.js").Detail} detail
   * @param {number} cut
   */
  showClose(entry, detail, cut) {
    if (detail.tiles.length === detail.n_frames) {
      if (this.mode !== "whole") this.showSample(entry, detail);
      return;
    }
    const start = Math.max(0, Math.floor((cut - N_BEFORE_CUT) / CLOSE_STEP) * CLOSE_STEP);
    const stop = Math.min(detail.n_frames, start + N_CLOSE);
    if (this.mode === `close${start}`) return;
    this.mode = `close${start}`;
    this.fit(stop - start, detail.tile_px);
    this.clear();
    this.addRun(detail, start, stop);
  }

  /**
   * Adds frames whose tiles share one picture.
   *
   * @param {import("./api.js").Detail} detail
   * @param {number} start
   * @param {number} stop
   */
  addRun({ n, odd, tile_px: width }, start, stop) {
    const marked = new Set(odd);
    const nodes = Array.from({ length: stop - start }, (_, i) =>
      this.makeTile(start + i, i, width, stop - start, marked.has(start + i)),
    );
    let isLoading = false;
    const load = async () => {
      if (isLoading) return;
      isLoading = true;
      try {
        const url = await fetchPicture(`/sprite/${n}/${start}-${stop}`, this);
        for (const node of nodes) node.style.backgroundImage = `url("${url}")`;
      } catch {
        // the banner says that the server is lost; the tiles stay grey
      }
    };
    this.tiles.push(...nodes.map((node, i) => ({ position: start + i, node, load })));
    this.box.append(...nodes);
    for (const node of new Set([nodes[0], nodes[nodes.length - 1]])) {
      this.loads.set(node, load);
      this.watch.observe(node);
    }
  }

  /**
   * Chooses the largest tiles with which all fit.
   *
   * @param {number} n
   * @param {number} width
   */
  fit(n, width) {
    this.size ??= { width: this.box.clientWidth - 12, height: this.box.clientHeight - 8 };
    let scale = MAX_TILE_PX / TILE_PX;
    for (; scale > MIN_SCALE; scale -= 0.04) {
      const columns = Math.max(
        1,
        Math.floor((this.size.width + GAP_PX) / (width * scale + GAP_PX)),
      );
      if (Math.ceil(n / columns) * (TILE_PX * scale + GAP_PX) <= this.size.height) break;
    }
    this.scale = scale;
  }

  /**
   * @param {number} position
   * @param {number} place in the picture
   * @param {number} width
   * @param {number} n tiles of the picture
   * @param {boolean} isOdd
   */
  makeTile(position, place, width, n, isOdd) {
    const node = element("div", isOdd ? "tile odd" : "tile");
    node.setAttribute("role", "option");
    node.setAttribute("aria-label", `frame ${position}${isOdd ? ", suspicious" : ""}`);
    node.dataset.position = String(position);
    node.id = `f${position}`;
    const [w, h] = [Math.round(width * this.scale), Math.round(TILE_PX * this.scale)];
    node.style.width = `${w}px`;
    node.style.height = `${h}px`;
    node.style.backgroundSize = `${w * n}px ${h}px`;
    node.style.backgroundPosition = `${-place * w}px 0`;
    node.append(element("span", "", position));
    return node;
  }

  /**
   * Marks pieces, dropped frames, the chosen range and the cut that is being placed.
   *
   * @param {Marks} marks
   */
  mark({ pieces, piece, range, cursor, cut, drops }) {
    const dropped = pieces.flatMap((each) => each.dropped);
    const rejected = pieces.filter(({ status }) => status === "rejected");
    const rejectedRanges = rejected.map(({ start, stop }) => /** @type {Range} */ ([start, stop]));
    const borders = pieces.slice(1).map(({ start }) => start);
    let last = -1;
    for (const { position, node } of this.tiles) {
      const isFirstAfter = (/** @type {number} */ at) => last < at && at <= position;
      const list = node.classList;
      list.toggle("dropped", isInside(dropped, position));
      list.toggle("suggested", isInside(drops, position));
      list.toggle(
        "other",
        pieces.length > 1 && !(piece.start <= position && position < piece.stop),
      );
      list.toggle("rejected", isInside(rejectedRanges, position));
      list.toggle("border", borders.some(isFirstAfter));
      list.toggle("cut", cut !== null && isFirstAfter(cut));
      list.toggle("cursor", position === cursor);
      node.setAttribute("aria-selected", String(range !== null && isInside([range], position)));
      last = position;
    }
    if (cursor >= 0) this.box.setAttribute("aria-activedescendant", `f${cursor}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  /**
   * Shows a tile on a larger stage; returns false where its picture is not loaded yet.
   *
   * @param {Tile} tile
   * @param {HTMLElement} stage
   */
  enlarge({ node, position, load }, stage) {
    if (!node.style.backgroundImage) {
      load?.();
      return false;
    }
    const scale = (this.box.clientHeight - 40) / node.offsetHeight;
    const [x] = node.style.backgroundPosition.split(" ");
    const [w] = node.style.backgroundSize.split(" ");
    const { style } = stage;
    style.width = `${node.offsetWidth * scale}px`;
    style.height = `${node.offsetHeight * scale}px`;
    style.backgroundImage = node.style.backgroundImage;
    style.backgroundSize = `${Number.parseFloat(w) * scale}px ${node.offsetHeight * scale}px`;
    style.backgroundPosition = `${Number.parseFloat(x) * scale}px 0`;
    stage.textContent = String(position);
    stage.hidden = false;
    return true;
  }

  /** @param {number} position */
  reveal(position) {
    const tile = this.tiles.find((each) => each.position >= position);
    tile?.node.scrollIntoView({ block: "nearest" });
  }

  /** Number of tiles in the first row. */
  get nColumns() {
    const top = this.tiles[0]?.node.offsetTop;
    const next = this.tiles.findIndex(({ node }) => node.offsetTop !== top);
    return next < 0 ? this.tiles.length : next;
  }
}
