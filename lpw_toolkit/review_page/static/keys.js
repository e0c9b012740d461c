// Which key does what. People may choose others; their choice is kept in this browser.

/**
 * What a key does.
 *
 * @typedef {object} Action
 * @property {string} name under which a chosen key is kept
 * @property {string} key
 * @property {string} title
 * @property {() => unknown} run
 * @property {boolean} [always] whether it runs where no tracklet is shown too
 * @property {boolean} [repeats] whether a key that is held down repeats it
 */

const PLACE = "lpw.keys";
/** Names of actions under which an earlier version kept a chosen key. */
const OLD_NAMES = /** @type {Record<string, string>} */ ({
  batch_accept: "twelve",
  conflicts: "settle",
  drop_frames: "drop",
  unlink: "apart",
  assign_person: "person",
});
/** Keys that have a fixed meaning in some mode. */
const FIXED = new Set([
  ..."123456789+",
  ...[
    "Enter",
    "Escape",
    "Tab",
    "ArrowLeft",
    "ArrowRight",
    "ArrowUp",
    "ArrowDown",
    "Home",
    "End",
    "Shift",
  ],
]);

export class Keys {
  /** @param {Action[]} actions */
  constructor(actions) {
    this.actions = actions;
    this.chosen = /** @type {Record<string, string>} */ ({});
    try {
      const kept = JSON.parse(localStorage.getItem(PLACE) ?? "{}");
      for (const { name } of actions) {
        const key = kept[name] ?? kept[OLD_NAMES[name]];
        if (typeof key === "string") this.chosen[name] = key;
      }
    } catch {
      // ignore unreadable settings
    }
    this.read();
  }

  read() {
    const chosen = this.actions.filter(({ name }) => this.chosen[name]);
    this.byKey = new Map([
      ...this.actions.map((action) => /** @type {[string, Action]} */ ([action.key, action])),
      // A key that was chosen in an earlier version may be that of a new action now.
      ...chosen.map(
        (action) => /** @type {[string, Action]} */ ([this.chosen[action.name], action]),
      ),
    ]);
    for (const { name, key } of chosen) {
      if (this.byKey.get(key)?.name === name && this.chosen[name] !== key) this.byKey.delete(key);
    }
  }

  /**
   * @param {string} name
   * @returns {Action}
   */
  find(name) {
    const action = this.actions.find((each) => each.name === name);
    if (!action) throw new TypeError(`no action ${name}`);
    return action;
  }

  /**
   * The key of an action.
   *
   * @param {string} name
   */
  of(name) {
    return this.chosen[name] ?? this.find(name).key;
  }

  /** @param {string} key */
  action(key) {
    return this.byKey?.get(key);
  }

  /**
   * Gives an action another key; returns why not, or "".
   *
   * @param {string} name
   * @param {string} key
   */
  choose(name, key) {
    if (FIXED.has(key)) return `${key} has a fixed meaning`;
    const taken = this.action(key);
    if (taken && taken.name !== name) return `${key} is the key of “${taken.title}”`;
    this.chosen[name] = key;
    this.keep();
    return "";
  }

  reset() {
    this.chosen = {};
    this.keep();
  }

  keep() {
    this.read();
    try {
      localStorage.setItem(PLACE, JSON.stringify(this.chosen));
    } catch {
      // they hold until the page is closed
    }
  }
}

/**
 * The name of a pressed key, or "" for one that belongs to the browser. Letters go by Shift
 * alone, whatever Caps Lock says.
 *
 * @param {KeyboardEvent} event
 */
export function keyOf(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return "";
  if (event.key === " ") return "Space";
  if (event.key.length === 1 && event.key.toLowerCase() !== event.key.toUpperCase()) {
    return event.shiftKey ? event.key.toUpperCase() : event.key.toLowerCase();
  }
  return event.key;
}
