// All persons: a row each, a column for each camera. Tiles are chosen, then linked, told apart or
// moved to another row.

import { fetchJson, fetchPicture, releasePictures } from "./api.js";
import { comparePieces } from "./compare.js";
import { decide } from "./decide.js";
import { $, closest, count, element, setName } from "./dom.js";
import { enterMode } from "./modes.js";
import { state } from "./state.js";
import { reportFailure, showNote } from "./status.js";

/**
 * @typedef {object} PersonTile
 * @property {string} piece
 * @property {number} n
 * @property {string} camera
 * @property {string} [status]
 * @property {string} [of] of a candidate: the piece that it may be the same person as
 * @property {string} [why]
 *
 * @typedef {{number: number | null, tiles: PersonTile[], gaps: PersonTile[], thumbs: number[]}}
 *   PersonRow
 */

const TILE_PX = 72;
const SPRITE_PX = 96;

class PersonsView {
  constructor() {
    this.view = "all";
    this.offset = 0;
    this.n = 0;
    this.rows = /** @type {PersonRow[]} */ ([]);
    this.chosen = /** @type {Map<string, PersonTile>} */ (new Map()); // by piece
    this.cursor = 0; // place of a tile on the page
    this.images = /** @type {HTMLImageElement[]} */ ([]);
  }

  get tiles() {
    return [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".person-tile"))];
  }

  async load() {
    const { view, offset } = this;
    try {
      const found = await fetchJson(`/api/persons?view=${view}&offset=${offset}`);
      if (state.mode !== "persons") return;
      this.n = found.n;
      this.rows = found.persons;
      this.draw();
    } catch (error) {
      reportFailure(error);
    }
  }

  draw() {
    releasePictures(this);
    const { cameras } = state.store;
    const head = element("tr");
    for (const text of ["person", ...cameras]) head.append(element("th", "", text));
    const body = this.rows.map((row, i) => this.drawRow(row, i));
    $("persons-head").replaceChildren(head);
    $("persons-body").replaceChildren(...body);
    const last = Math.min(this.offset + this.rows.length, this.n);
    const which = this.view === "alone" ? "seen by one camera only: --apply leaves them out" : "";
    $("persons-facts").textContent = this.n
      ? `${count(this.offset + 1)}–${count(last)} of ${count(this.n)} ${which}`
      : `nobody ${which}`;
    this.mark();
  }

  /** @type {(row: PersonRow, place: number) => HTMLElement} */
  drawRow({ number, tiles, gaps, thumbs }, place) {
    const line = element("tr");
    line.append(element("th", "", number ?? "–"));
    const pictures = /** @type {[HTMLElement, number][]} */ ([]);
    for (const camera of state.store.cameras) {
      const cell = line.appendChild(element("td"));
      for (const tile of [...tiles, ...gaps].filter((each) => each.camera === camera)) {
        const node = cell.appendChild(makeTile(tile, place));
        pictures.push([node, thumbs.indexOf(tile.n)]);
      }
    }
    const show = (/** @type {string} */ url) => {
      for (const [node, i] of pictures) if (i >= 0) showThumb(node, url, i, thumbs.length);
    };
    fetchPicture(`/sprite/several/${thumbs.join("-")}`, this).then(show, reportFailure);
    return line;
  }

  /** Shows what is chosen, and where the keys are. */
  mark() {
    const { tiles } = this;
    this.cursor = Math.max(0, Math.min(tiles.length - 1, this.cursor));
    tiles.forEach((node, i) => {
      node.setAttribute("aria-pressed", String(this.chosen.has(node.dataset.piece ?? "")));
      node.classList.toggle("cursor", i === this.cursor);
    });
    tiles[this.cursor]?.scrollIntoView({ block: "nearest", inline: "nearest" });
    $("persons-chosen").textContent = this.chosen.size ? `${this.chosen.size} chosen` : "";
  }

  /** @param {HTMLElement} node */
  tileOf({ dataset }) {
    const { tiles, gaps } = this.rows[Number(dataset.row)];
    return [...tiles, ...gaps].find(({ piece }) => piece === dataset.piece);
  }

  /** Chooses a tile, or chooses it no more; a candidate is compared. @param {HTMLElement} node */
  choose(node) {
    const tile = this.tileOf(node);
    if (!tile) return;
    this.cursor = this.tiles.indexOf(node);
    if (tile.of) {
      const n = this.rows[Number(node.dataset.row)].tiles.find(({ piece }) => piece === tile.of)?.n;
      const own = { n: n ?? -1, name: tile.of };
      comparePieces(own, { n: tile.n, name: tile.piece, why: tile.why ?? "" });
      return;
    }
    if (!this.chosen.delete(tile.piece)) this.chosen.set(tile.piece, tile);
    this.mark();
  }
}

/** @type {(tile: PersonTile, row: number) => HTMLElement} */
function makeTile({ piece, of, why, status }, row) {
  const node = element("button", of ? "person-tile gap" : `person-tile ${status}`);
  node.dataset.piece = piece;
  node.dataset.row = String(row);
  node.tabIndex = -1;
  node.title = of ? `perhaps ${piece}: ${why}` : piece;
  const label = element("b", "name");
  setName(label, state.store.shorten(piece));
  node.append(element("span", "thumb"), label);
  return node;
}

/** @type {(node: HTMLElement, url: string, place: number, n: number) => void} */
function showThumb(node, url, place, n) {
  const thumb = /** @type {HTMLElement} */ (node.firstElementChild);
  const image = new Image();
  image.src = url;
  image.decode().then(() => {
    const width = Math.round((image.naturalWidth / n) * (TILE_PX / SPRITE_PX));
    thumb.style.width = `${width}px`;
    thumb.style.backgroundImage = `url("${url}")`;
    thumb.style.backgroundSize = `${width * n}px ${TILE_PX}px`;
    thumb.style.backgroundPosition = `${-place * width}px 0`;
  }, reportFailure);
}

const persons = new PersonsView();

/** Wires the page's table of persons. */
export function listenToPersons() {
  $("persons-body").addEventListener("click", (event) => {
    const node = closest(event, ".person-tile");
    if (node) persons.choose(node);
  });
}

export function showPersons() {
  persons.chosen.clear();
  enterMode("persons");
  persons.load();
}

/** Asks again, where the persons are shown, after a decision. */
export function refreshPersons() {
  if (state.mode === "persons") persons.load();
}

/** @param {number} step */
export function movePersonCursor(step) {
  persons.cursor += step;
  persons.mark();
}

/** @param {number} pages */
export function turnPersons(pages) {
  const size = Math.max(1, persons.rows.length);
  const offset = Math.max(0, persons.offset + pages * size);
  if (offset >= persons.n || offset === persons.offset) {
    showNote("There are no more persons.");
    return;
  }
  persons.offset = offset;
  persons.cursor = 0;
  persons.load();
}

/** All persons, or those whom one camera sees. */
export function turnPersonsView() {
  persons.view = persons.view === "all" ? "alone" : "all";
  persons.offset = persons.cursor = 0;
  persons.load();
}

export function choosePersonTile() {
  const node = persons.tiles[persons.cursor];
  if (node) persons.choose(node);
}

/** The chosen tiles show one person. */
export function linkPersons() {
  const tiles = takeChosen(2);
  if (!tiles) return;
  decide(
    "link",
    tiles.map(({ piece }) => piece),
    {},
    tiles.map(({ n }) => n),
  );
}

/** The chosen tiles show another person than the rest of their row. */
export function partPersons() {
  const tiles = takeChosen(1);
  if (!tiles) return;
  const pieces = new Set(tiles.map(({ piece }) => piece));
  for (const { tiles: row } of persons.rows) {
    const own = row.filter(({ piece }) => pieces.has(piece));
    const rest = row.filter(({ piece }) => !pieces.has(piece));
    if (own.length && rest.length) part(own, rest);
  }
}

/** The chosen tiles are of the person in whose row the keys are. */
export function movePersons() {
  const node = persons.tiles[persons.cursor];
  const target = persons.rows[Number(node?.dataset.row)];
  const tiles = takeChosen(1);
  if (!tiles || !target) return;
  const moved = new Set(tiles.map(({ piece }) => piece));
  const there = target.tiles.find(({ piece }) => !moved.has(piece));
  if (!there) {
    showNote("Go to the row of the person first.");
    return;
  }
  for (const { tiles: row } of persons.rows) {
    const own = row.filter(({ piece }) => moved.has(piece));
    const rest = row.filter(({ piece }) => !moved.has(piece));
    if (own.length && rest.length && row !== target.tiles) part(own, rest);
  }
  decide(
    "link",
    [there.piece, ...moved],
    {},
    [there, ...tiles].map(({ n }) => n),
  );
}

/** @type {(own: PersonTile[], rest: PersonTile[]) => void} */
function part(own, rest) {
  for (const { piece, n } of own) {
    decide("unlink", [piece, ...rest.map((each) => each.piece)], {}, [n]);
  }
}

/**
 * The chosen tiles, which are chosen no more; null where they are too few.
 *
 * @param {number} least
 */
function takeChosen(least) {
  const tiles = [...persons.chosen.values()];
  if (tiles.length < least) {
    showNote(least > 1 ? "First choose two tiles or more." : "First choose tiles with Space.");
    return null;
  }
  persons.chosen.clear();
  persons.mark();
  return tiles;
}
