// Page elements and formatted values. Text from a dataset or a log is set as textContent, never as
// markup.

/**
 * The element with this id. Errors: TypeError where it is missing or of another class.
 *
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} [kind] class of the element
 * @returns {T}
 */
export function $(id, kind) {
  const node = document.getElementById(id);
  if (!(node instanceof (kind ?? HTMLElement))) throw new TypeError(`no element #${id}`);
  return /** @type {T} */ (node);
}

/** Whether all is in one column, as review.css has it. */
export const NARROW = matchMedia("(max-width: 899px)");

/** Brings what is to be judged into sight, where the page is one column. */
export function scrollToMain() {
  if (NARROW.matches) document.querySelector("main")?.scrollIntoView();
}

/**
 * A new element.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {string | number} [text]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = String(text);
  return node;
}

/**
 * What was clicked, or the nearest element around it, that matches a selector.
 *
 * @param {Event} event
 * @param {string} selector
 * @returns {HTMLElement | null}
 */
export function closest({ target }, selector) {
  return target instanceof Element ? target.closest(selector) : null;
}

/** @param {number} value */
export const count = (value) => value.toLocaleString("en-US");

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/**
 * What all names begin with, up to a slash: it tells none from another.
 *
 * @param {string[]} names
 */
export function commonFolder(names) {
  let folder = names.length > 1 ? names[0].slice(0, names[0].lastIndexOf("/") + 1) : "";
  for (const name of names) {
    while (folder && !name.startsWith(folder))
      folder = folder.slice(0, folder.lastIndexOf("/", folder.length - 2) + 1);
  }
  return folder;
}

/**
 * Writes a name; where it is too long its beginning is left out, which says less than its end.
 *
 * @param {HTMLElement} node of class `name`
 * @param {string} text
 */
export function setName(node, text) {
  node.replaceChildren(element("bdi", "", text));
}
