// The list on the left: however long the queue is, only the rows in sight exist.

import { $, NARROW, closest, element, setName } from "./dom.js";
import { CODE_LABELS, CODE_SIGNS } from "./verdicts.js";

/** As in review.css: on a narrow screen a row is a target for a finger. */
const rowHeight = () => (NARROW.matches ? 44 : 30);

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
      this.show(this.order, this.at);
    }).observe(this.box);
    this.box.addEventListener("keydown", (event) => {
      const step = this.stepOf(event.key);
      if (!step || !this.order.length) return;
      event.preventDefault();
      event.stopPropagation();
      choose(Math.max(0, Math.min(this.order.length - 1, this.at + step)));
    });
    $("rows").addEventListener("click", (event) => {
      const row = closest(event, ".row");
      if (row) choose(Number(row.dataset.place));
    });
  }

  /**
   * By how many places a key moves in the list.
   *
   * @param {string} key
   */
  stepOf(key) {
    const page = Math.max(1, Math.floor(this.height / rowHeight()) - 1);
    /** @type {Record<string, number>} */
    const steps = {
      ArrowUp: -1,
      ArrowDown: 1,
      PageUp: -page,
      PageDown: page,
      Home: -this.order.length,
      End: this.order.length,
    };
    return steps[key] ?? 0;
  }

  /**
   * @param {number[]} order
   * @param {number} at
   */
  show(order, at) {
    this.order = order;
    $("rows").style.height = `${order.length * rowHeight()}px`;
    this.move(at);
  }

  /** @param {number} at */
  move(at) {
    this.at = at;
    const row = rowHeight();
    const top = at * row;
    if (top < this.top + (this.top ? row : 0) || top > this.top + this.height - 2 * row) {
      this.top = Math.max(
        0,
        Math.min(top - this.height / 3, this.order.length * row - this.height),
      );
      this.box.scrollTop = this.top;
    }
    this.draw();
  }

  draw() {
    const row = rowHeight();
    const from = Math.max(0, Math.floor(this.top / row) - 2);
    const until = Math.min(this.order.length, Math.ceil((this.top + this.height) / row) + 2);
    while (this.pool.length < until - from) this.pool.push(this.make());
    for (const [i, each] of this.pool.entries()) this.fill(each, from + i, from + i < until);
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
    node.style.transform = `translateY(${place * rowHeight()}px)`;
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
