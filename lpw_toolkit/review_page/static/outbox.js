// Decisions on their way to the disk. Each is kept in this browser until the server has said that it is saved, so
// that neither a lost server nor a closed tab loses one. Sending one twice is harmless: it has a uuid.

const WAITS_MS = [300, 700, 1500, 3000, 5000];

export class Outbox {
  /**
   * @param place name under which this dataset's and reviewer's decisions are kept
   * @param tell {saved(request, answer), refused(request, why), changed()}
   */
  constructor(place, tell) {
    this.prefix = `${place}.`;
    this.tell = tell;
    this.waiting = [];
    this.trouble = "";  // why nothing can be sent: "lost", "token" or what the server said
    this.keeps = true;  // whether this browser keeps them
    this.tries = 0;
    this.busy = false;
    this.mine = `${this.prefix}${crypto.randomUUID()}`;
    // Held until the tab is gone: other tabs see by it that these decisions have somebody who sends them.
    navigator.locks?.request(this.mine, () => new Promise(() => {}));
    window.addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => this.hurry());
  }

  /** Takes over what tabs have left behind that are gone. */
  async adopt() {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(this.prefix) && name !== this.mine);
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

  read(name) {
    try {
      const found = JSON.parse(localStorage.getItem(name) ?? "[]");
      return Array.isArray(found) ? found.filter((request) => typeof request?.uuid === "string") : [];
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

  add(request) {
    this.waiting.push(request);
    this.keep();
    this.tell.changed();
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
      if (!this.waiting.length && this.trouble) await this.ask();
    } finally {
      this.busy = false;
      this.tell.changed();
    }
  }

  /** Sends the first; whether the next may follow. */
  async sendFirst() {
    const request = this.waiting[0];
    let answer, response;
    try {
      response = await fetch("/api/decide", {
        method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request),
      });
      answer = response.headers.get("content-type")?.includes("json") ? await response.json() : {};
    } catch {
      return this.stop("lost");
    }
    if (response.status === 403) return this.stop("token");
    if (!response.ok && response.status !== 400) return this.stop(answer.error ?? `the server says ${response.status}`);
    this.waiting.shift();
    this.keep();
    const wasLost = this.trouble;
    this.trouble = "";
    this.tries = 0;
    if (wasLost) this.tell.back();
    if (response.ok) this.tell.saved(request, answer);
    else this.tell.refused(request, answer.error ?? "refused");
    return true;
  }

  stop(why) {
    this.trouble = why;
    const wait = WAITS_MS[Math.min(this.tries++, WAITS_MS.length - 1)];
    this.timer = setTimeout(() => { this.timer = 0; this.pump(); }, wait);
    return false;
  }

  /** Another request has failed: watch until the server is back. */
  doubt(why) {
    if (!this.trouble) this.stop(why);
    this.tell.changed();
  }

  async ask() {
    try {
      const response = await fetch("/api/ping");
      if (response.ok) { this.trouble = ""; this.tries = 0; this.tell.back(); } else this.stop(response.status === 403 ? "token" : "lost");
    } catch {
      this.stop("lost");
    }
  }
}
