// The list on the left: however long the queue is, only the rows in sight exist.

import { $, LETTER, SIGN, element, tail } from "./words.js";

const ROW_PX = 30;

export class QueueList {
  constructor(store, choose) {
    this.store = store;
    this.order = [];
    this.at = -1;
    this.pool = [];
    this.box = $("queue");
    this.box.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.box);
    $("rows").addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) choose(Number(row.dataset.place));
    });
  }

  show(order, at) {
    this.order = order;
    $("rows").style.height = `${order.length * ROW_PX}px`;
    this.move(at);
  }

  move(at) {
    this.at = at;
    const top = at * ROW_PX, height = this.box.clientHeight;
    if (top < this.box.scrollTop + ROW_PX || top > this.box.scrollTop + height - 4 * ROW_PX) {
      this.box.scrollTop = Math.max(0, top - height / 3);
    }
    this.draw();
  }

  draw() {
    const from = Math.max(0, Math.floor(this.box.scrollTop / ROW_PX) - 2);
    const until = Math.min(this.order.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW_PX) + 2);
    while (this.pool.length < until - from) this.pool.push(this.make());
    this.pool.forEach((row, i) => this.fill(row, from + i, from + i < until));
  }

  make() {
    const row = element("div", "row");
    row.setAttribute("role", "option");
    row.sign = row.appendChild(element("span", "sign"));
    row.name = row.appendChild(element("span", "name"));
    row.risk = row.appendChild(element("span", "risk"));
    $("rows").append(row);
    return row;
  }

  fill(row, place, shown) {
    row.hidden = !shown;
    if (!shown) return;
    const n = this.order[place], store = this.store, letter = store.letters[n];
    row.dataset.place = place;
    row.id = `row${place}`;
    row.style.transform = `translateY(${place * ROW_PX}px)`;
    row.dataset.letter = letter;
    row.sign.textContent = SIGN[letter];
    row.sign.title = LETTER[letter];
    row.name.textContent = tail(store.ids[n], 17);
    row.title = store.ids[n];
    row.setAttribute("aria-label", `${store.ids[n]}, ${LETTER[letter]}`);
    row.risk.textContent = store.chance[n] < 0 ? "" : store.random.has(n) ? "drawn" : `${Math.round(100 * store.chance[n])} %`;
    row.setAttribute("aria-selected", place === this.at);
    if (place === this.at) this.box.setAttribute("aria-activedescendant", row.id);
  }
}
