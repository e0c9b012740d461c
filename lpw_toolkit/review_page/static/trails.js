// A small map of the camera's picture: where two pieces went, on the ground.

import { element } from "./dom.js";

/** @typedef {import("./api.js").Side} Side */

const WIDTH_PX = 300;
const MAX_HEIGHT_PX = 190;
const N_HEADING = 10; // points of a trail that tell where somebody is heading
const MIN_STEP = 0.15; // heights: less is standing
const ARROWS = ["→", "↘", "↓", "↙", "←", "↖", "↑", "↗"];

/**
 * One map where both are of one camera, otherwise one for each.
 *
 * @param {import("./api.js").Comparison} found
 * @returns {HTMLElement[]}
 */
export function drawTrails({ sides, same_camera: isSame }) {
  const groups = isSame ? [[0, 1]] : [[0], [1]];
  return groups.map((places) => drawMap(sides, places));
}

/** @type {(sides: [Side, Side], places: number[]) => HTMLElement} */
function drawMap(sides, places) {
  const box = element("figure", "map");
  const known = places.filter((i) => sides[i].trail.length);
  const caption = element("figcaption");
  caption.textContent = places.map((i) => `${"AB"[i]} ${describeWay(sides[i])}`).join("; ");
  if (known.length) box.append(paint(sides, known, caption.textContent));
  box.append(caption);
  return box;
}

/** @type {(sides: [Side, Side], places: number[], label: string) => HTMLCanvasElement} */
function paint(sides, places, label) {
  const canvas = element("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  const trails = places.map((i) => sides[i].trail);
  const [width, height] = sides[places[0]].map_px ?? boundsOf(trails);
  const scale = Math.min(WIDTH_PX / width, MAX_HEIGHT_PX / height);
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale * ratio);
  canvas.height = Math.round(height * scale * ratio);
  canvas.style.width = `${Math.round(width * scale)}px`;
  canvas.style.height = `${Math.round(height * scale)}px`;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.scale(scale * ratio, scale * ratio);
  const style = getComputedStyle(document.documentElement);
  for (const i of places) {
    pen.strokeStyle = pen.fillStyle = style.getPropertyValue(i ? "--chosen" : "--accent").trim();
    paintTrail(pen, sides[i].trail, "AB"[i], scale);
  }
  return canvas;
}

/** @type {(pen: CanvasRenderingContext2D, trail: Side["trail"], name: string, scale: number) => void} */
function paintTrail(pen, trail, name, scale) {
  pen.lineWidth = 2 / scale;
  pen.beginPath();
  for (const [x, y] of trail) pen.lineTo(x, y);
  pen.stroke();
  const [x, y] = trail[0];
  pen.beginPath();
  pen.arc(x, y, 3.5 / scale, 0, 7); // a dot where it begins
  pen.fill();
  const [endX, endY] = trail[trail.length - 1];
  const [dx, dy] = headingOf(trail);
  const turn = Math.atan2(dy, dx);
  const size = 9 / scale;
  pen.beginPath(); // an arrow head where it ends
  for (const angle of [0, 2.5, -2.5]) {
    pen.lineTo(endX + size * Math.cos(turn + angle), endY + size * Math.sin(turn + angle));
  }
  pen.fill();
  pen.font = `${12 / scale}px system-ui, sans-serif`;
  pen.fillText(name, x + 6 / scale, y - 4 / scale);
}

/** @param {Side["trail"][]} trails */
function boundsOf(trails) {
  const points = trails.flat();
  return [0, 1].map((axis) => 1.05 * Math.max(1, ...points.map((point) => point[axis])));
}

/**
 * Where somebody heads at the end, in heights.
 *
 * @param {Side["trail"]} trail
 */
function headingOf(trail) {
  const [x, y, height] = trail[trail.length - 1];
  const [fromX, fromY] = trail[Math.max(0, trail.length - 1 - N_HEADING)];
  return [(x - fromX) / Math.max(height, 1), (y - fromY) / Math.max(height, 1)];
}

/** @param {Side} side */
function describeWay({ trail }) {
  if (trail.length < 2) return "has no known way";
  const [dx, dy] = headingOf(trail);
  if (Math.hypot(dx, dy) < MIN_STEP) return "stands at its end";
  const place = Math.round((Math.atan2(dy, dx) / Math.PI) * 4 + 8) % 8;
  return `goes ${ARROWS[place]} at its end`;
}
