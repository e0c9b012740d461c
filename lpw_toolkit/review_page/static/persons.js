// The right side: pieces of the same way in the same camera, people of other cameras, and the person card.

import { $, LETTER, SIGN, element, tail } from "./words.js";

const THUMBS = 2, THUMB_PX = 44, TILE_PX = 96, N_MERGES = 3;

export class Persons {
  constructor(act) {
    this.box = $("persons");
    this.box.addEventListener("click", (event) => {
      const row = event.target.closest(".candidate");
      if (row?.dataset.kind) act(row.dataset.kind, Number(row.dataset.place));
    });
  }

  show(entry, mode) {
    const { merges, across, members, persons, n_members: nMembers, thumb_px: width } = entry.detail;
    const nThumbs = THUMBS * (merges.length + across.length + members.length);
    let place = 0;
    const rows = (list, kind, digits) => list.map((each, i) => this.make(each, kind, i, digits, entry.thumbs, place++, width, nThumbs));
    const kinds = { merge: mode === "merge", across: mode === "look", apart: mode === "apart" };
    const merged = rows(merges, "merge", kinds.merge);
    const others = rows(across, "across", kinds.across || (kinds.apart && !members.length));
    const known = rows(members, "member", kinds.apart);
    const nodes = [];
    if (members.length || persons.length) {
      nodes.push(this.head(persons.length ? `This person: ${persons.join(", ")}` : "This person", `${nMembers + 1} tracklets`));
      nodes.push(...known);
    }
    nodes.push(this.head("Goes on here?", kinds.merge ? "1–9 merges" : merges.length ? "m merges" : ""));
    nodes.push(...(kinds.merge ? merged : merged.slice(0, N_MERGES)));
    if (!merges.length) nodes.push(element("p", "none", "Nobody fits."));
    nodes.push(this.head("Other cameras?", across.length ? "1–9 links, 0 none" : ""));
    nodes.push(...others);
    if (!across.length) nodes.push(element("p", "none", "Nobody fits."));
    this.box.replaceChildren(...nodes);
  }

  clear() {
    this.box.replaceChildren();
  }

  head(text, hint) {
    const head = element("h3", "", text);
    if (hint) head.append(element("span", "", hint));
    return head;
  }

  make(each, kind, i, digits, url, place, width, n) {
    const row = element("div", `candidate ${each.merged ? "merged" : ""}`);
    row.dataset.kind = kind;
    row.dataset.place = i;
    row.append(element("kbd", digits ? "" : "off", digits ? i + 1 : ""));
    const scale = THUMB_PX / TILE_PX, w = Math.round(width * scale);
    const thumb = row.appendChild(element("span", "thumb"));
    thumb.style.width = `${w * THUMBS}px`;
    thumb.style.backgroundImage = `url("${url}")`;
    thumb.style.backgroundSize = `${w * n}px ${THUMB_PX}px`;
    thumb.style.backgroundPosition = `${-place * THUMBS * w}px 0`;
    const text = row.appendChild(element("span", "text"));
    text.append(element("b", "", tail(each.piece ?? each.name, 22)));
    row.title = each.piece ?? each.name;
    text.append(element("span", "", each.why ?? (each.merged ? `${each.camera}, merged` : each.camera)));
    if (each.letter && each.letter !== "u") {
      const sign = row.appendChild(element("span", "sign", SIGN[each.letter]));
      sign.title = LETTER[each.letter];
    }
    return row;
  }
}
