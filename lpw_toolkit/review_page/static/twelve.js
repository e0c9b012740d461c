// Twelve tracklets that are probably fine, to be accepted at once; any of them can be left out.

import { $, count, element, tail } from "./words.js";
import { picture } from "./store.js";

export const MARKS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "q", "w", "e"];

export class Twelve {
  constructor(store) {
    this.store = store;
    this.box = $("cells");
    this.passed = new Set();  // left out by hand: they wait in the queue
    this.pictures = new Map();
    this.box.addEventListener("click", (event) => {
      const cell = event.target.closest(".cell");
      if (cell) this.toggle(Number(cell.dataset.place));
    });
  }

  /** Shows the next twelve of those that nobody has judged, the least suspicious first. */
  open() {
    const { letters, chance, n } = this.store;
    const open = [];
    for (let i = 0; i < n; i++) if (letters[i] === "u" && !this.passed.has(i)) open.push(i);
    if (chance.some((value) => value >= 0)) open.sort((a, b) => chance[a] - chance[b] || a - b);
    this.numbers = open.slice(0, 12);
    this.out = new Set();
    $("twelve-facts").textContent = this.numbers.length
      ? `${count(open.length)} left; ${MARKS[0]}–${MARKS[8]}, ${MARKS.slice(9).join(", ")} leave one out` : "";
    this.box.replaceChildren(...this.numbers.map((number, i) => this.make(number, i)));
    for (const number of open.slice(12, 24)) this.fetch(number);
    for (const old of [...this.pictures.keys()].slice(0, Math.max(0, this.pictures.size - 48))) {
      this.pictures.get(old).then((entry) => entry.images.forEach((image) => URL.revokeObjectURL(image.src)), () => {});
      this.pictures.delete(old);
    }
    return this.numbers.length;
  }

  fetch(number) {
    if (!this.pictures.has(number)) {
      const entry = { images: [] };
      this.pictures.set(number, picture(`/sprite/${number}/few`, entry).then((url) => { entry.url = url; return entry; }));
      this.pictures.get(number).catch(() => this.pictures.delete(number));
    }
    return this.pictures.get(number);
  }

  make(number, i) {
    const cell = element("div", "cell");
    cell.dataset.place = i;
    const head = cell.appendChild(element("p"));
    head.append(element("kbd", "", MARKS[i]), element("b", "", tail(this.store.ids[number], 26)));
    const chance = this.store.chance[number];
    head.append(element("span", "", `${count(this.store.frames[number])} frames${chance < 0 ? "" : `, ${(100 * chance).toFixed(1)} %`}`));
    const strip = cell.appendChild(element("div", "strip"));
    this.fetch(number).then((entry) => { strip.style.backgroundImage = `url("${entry.url}")`; }, () => {});
    return cell;
  }

  toggle(place) {
    if (place >= this.numbers.length) return;
    const cell = this.box.children[place];
    if (!this.out.delete(place)) this.out.add(place);
    cell.classList.toggle("out", this.out.has(place));
  }

  /** The tracklets that are left out, which are dealt with now. */
  takeOut() {
    return this.numbers.filter((_, place) => this.out.has(place));
  }

  /** The tracklets that are not left out; the others wait in the queue. */
  take() {
    this.out.forEach((place) => this.passed.add(this.numbers[place]));
    return this.numbers.filter((_, place) => !this.out.has(place));
  }
}
