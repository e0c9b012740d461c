// The contact sheet: tiles cut out of one picture. A sample of frames, all of them, or a close-up around a cut.

import { $, element } from "./words.js";
import { picture } from "./store.js";

const GAP_PX = 4, TILE_PX = 96, MAX_TILE_PX = 190, PART = 64, CLOSE = 12;

export class Sheet {
  constructor(choose) {
    this.box = $("sheet");
    this.tiles = [];  // {position, node}
    this.box.addEventListener("click", (event) => {
      const node = event.target.closest(".tile");
      if (node) choose(Number(node.dataset.position), event.shiftKey);
    });
    this.watch = new IntersectionObserver((seen) => {
      for (const { isIntersecting, target } of seen) if (isIntersecting) target.load?.();
    }, { root: this.box, rootMargin: "300px" });
    this.clear();
  }

  clear() {
    this.watch.disconnect();
    this.box.replaceChildren();
    this.tiles = [];
    this.images = [];
  }

  /** The sample. */
  showSample(entry) {
    const { tiles, odd, tile_px: width } = entry.detail;
    const isScrolled = this.mode === "all";
    this.mode = tiles.length === entry.detail.n_frames ? "whole" : "sample";
    const marked = new Set(odd);
    this.fit(tiles.length, width);
    this.tiles = tiles.map((position, i) => this.make(position, entry.sheet, i, width, tiles.length, marked.has(position)));
    this.watch.disconnect();
    this.box.replaceChildren(...this.tiles.map((tile) => tile.node));
    if (isScrolled) this.box.scrollTop = 0;
  }

  /** All frames; their pictures come when they come into sight. */
  showAll(entry) {
    const { n_frames: n, tile_px: width, n: number } = entry.detail;
    this.mode = "all";
    this.scale = 1;
    this.showRuns(entry, number, Array.from({ length: Math.ceil(n / PART) }, (_, i) => [i * PART, Math.min((i + 1) * PART, n)]), width);
  }

  /** Frames around a cut. */
  showClose(entry, at) {
    if (entry.detail.tiles.length === entry.detail.n_frames) {
      if (this.mode !== "whole") this.showSample(entry);
      return;
    }
    const start = Math.max(0, Math.floor((at - CLOSE) / 8) * 8), stop = Math.min(entry.detail.n_frames, start + 4 * 8);
    if (this.mode === `close${start}`) return;
    this.mode = `close${start}`;
    this.fit(stop - start, entry.detail.tile_px);
    this.showRuns(entry, entry.detail.n, [[start, stop]], entry.detail.tile_px);
  }

  showRuns(entry, number, runs, width) {
    this.clear();
    const marked = new Set(entry.detail.odd);
    for (const [start, stop] of runs) {
      const part = [];
      for (let p = start; p < stop; p++) part.push(this.make(p, "", p - start, width, stop - start, marked.has(p)));
      for (const { node } of part) node.first = part[0].node;
      part[0].node.load = async () => {
        part[0].node.load = null;
        try {
          const url = await picture(`/sprite/${number}/${start}-${stop}`, this);
          for (const { node } of part) node.style.backgroundImage = `url("${url}")`;
        } catch { /* the banner tells that the server is lost; the tiles stay grey */ }
      };
      this.tiles.push(...part);
      this.box.append(...part.map((tile) => tile.node));
      this.watch.observe(part[0].node);
      if (part.length > 1) { part.at(-1).node.load = () => part[0].node.load?.(); this.watch.observe(part.at(-1).node); }
    }
  }

  /** The largest tiles with which all fit. */
  fit(n, width) {
    const style = this.size ?? this.measure();
    let scale = MAX_TILE_PX / TILE_PX;
    for (; scale > 0.6; scale -= 0.04) {
      const columns = Math.max(1, Math.floor((style.width + GAP_PX) / (width * scale + GAP_PX)));
      if (Math.ceil(n / columns) * (TILE_PX * scale + GAP_PX) <= style.height) break;
    }
    this.scale = scale;
  }

  measure() {
    this.size = { width: this.box.clientWidth - 12, height: this.box.clientHeight - 8 };
    return this.size;
  }

  make(position, url, place, width, n, odd) {
    const node = element("div", odd ? "tile odd" : "tile");
    node.setAttribute("role", "option");
    node.setAttribute("aria-label", `frame ${position}${odd ? ", suspicious" : ""}`);
    node.dataset.position = position;
    node.id = `f${position}`;
    const w = Math.round(width * this.scale), h = Math.round(TILE_PX * this.scale);
    const style = node.style;
    style.width = `${w}px`;
    style.height = `${h}px`;
    if (url) style.backgroundImage = `url("${url}")`;
    style.backgroundSize = `${w * n}px ${h}px`;
    style.backgroundPosition = `${-place * w}px 0`;
    node.append(element("span", "", position));
    return { position, node };
  }

  /** Marks pieces, dropped frames, the chosen range and the cut to come. */
  mark({ pieces, piece, range, cursor, cut, drops }) {
    const inside = (ranges, p) => ranges.some(([start, stop]) => start <= p && p < stop);
    const dropped = pieces.flatMap((each) => each.dropped);
    const borders = pieces.slice(1).map((each) => each.start);
    let last = -1;
    for (const { position: p, node } of this.tiles) {
      const list = node.classList;
      list.toggle("dropped", inside(dropped, p));
      list.toggle("suggested", inside(drops, p));
      list.toggle("other", pieces.length > 1 && !(piece.start <= p && p < piece.stop));
      list.toggle("rejected", pieces.some((each) => each.status === "rejected" && each.start <= p && p < each.stop));
      list.toggle("border", borders.some((at) => last < at && at <= p));
      list.toggle("cut", cut !== null && last < cut && cut <= p);
      list.toggle("cursor", p === cursor);
      node.setAttribute("aria-selected", range !== null && range[0] <= p && p < range[1]);
      last = p;
    }
    if (cursor >= 0) this.box.setAttribute("aria-activedescendant", `f${cursor}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  /** Shows a tile on a larger stage; false where its picture is not here yet. */
  enlarge({ node, position }, stage) {
    if (!node.style.backgroundImage) { node.first?.load?.(); return false; }
    const scale = (this.box.clientHeight - 40) / node.offsetHeight, style = stage.style;
    const [x] = node.style.backgroundPosition.split(" "), [w] = node.style.backgroundSize.split(" ");
    style.width = `${node.offsetWidth * scale}px`;
    style.height = `${node.offsetHeight * scale}px`;
    style.backgroundImage = node.style.backgroundImage;
    style.backgroundSize = `${parseFloat(w) * scale}px ${node.offsetHeight * scale}px`;
    style.backgroundPosition = `${parseFloat(x) * scale}px 0`;
    stage.textContent = position;
    stage.hidden = false;
    return true;
  }

  reveal(position) {
    const tile = this.tiles.find((each) => each.position >= position);
    tile?.node.scrollIntoView({ block: "nearest" });
  }
}
