// Decisions on their way to the disk. Each is kept in this browser until the server has said that
// it is saved, so that neither a lost server nor a closed tab loses one. Sending one twice is
// harmless: it has a uuid.

/** @typedef {import("./api.js").DecisionRequest} DecisionRequest */
/** @typedef {import("./api.js").Answer} Answer */

/**
 * @typedef {object} Listener
 * @property {(request: DecisionRequest, answer: Answer) => void} onSaved
 * @property {(request: DecisionRequest, why: string) => void} onRefused
 * @property {() => void} onChange
 * @property {() => void} onReconnect
 * @property {() => void} onDrained all that was waiting has been answered
 */

const WAITS_MS = [300, 700, 1500, 3000, 5000];

export class Outbox {
  /**
   * @param {string} place name under which the decisions of this dataset and reviewer are kept
   * @param {Listener} listener
   */
  constructor(place, listener) {
    this.prefix = `${place}.`;
    this.listener = listener;
    this.waiting = /** @type {DecisionRequest[]} */ ([]);
    this.trouble = ""; // why nothing can be sent: "lost", "token" or the server's message
    this.keeps = true; // whether this browser keeps them
    this.nAnswered = 0;
    this.tries = 0;
    this.timer = 0;
    this.busy = false;
    this.mine = `${this.prefix}${crypto.randomUUID()}`;
    // Held until the tab is closed: other tabs see by it that this one sends these decisions.
    navigator.locks?.request(this.mine, () => new Promise(() => {}));
    window.addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => this.hurry());
  }

  /** Takes over what closed tabs have left behind. */
  async adopt() {
    const names = Object.keys(localStorage).filter(
      (name) => name.startsWith(this.prefix) && name !== this.mine,
    );
    for (const name of names) {
      await navigator.locks?.request(name, { ifAvailable: true }, (lock) => {
        if (!lock) return;
        const found = this.read(name);
        const known = new Set(this.waiting.map((request) => request.uuid));
        this.waiting.unshift(...found.filter((request) => !known.has(request.uuid)));
        this.keep();
        localStorage.removeItem(name);
      });
    }
    this.pump();
  }

  /**
   * @param {string} name
   * @returns {DecisionRequest[]}
   */
  read(name) {
    try {
      const found = JSON.parse(localStorage.getItem(name) ?? "[]");
      return Array.isArray(found)
        ? found.filter((request) => typeof request?.uuid === "string")
        : [];
    } catch {
      return [];
    }
  }

  keep() {
    try {
      if (this.waiting.length) localStorage.setItem(this.mine, JSON.stringify(this.waiting));
      else localStorage.removeItem(this.mine);
      this.keeps = true;
    } catch {
      this.keeps = false;
    }
  }

  /** @param {DecisionRequest} request */
  add(request) {
    this.waiting.push(request);
    this.keep();
    this.listener.onChange();
    this.pump();
  }

  hurry() {
    if (this.timer && !document.hidden) {
      clearTimeout(this.timer);
      this.timer = 0;
      this.pump();
    }
  }

  async pump() {
    if (this.busy || this.timer) return;
    this.busy = true;
    try {
      while (this.waiting.length && (await this.sendFirst()));
      if (!this.waiting.length && this.trouble) await this.ping();
      if (!this.waiting.length && !this.trouble) this.listener.onDrained();
    } finally {
      this.busy = false;
      this.listener.onChange();
    }
  }

  /** Sends the first decision; returns whether the next may follow. */
  async sendFirst() {
    const request = this.waiting[0];
    let answer, response;
    try {
      response = await fetch("/api/decide", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(request),
      });
      answer = response.headers.get("content-type")?.includes("json") ? await response.json() : {};
    } catch {
      return this.stop("lost");
    }
    if (response.status === 403) return this.stop("token");
    if (!response.ok && response.status !== 400)
      return this.stop(answer.error ?? `the server says ${response.status}`);
    this.waiting.shift();
    this.nAnswered++;
    this.keep();
    const wasLost = this.trouble;
    this.trouble = "";
    this.tries = 0;
    if (wasLost) this.listener.onReconnect();
    if (response.ok) this.listener.onSaved(request, answer);
    else this.listener.onRefused(request, answer.error ?? "refused");
    return true;
  }

  /**
   * Tries again later; returns false.
   *
   * @param {string} why
   */
  stop(why) {
    this.trouble = why;
    const wait = WAITS_MS[Math.min(this.tries++, WAITS_MS.length - 1)];
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.pump();
    }, wait);
    return false;
  }

  /**
   * Another request has failed: watches until the server is back.
   *
   * @param {string} why
   */
  doubt(why) {
    if (!this.trouble) this.stop(why);
    this.listener.onChange();
  }

  async ping() {
    try {
      const response = await fetch("/api/ping");
      if (response.ok) {
        this.trouble = "";
        this.tries = 0;
        this.listener.onReconnect();
      } else this.stop(response.status === 403 ? "token" : "lost");
    } catch {
      this.stop("lost");
    }
  }
}
