// Closing the comparison of two pieces, whatever comes after it.

import { releasePictures } from "./api.js";
import { $ } from "./dom.js";
import { state } from "./state.js";

export function closeComparison() {
  $("compare").hidden = true;
  if (!state.compared) return;
  releasePictures(state.compared);
  state.compared = null;
}
