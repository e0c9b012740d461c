// The right side: who the piece is, where its track may go on, and who may be the same person in
// other cameras or in this one at another time.

import { $, closest, element, setName } from "./dom.js";
import { currentPerson, currentPiece, state } from "./state.js";
import { CODE_LABELS, CODE_SIGNS } from "./verdicts.js";

/** @typedef {import("./api.js").Candidate} Candidate */
/** @typedef {import("./api.js").Detail} Detail */
/**
 * @typedef {"merge" | "across" | "member"} Kind merge: the track goes on; across: to link with;
 *   member: of this person already
 */

const N_THUMBS = 2;
const THUMB_PX = 44;
const TILE_PX = 96;
const N_MERGES = 3;
const N_DIGITS = 9;
const WHEN_TO_MERGE = "Merge a track that was cut and goes on within seconds.";
const WHEN_TO_LINK = "Link a person who left and comes back later.";
const WHEN_TO_DO_WHICH = `${WHEN_TO_LINK} ${WHEN_TO_MERGE}`;

/**
 * The candidates of a kind for the current piece. Errors: TypeError while no tracklet is loaded.
 *
 * @param {Kind} kind
 * @param {Detail} detail
 * @returns {Candidate[]}
 */
export function candidatesOf(kind, detail) {
  if (kind === "member") return currentPerson().members;
  return kind === "merge" ? detail.merges : detail.across;
}

/**
 * The kind whose digits tell somebody apart: who is joined already, otherwise who may be.
 *
 * @param {Detail} detail
 * @returns {Kind}
 */
export function kindToPart(detail) {
  /** @type {Kind[]} */
  const kinds = ["member", "across", "merge"];
  return kinds.find((kind) => candidatesOf(kind, detail).length) ?? "across";
}

export class Candidates {
  /** @param {(kind: Kind, place: number) => void} choose */
  constructor(choose) {
    this.box = $("candidates");
    this.box.addEventListener("click", (event) => {
      const { kind, place } = closest(event, ".candidate")?.dataset ?? {};
      if (kind) choose(/** @type {Kind} */ (kind), Number(place));
    });
  }

  /**
   * @param {import("./store.js").Entry} entry
   * @param {Detail} detail
   * @param {import("./state.js").Mode} mode
   * @param {number} nCameras of the dataset
   */
  show(entry, detail, mode, nCameras) {
    const { members, numbers, n_members: nMembers } = currentPerson();
    const digits = mode === "apart" ? kindToPart(detail) : mode === "merge" ? "merge" : "across";
    const rowsOf = (/** @type {Kind} */ kind) =>
      makeRows(candidatesOf(kind, detail), kind, kind === digits, (n) =>
        makeThumb(entry, detail, n),
      );
    const nodes = [];
    if (members.length || numbers.length) {
      const what = detail.pieces.length > 1 ? `This person (${nameFrames()})` : "This person";
      const title = numbers.length ? `${what}: ${numbers.join(", ")}` : what;
      nodes.push(makeHead(title, `${nMembers + 1} tracklets`), ...rowsOf("member"));
      const nMore = nMembers - members.length;
      if (nMore) nodes.push(element("p", "none", `and ${nMore} more`));
    }
    const merges = rowsOf("merge");
    const hint = mode === "merge" ? "1–9 compares" : merges.length ? "m compares" : "";
    nodes.push(makeHead("The track goes on", hint, WHEN_TO_MERGE));
    nodes.push(...(digits === "merge" ? merges : merges.slice(0, N_MERGES)));
    if (!merges.length) nodes.push(element("p", "none", "No candidates."));
    const { across } = detail;
    const nElsewhere = across.filter(({ camera }) => camera !== detail.camera).length;
    const others = rowsOf("across");
    if (nCameras > 1) {
      nodes.push(makeHead("Other cameras", nElsewhere ? "1–9 compares, 0 none" : ""));
      nodes.push(...others.slice(0, nElsewhere));
      if (!nElsewhere) nodes.push(element("p", "none", "No candidates."));
    }
    const returns = others.slice(nElsewhere);
    if (nCameras === 1 || returns.length) {
      const keys = returns.length ? "1–9 compares" : "";
      nodes.push(makeHead("Back in this camera", keys, WHEN_TO_LINK), ...returns);
      nodes.push(element("p", "none", returns.length ? WHEN_TO_DO_WHICH : "No candidates."));
    }
    this.box.replaceChildren(...nodes);
  }

  clear() {
    this.box.replaceChildren();
  }
}

function nameFrames() {
  const { start, stop } = currentPiece();
  return `frames ${start}–${stop - 1}`;
}

/** @type {(text: string, hint: string, title?: string) => HTMLElement} */
function makeHead(text, hint, title = "") {
  const head = element("h3", "", text);
  head.title = title;
  if (hint) head.append(element("span", "", hint));
  return head;
}

/**
 * @type {(list: Candidate[], kind: Kind, hasDigits: boolean, draw: (n: number) => HTMLElement) =>
 *   HTMLElement[]}
 */
function makeRows(list, kind, hasDigits, draw) {
  return list.map((candidate, i) => {
    const row = element("button", `candidate ${candidate.merged ? "merged" : ""}`);
    row.dataset.kind = kind;
    row.dataset.place = String(i);
    row.tabIndex = -1;
    const hasDigit = hasDigits && i < N_DIGITS;
    row.append(element("kbd", hasDigit ? "" : "off", hasDigit ? i + 1 : ""), draw(candidate.n));
    row.append(...describe(candidate));
    row.title = candidate.piece ?? candidate.name ?? "";
    return row;
  });
}

/** @type {(entry: import("./store.js").Entry, detail: Detail, n: number) => HTMLElement} */
function makeThumb(entry, { thumbs, thumb_px: width }, n) {
  const w = Math.round((width * THUMB_PX) / TILE_PX);
  const thumb = element("span", "thumb");
  const place = thumbs.indexOf(n);
  thumb.style.width = `${w * N_THUMBS}px`;
  if (place < 0) return thumb;
  thumb.style.backgroundImage = `url("${entry.thumbs}")`;
  thumb.style.backgroundSize = `${w * N_THUMBS * thumbs.length}px ${THUMB_PX}px`;
  thumb.style.backgroundPosition = `${-place * w * N_THUMBS}px 0`;
  return thumb;
}

/** @type {(candidate: Candidate) => HTMLElement[]} */
function describe({ piece, name, why, merged, camera, status_code: code }) {
  const text = element("span", "text");
  const label = text.appendChild(element("b", "name"));
  setName(label, state.store.shorten(piece ?? name ?? ""));
  text.append(element("span", "", why ?? (merged ? `${camera}, merged` : camera)));
  if (!code || code === "u") return [text];
  const sign = element("span", "sign", CODE_SIGNS[code]);
  sign.title = CODE_LABELS[code];
  return [text, sign];
}
