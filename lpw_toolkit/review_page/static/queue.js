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
    this.top = 0;  // where it is scrolled to, and how high it is: to ask for them would lay the page out anew
    this.height = this.box.clientHeight;
    this.box.addEventListener("scroll", () => { this.top = this.box.scrollTop; this.draw(); });
    new ResizeObserver(() => { this.height = this.box.clientHeight; this.draw(); }).observe(this.box);
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
    const top = at * ROW_PX;
    if (top < this.top + (this.top ? ROW_PX : 0) || top > this.top + this.height - 4 * ROW_PX) {
      this.top = Math.max(0, Math.min(top - this.height / 3, this.order.length * ROW_PX - this.height));
      this.box.scrollTop = this.top;
    }
    this.draw();
  }

  draw() {
    const from = Math.max(0, Math.floor(this.top / ROW_PX) - 2);
    const until = Math.min(this.order.length, Math.ceil((this.top + this.height) / ROW_PX) + 2);
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
