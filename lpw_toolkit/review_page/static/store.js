// What the page knows: all tracklets by column, and those around the current one with their
// pictures.

import { fetchJson, fetchPicture, releasePictures } from "./api.js";
import { commonFolder } from "./dom.js";

/** @typedef {import("./api.js").Detail} Detail */

const N_KEPT = 24;
const RELEASE_MS = 5000; // pictures of a forgotten entry may still be on the page for a moment
const OPEN = new Set("upo"); // not reviewed, edited and not accepted, assigned to somebody else

/**
 * One tracklet with its pictures.
 *
 * @typedef {object} Entry
 * @property {number} n
 * @property {Detail | null} detail null until it is loaded
 * @property {string} sheet address of the contact sheet
 * @property {string} thumbs address of the pictures of the candidates
 * @property {HTMLImageElement[]} images keep the pictures decoded
 * @property {Promise<unknown>} ready
 */

export class Store {
  /**
   * @param {import("./api.js").Start} start
   * @param {(error: unknown) => void} onError is told why a tracklet could not be loaded
   * @param {(detail: Detail) => void} onLoaded may change what the server has sent
   */
  constructor(start, onError, onLoaded) {
    this.onLoaded = onLoaded;
    this.ids = start.ids;
    this.n = start.ids.length;
    this.folder = commonFolder(start.ids);
    this.frames = start.frames;
    this.cameras = start.cameras;
    this.reasons = start.operations.reject.arguments[0].choices;
    this.differ = start.differ ?? [];
    this.statusCodes = /** @type {string[]} */ ([]);
    this.queueOrder = /** @type {number[]} */ ([]); // as the server has last told it
    this.linked = /** @type {Set<number>} */ (new Set());
    this.flagged = /** @type {Set<number>} */ (new Set());
    this.nConflicts = 0;
    // The last that the server has said of a tracklet; an older answer may come later.
    this.latest = /** @type {Map<number, import("./api.js").Touched>} */ (new Map());
    this.chance = new Float32Array(this.n).fill(-1); // of an error; -1 is unknown
    this.random = /** @type {Set<number>} */ (new Set()); // random checks
    this.estimate = "";
    this.entries = /** @type {Map<number, Entry>} */ (new Map());
    this.onError = onError;
    this.nMine = this.nDone = 0;
    this.takeCodes(start);
    this.takeOrder(start);
  }

  /** @param {import("./api.js").Codes} codes */
  takeCodes({ status_codes: codes, linked, flagged, n_conflicts: nConflicts }) {
    this.statusCodes = codes.split("");
    this.linked = new Set(linked);
    this.flagged = new Set(flagged);
    this.nConflicts = nConflicts;
    this.nMine = this.statusCodes.filter((code) => code !== "o").length;
    this.nDone = this.statusCodes.filter((code) => !OPEN.has(code)).length;
  }

  /** @param {import("./api.js").QueueOrder} found */
  takeOrder({ order, chances, random, estimate }) {
    chances.forEach((chance, i) => {
      this.chance[order[i]] = chance;
    });
    this.random = new Set(random);
    this.estimate = estimate;
    this.queueOrder = order;
    return order;
  }

  /**
   * @param {number} n
   * @param {string} code
   */
  setStatusCode(n, code) {
    const before = this.statusCodes[n];
    this.nMine += Number(before === "o" && code !== "o");
    this.nDone += Number(!OPEN.has(code)) - Number(!OPEN.has(before));
    this.statusCodes[n] = code;
  }

  /**
   * A name without what all have in common.
   *
   * @param {string} name
   */
  shorten(name) {
    return name.startsWith(this.folder) ? name.slice(this.folder.length) : name;
  }

  /** The tracklets that are open, those that most likely have a mistake first. */
  listOpen() {
    const ordered = new Set(this.queueOrder);
    for (let n = 0; n < this.n; n++) ordered.add(n);
    return [...ordered].filter((n) => this.isOpen(n));
  }

  /** @param {number} n */
  isOpen(n) {
    return this.statusCodes[n] === "u" || this.statusCodes[n] === "p";
  }

  /**
   * The entry of a tracklet; loads it where it is not there yet.
   *
   * @param {number} n
   */
  get(n) {
    const entry = this.entries.get(n) ?? this.load(n);
    this.entries.delete(n);
    this.entries.set(n, entry);
    for (const [old, other] of this.entries) {
      if (this.entries.size <= N_KEPT) break;
      if (old === n) continue;
      this.entries.delete(old);
      releasePictures(other);
    }
    return entry;
  }

  /** @param {number} n */
  load(n) {
    /** @type {Entry} */
    const entry = { n, detail: null, sheet: "", thumbs: "", images: [], ready: Promise.resolve() };
    entry.ready = this.fetch(entry).catch((error) => {
      this.entries.delete(n);
      this.onError(error);
      throw error;
    });
    entry.ready.catch(() => {}); // `onError` has been told
    return entry;
  }

  /** @param {Entry} entry */
  async fetch(entry) {
    const [detail, sheet] = await Promise.all([
      fetchJson(`/api/tracklet/${entry.n}`),
      fetchPicture(`/sprite/${entry.n}/sheet`, entry),
    ]);
    if (detail.thumbs.length) {
      entry.thumbs = await fetchPicture(`/sprite/several/${detail.thumbs.join("-")}`, entry);
    }
    this.nConflicts = detail.n_conflicts;
    const latest = this.latest.get(entry.n);
    if (latest && latest.n_known > detail.n_known) {
      const { pieces, flag_decisions: flags, n_known: nKnown } = latest;
      Object.assign(detail, { pieces, flag_decisions: flags, n_known: nKnown });
    } else this.latest.delete(entry.n);
    this.onLoaded(detail);
    entry.sheet = sheet;
    entry.detail = detail;
  }

  /**
   * Makes the shown entry the last one to be released.
   *
   * @param {Entry} entry
   */
  keepAlive(entry) {
    if (this.entries.delete(entry.n)) this.entries.set(entry.n, entry);
  }

  /**
   * Forgets these tracklets; the next `get` loads them again.
   *
   * @param {number[]} numbers
   */
  forget(numbers) {
    for (const n of numbers) {
      const entry = this.entries.get(n);
      if (!entry) continue;
      this.entries.delete(n);
      setTimeout(() => releasePictures(entry), RELEASE_MS);
    }
  }
}
