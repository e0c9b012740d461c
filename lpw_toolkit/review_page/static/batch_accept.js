// Twelve tracklets that are probably fine, to be accepted at once; any of them can be left out.

import { fetchPicture, releasePictures } from "./api.js";
import { $, closest, count, element, setName } from "./dom.js";

/** The key of each tracklet: those of a left hand. */
export const BATCH_KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "q", "w", "e"];

const KEYS_TEXT = `${BATCH_KEYS[0]}–${BATCH_KEYS[8]}, ${BATCH_KEYS.slice(9).join(", ")}`;
const N_KEPT = 48;

/** @typedef {{images: HTMLImageElement[], url: string}} Picture */

export class BatchAccept {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.box = $("cells");
    this.numbers = /** @type {number[]} */ ([]); // tracklets that are shown
    this.out = /** @type {Set<number>} */ (new Set()); // places of those left out
    // Tracklets that were left out: they wait in the queue.
    this.passed = /** @type {Set<number>} */ (new Set());
    this.pictures = /** @type {Map<number, Promise<Picture>>} */ (new Map());
    this.box.addEventListener("click", (event) => {
      const cell = closest(event, ".cell");
      if (cell) this.toggle(Number(cell.dataset.place));
    });
  }

  /**
   * Shows the next ones of those that nobody has judged, the least suspicious first; returns how
   * many.
   */
  open() {
    const { store, passed } = this;
    const n = BATCH_KEYS.length;
    const open = [];
    for (let i = 0; i < store.n; i++) if (store.isOpen(i) && !passed.has(i)) open.push(i);
    if (store.chance.some((value) => value >= 0)) {
      open.sort((a, b) => store.chance[a] - store.chance[b] || a - b);
    }
    this.numbers = open.slice(0, n);
    this.out = new Set();
    $("batch-facts").textContent = this.numbers.length
      ? `${count(open.length)} left; ${KEYS_TEXT} leave one out`
      : "";
    this.box.replaceChildren(...this.numbers.map((number, i) => this.makeCell(number, i)));
    for (const number of open.slice(n, 2 * n)) this.fetch(number);
    this.releaseOld();
    return this.numbers.length;
  }

  releaseOld() {
    const old = [...this.pictures].slice(0, Math.max(0, this.pictures.size - N_KEPT));
    for (const [number, picture] of old) {
      picture.then(releasePictures, () => {});
      this.pictures.delete(number);
    }
  }

  /**
   * @param {number} number
   * @returns {Promise<Picture>}
   */
  fetch(number) {
    const known = this.pictures.get(number);
    if (known) return known;
    const picture = { images: [], url: "" };
    const made = fetchPicture(`/sprite/${number}/few`, picture).then((url) =>
      Object.assign(picture, { url }),
    );
    this.pictures.set(number, made);
    made.catch(() => this.pictures.delete(number));
    return made;
  }

  /**
   * @param {number} number
   * @param {number} place
   */
  makeCell(number, place) {
    const { ids, chance, frames } = this.store;
    const cell = element("div", "cell");
    cell.dataset.place = String(place);
    const head = cell.appendChild(element("p"));
    const risk = chance[number] < 0 ? "" : `, ${(100 * chance[number]).toFixed(1)} %`;
    const name = element("b", "name");
    setName(name, this.store.shorten(ids[number]));
    head.append(element("kbd", "", BATCH_KEYS[place]), name);
    head.append(element("span", "", `${count(frames[number])} frames${risk}`));
    const strip = cell.appendChild(element("div", "strip"));
    const show = (/** @type {Picture} */ { url }) => {
      strip.style.backgroundImage = `url("${url}")`;
    };
    this.fetch(number).then(show, () => {});
    return cell;
  }

  /** @param {number} place */
  toggle(place) {
    if (place >= this.numbers.length) return;
    if (!this.out.delete(place)) this.out.add(place);
    this.box.children[place].classList.toggle("out", this.out.has(place));
  }

  /** The tracklets that are left out, to be rejected now. */
  takeOut() {
    return this.numbers.filter((_, place) => this.out.has(place));
  }

  /** The tracklets that are not left out; the others wait in the queue. */
  take() {
    for (const number of this.takeOut()) this.passed.add(number);
    return this.numbers.filter((_, place) => !this.out.has(place));
  }
}
