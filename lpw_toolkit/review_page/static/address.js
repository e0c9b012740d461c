// The address bar holds where one is: the view, the tracklet, and what was found. So a reload or a
// bookmark comes back to it.

import { fetchJson } from "./api.js";
import { showTracklet } from "./modes.js";
import { setView } from "./navigate.js";
import { state } from "./state.js";
import { reportFailure } from "./status.js";

const EVERY_MS = 400; // browsers refuse to change the address more often for long

/** Writes the address from time to time, where it has changed. */
export function keepAddress() {
  setInterval(() => {
    const { store, entry, view, query } = state;
    const place = new URLSearchParams({ view });
    if (entry) place.set("tracklet", store.ids[entry.n]);
    if (view === "found") place.set("q", query);
    const hash = `#${place}`;
    if (hash !== location.hash) history.replaceState(null, "", hash);
  }, EVERY_MS);
}

/** Goes where the address says, as far as that is still there. */
export async function goToAddress() {
  const place = new URLSearchParams(location.hash.slice(1));
  const query = place.get("q");
  if (query) await find(query);
  else {
    const view = /** @type {import("./state.js").View} */ (place.get("view"));
    if (["link", "unsure", "flagged", "all", "differ"].includes(view)) setView(view);
  }
  const n = state.store.ids.indexOf(place.get("tracklet") ?? "");
  if (n >= 0 && (state.view !== "review" || state.store.isOpen(n))) showTracklet(n);
}

/**
 * Shows the tracklets that fit a query; returns how many do.
 *
 * @param {string} query
 */
export async function find(query) {
  try {
    const { found } = await fetchJson(`/api/find?q=${encodeURIComponent(query)}`);
    if (!found.length) return 0;
    state.query = query;
    state.found = found;
    setView("found");
    return found.length;
  } catch (error) {
    reportFailure(error);
    return -1;
  }
}
