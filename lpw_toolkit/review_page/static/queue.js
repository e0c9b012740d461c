// The list on the left: however long the queue is, only the rows in sight exist.

import { $, closest, element, setName } from "./dom.js";
import { CODE_LABELS, CODE_SIGNS } from "./verdicts.js";

const ROW_PX = 30;

/** @typedef {{node: HTMLElement, sign: HTMLElement, name: HTMLElement, risk: HTMLElement}} Row */

export class QueueList {
  /**
   * @param {import("./store.js").Store} store
   * @param {(place: number) => void} choose
   */
  constructor(store, choose) {
    this.store = store;
    this.order = /** @type {number[]} */ ([]);
    this.at = -1;
    this.pool = /** @type {Row[]} */ ([]);
    this.box = $("queue");
    this.top = 0; // scroll position and height: reading them from the page would force a layout
    this.height = this.box.clientHeight;
    this.box.addEventListener("scroll", () => {
      this.top = this.box.scrollTop;
      this.draw();
    });
    new ResizeObserver(() => {
      this.height = this.box.clientHeight;
      this.draw();
    }).observe(this.box);
    $("rows").addEventListener("click", (event) => {
      const row = closest(event, ".row");
      if (row) choose(Number(row.dataset.place));
    });
  }

  /**
   * @param {number[]} order
   * @param {number} at
   */
  show(order, at) {
    this.order = order;
    $("rows").style.height = `${order.length * ROW_PX}px`;
    this.move(at);
  }

  /** @param {number} at */
  move(at) {
    this.at = at;
    const top = at * ROW_PX;
    if (top < this.top + (this.top ? ROW_PX : 0) || top > this.top + this.height - 4 * ROW_PX) {
      this.top = Math.max(
        0,
        Math.min(top - this.height / 3, this.order.length * ROW_PX - this.height),
      );
      this.box.scrollTop = this.top;
    }
    this.draw();
  }

  draw() {
    const from = Math.max(0, Math.floor(this.top / ROW_PX) - 2);
    const until = Math.min(this.order.length, Math.ceil((this.top + this.height) / ROW_PX) + 2);
    while (this.pool.length < until - from) this.pool.push(this.make());
    for (const [i, row] of this.pool.entries()) this.fill(row, from + i, from + i < until);
  }

  /** @returns {Row} */
  make() {
    const node = element("div", "row");
    node.setAttribute("role", "option");
    const [sign, name, risk] = ["sign", "name", "risk"].map((part) =>
      node.appendChild(element("span", part)),
    );
    $("rows").append(node);
    return { node, sign, name, risk };
  }

  /**
   * @param {Row} row
   * @param {number} place
   * @param {boolean} shown
   */
  fill({ node, sign, name, risk }, place, shown) {
    node.hidden = !shown;
    if (!shown) return;
    const n = this.order[place],
      { statusCodes, ids, chance, random } = this.store,
      code = statusCodes[n];
    node.dataset.place = String(place);
    node.id = `row${place}`;
    node.style.transform = `translateY(${place * ROW_PX}px)`;
    node.dataset.status = code;
    sign.textContent = CODE_SIGNS[code];
    sign.title = CODE_LABELS[code];
    setName(name, this.store.shorten(ids[n]));
    node.title = ids[n];
    node.setAttribute("aria-label", `${ids[n]}, ${CODE_LABELS[code]}`);
    risk.textContent =
      chance[n] < 0 ? "" : random.has(n) ? "random" : `${Math.round(100 * chance[n])} %`;
    risk.title = random.has(n)
      ? "Drawn at random, to estimate how many mistakes are left"
      : "Estimated chance that this tracklet has a mistake";
    node.setAttribute("aria-selected", String(place === this.at));
    if (place === this.at) this.box.setAttribute("aria-activedescendant", node.id);
  }
}
