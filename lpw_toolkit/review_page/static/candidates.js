// The right side: who the tracklet is, where its track may go on, and who may be the same person
// in other cameras or in this one at another time.

import { $, closest, element, setName } from "./dom.js";
import { state } from "./state.js";
import { CODE_LABELS, CODE_SIGNS } from "./verdicts.js";

/** @typedef {import("./api.js").Candidate} Candidate */
/**
 * @typedef {"merge" | "across" | "member"} Kind merge: the track goes on; across: to link with;
 *   member: of this person already
 */
/**
 * @typedef {{url: string, width: number, n: number, used: number}} Sprite pictures of all
 *   candidates, in a row
 */

const N_THUMBS = 2;
const THUMB_PX = 44;
const TILE_PX = 96;
const N_MERGES = 3;
const WHEN_TO_MERGE = "Merge a track that was cut and goes on within seconds.";
const WHEN_TO_LINK = "Link a person who left and comes back later.";
const WHEN_TO_DO_WHICH = `${WHEN_TO_LINK} ${WHEN_TO_MERGE}`;

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
   * @param {import("./api.js").Detail} detail
   * @param {import("./state.js").Mode} mode
   * @param {number} nCameras of the dataset
   */
  show(entry, detail, mode, nCameras) {
    const { merges, across, members, persons, n_members: nMembers } = detail;
    const n = N_THUMBS * (merges.length + across.length + members.length);
    const sprite = { url: entry.thumbs, width: detail.thumb_px, n, used: 0 };
    const isApart = mode === "apart";
    const merged = makeRows(merges, "merge", mode === "merge", sprite);
    const isAcross = mode === "browse" || (isApart && !members.length);
    const others = makeRows(across, "across", isAcross, sprite);
    const known = makeRows(members, "member", isApart, sprite);
    const nodes = [];
    if (members.length || persons.length) {
      const title = persons.length ? `This person: ${persons.join(", ")}` : "This person";
      nodes.push(makeHead(title, `${nMembers + 1} tracklets`), ...known);
    }
    const hint = mode === "merge" ? "1–9 merges" : merges.length ? "m merges" : "";
    nodes.push(makeHead("The track goes on", hint, WHEN_TO_MERGE));
    nodes.push(...(mode === "merge" ? merged : merged.slice(0, N_MERGES)));
    if (!merges.length) nodes.push(element("p", "none", "No candidates."));
    const nElsewhere = across.filter(({ camera }) => camera !== detail.camera).length;
    if (nCameras > 1) {
      nodes.push(makeHead("Other cameras", nElsewhere ? "1–9 links, 0 none" : ""));
      nodes.push(...others.slice(0, nElsewhere));
      if (!nElsewhere) nodes.push(element("p", "none", "No candidates."));
    }
    const returns = others.slice(nElsewhere);
    if (nCameras === 1 || returns.length) {
      const keys = returns.length ? "1–9 links" : "";
      nodes.push(makeHead("Back in this camera", keys, WHEN_TO_LINK), ...returns);
      nodes.push(element("p", "none", returns.length ? WHEN_TO_DO_WHICH : "No candidates."));
    }
    this.box.replaceChildren(...nodes);
  }

  clear() {
    this.box.replaceChildren();
  }
}

/** @type {(text: string, hint: string, title?: string) => HTMLElement} */
function makeHead(text, hint, title = "") {
  const head = element("h3", "", text);
  head.title = title;
  if (hint) head.append(element("span", "", hint));
  return head;
}

/** @type {(list: Candidate[], kind: Kind, hasDigits: boolean, sprite: Sprite) => HTMLElement[]} */
function makeRows(list, kind, hasDigits, sprite) {
  return list.map((candidate, i) => {
    const row = element("div", `candidate ${candidate.merged ? "merged" : ""}`);
    row.dataset.kind = kind;
    row.dataset.place = String(i);
    row.append(element("kbd", hasDigits ? "" : "off", hasDigits ? i + 1 : ""), makeThumb(sprite));
    row.append(...describe(candidate));
    row.title = candidate.piece ?? candidate.name ?? "";
    return row;
  });
}

/** @type {(sprite: Sprite) => HTMLElement} */
function makeThumb(sprite) {
  const w = Math.round((sprite.width * THUMB_PX) / TILE_PX);
  const thumb = element("span", "thumb");
  thumb.style.width = `${w * N_THUMBS}px`;
  thumb.style.backgroundImage = `url("${sprite.url}")`;
  thumb.style.backgroundSize = `${w * sprite.n}px ${THUMB_PX}px`;
  thumb.style.backgroundPosition = `${-sprite.used * w}px 0`;
  sprite.used += N_THUMBS;
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
