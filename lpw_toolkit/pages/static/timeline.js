"use strict";
// The timeline of one camera: a bar per tracklet, in lanes, over time. LpwTimeline(data, page)
// makes it; `page` knows the clock, what matches the filters, what is in sight, and what is chosen.
window.LpwTimeline = (data, { clock, matches, choose, chosen, inSight }) => {
  const { $, plural } = window.LpwCommon;
  const { colour, fitCanvas } = window.LpwCanvas;
  const n = data.id.length;
  let shownCamera = 0;
  const lanesOf = new Map(); // camera -> { rows, lane, nLanes, from, to }
  let view = { from: 0, to: 1 };

  function packLanes(camera) {
    if (lanesOf.has(camera)) return lanesOf.get(camera);
    const rows = [],
      lane = new Map(),
      ends = [];
    for (let i = 0; i < n; i++)
      if (data.camera[i] === camera && data.start[i] !== null) rows.push(i);
    rows.sort((a, b) => data.start[a] - data.start[b] || a - b);
    for (const i of rows) {
      let free = ends.findIndex((end) => end < data.start[i]);
      if (free < 0) free = ends.push(0) - 1;
      ends[free] = data.end[i];
      lane.set(i, free);
    }
    const from = rows.length ? data.start[rows[0]] : 0;
    const to = rows.reduce((last, i) => Math.max(last, data.end[i]), from);
    const packed = {
      rows,
      lane,
      nLanes: Math.max(1, ends.length),
      from,
      to: to > from ? to : from + 1,
    };
    lanesOf.set(camera, packed);
    return packed;
  }

  function show(camera) {
    shownCamera = camera;
    const packed = packLanes(camera);
    view = { from: packed.from, to: packed.to };
    $("camera").textContent = $("camera").title = data.cameras[camera] ?? "";
    $("untimed").hidden = data.unit !== null;
    $("bars").hidden = data.unit === null;
    /** @type {HTMLElement} */ (document.querySelector(".zoom")).hidden = data.unit === null;
    $("bars").setAttribute("aria-label", `Timeline of camera ${data.cameras[camera] ?? ""}`);
    draw();
  }

  const AXIS_PX = 18,
    PADDING_PX = 4;
  const geometry = (width, height, nLanes) => ({
    x: (t) => PADDING_PX + ((t - view.from) / (view.to - view.from)) * (width - 2 * PADDING_PX),
    t: (x) => view.from + ((x - PADDING_PX) / (width - 2 * PADDING_PX)) * (view.to - view.from),
    lane: Math.min(16, (height - AXIS_PX - 4) / nLanes),
  });

  function barAt(i, at, packed) {
    const x = at.x(data.start[i]),
      width = Math.max(2, at.x(data.end[i]) - x);
    return [x, packed.lane.get(i) * at.lane, width, Math.max(1, at.lane - (at.lane > 4 ? 2 : 0.5))];
  }

  function draw() {
    if (data.unit === null || !n) return;
    const packed = packLanes(shownCamera),
      { pen, width, height } = fitCanvas($("bars"));
    const at = geometry(width, height, packed.nLanes);
    drawAxis(pen, at, width, height);
    const shades = [colour("accent-low"), colour("accent-mid"), colour("accent")],
      faint = colour("faint");
    for (const pass of [0, 1]) {
      for (const i of packed.rows) {
        if (matches[i] !== pass || data.end[i] < view.from || data.start[i] > view.to) continue;
        pen.fillStyle = pass ? shades[shadeOf(data.score[i])] : faint;
        pen.fillRect(...barAt(i, at, packed));
      }
    }
    markInSight(pen, at, height, packed);
    if (packed.lane.has(chosen())) {
      const [x, y, w, h] = barAt(chosen(), at, packed);
      pen.fillStyle = colour("chosen");
      pen.fillRect(x - 1, y - 1, w + 2, h + 2);
    }
    $("span").textContent =
      `${clock(view.from)} – ${clock(view.to)}${data.unit === "frames" ? " frames" : ""}`;
  }

  const shadeOf = (score) => (score === null || score >= 0.75 ? 2 : score >= 0.5 ? 1 : 0);

  function markInSight(pen, at, height, packed) {
    pen.fillStyle = colour("soft");
    for (const i of inSight()) {
      if (packed.lane.has(i))
        pen.fillRect(
          at.x(data.start[i]),
          height - AXIS_PX,
          Math.max(2, at.x(data.end[i]) - at.x(data.start[i])),
          2,
        );
    }
  }

  function drawAxis(pen, at, width, height) {
    const raw = ((view.to - view.from) / width) * 110;
    const nice = [
      0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200,
    ];
    const decade = 10 ** Math.ceil(Math.log10(raw));
    const tick =
      data.unit === "s" ? (nice.find((value) => value >= raw) ?? decade) : Math.max(1, decade);
    pen.font = `11px ${colour("sans")}`;
    pen.textBaseline = "bottom";
    for (let t = Math.ceil(view.from / tick) * tick; t <= view.to; t += tick) {
      pen.fillStyle = colour("edge");
      pen.fillRect(Math.round(at.x(t)), 0, 1, height - AXIS_PX + 4);
      pen.fillStyle = colour("soft");
      const text = clock(t, { whole: tick >= 1 }),
        room = width - at.x(t) - 4;
      if (pen.measureText(text).width < room) pen.fillText(text, at.x(t) + 4, height - 1);
    }
  }

  function hit(event) {
    const box = $("bars").getBoundingClientRect(),
      packed = packLanes(shownCamera);
    const at = geometry(box.width, box.height, packed.nLanes),
      x = event.clientX - box.left,
      y = event.clientY - box.top;
    let best = -1,
      distance = 6;
    for (const i of packed.rows) {
      const [left, top, width, height] = barAt(i, at, packed);
      const off = Math.max(left - x, x - left - width, top - y, y - top - height, 0);
      if (off < distance) {
        best = i;
        distance = off;
      }
    }
    return best;
  }

  function zoom(factor, centre = (view.from + view.to) / 2) {
    const packed = packLanes(shownCamera),
      whole = packed.to - packed.from;
    const size = Math.min(whole, Math.max(whole / 5000, (view.to - view.from) * factor));
    const share = (centre - view.from) / (view.to - view.from);
    pan(centre - share * size, size);
  }

  function pan(from, size) {
    const packed = packLanes(shownCamera);
    const start = Math.min(Math.max(from, packed.from), packed.to - size);
    view = { from: start, to: start + size };
    draw();
  }

  function keepInView(i) {
    if (data.start[i] === null || (data.end[i] >= view.from && data.start[i] <= view.to)) return;
    const size = view.to - view.from;
    pan((data.start[i] + data.end[i] - size) / 2, size);
  }

  function stepInTime(by) {
    const rows = packLanes(shownCamera).rows.filter((i) => matches[i]);
    if (!rows.length) return;
    const at = rows.indexOf(chosen());
    choose(
      rows[
        at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))
      ],
    );
    tell(chosen());
  }

  function tell(i, event) {
    const tip = $("tip");
    tip.hidden = i < 0;
    if (i < 0) return;
    const box = $("bars").getBoundingClientRect(),
      packed = packLanes(shownCamera);
    const person = data.person[i] === null ? "" : `\nperson ${data.person[i]}`;
    const span = `${clock(data.start[i])} – ${clock(data.end[i])}`;
    const score = data.score[i] === null ? "" : ` · ${data.score[i].toFixed(2)}`;
    const hidden = matches[i] ? "" : "\n(filtered out)";
    const frames = plural(data.length[i], "frame");
    tip.textContent = `${data.id[i]}\n${frames} · ${span}${score}${person}${hidden}`;
    const x = event
      ? event.clientX
      : box.left + geometry(box.width, box.height, packed.nLanes).x(data.start[i]);
    tip.style.left = `${Math.max(8, Math.min(x + 12, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${box.bottom + 4}px`;
  }

  function listen(bars) {
    let grip = null;
    const timeAt = (event) => {
      const box = bars.getBoundingClientRect();
      return geometry(box.width, box.height, 1).t(event.clientX - box.left);
    };
    bars.addEventListener("pointerdown", (event) => {
      grip = { x: event.clientX, from: view.from, moved: false };
      bars.setPointerCapture(event.pointerId);
    });
    bars.addEventListener("pointermove", (event) => {
      if (!grip) {
        tell(hit(event), event);
        return;
      }
      const shift = event.clientX - grip.x;
      grip.moved ||= Math.abs(shift) > 3;
      if (grip.moved)
        pan(grip.from - (shift / bars.clientWidth) * (view.to - view.from), view.to - view.from);
    });
    bars.addEventListener("pointerup", (event) => {
      const found = grip && !grip.moved ? hit(event) : -1;
      grip = null;
      if (found >= 0 && matches[found]) choose(found);
    });
    bars.addEventListener("pointercancel", () => {
      grip = null;
    });
    bars.addEventListener("pointerleave", () => tell(-1));
    bars.addEventListener("blur", () => tell(-1));
    bars.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event));
      },
      { passive: false },
    );
    const fit = () => zoom(Infinity);
    bars.addEventListener("dblclick", fit);
    $("zoom_in").addEventListener("click", () => zoom(0.5));
    $("zoom_out").addEventListener("click", () => zoom(2));
    $("zoom_fit").addEventListener("click", fit);
    const actions = {
      ArrowLeft: () => stepInTime(-1),
      ArrowRight: () => stepInTime(1),
      "+": () => zoom(0.5),
      "=": () => zoom(0.5),
      "-": () => zoom(2),
      0: fit,
    };
    bars.addEventListener("keydown", (event) => {
      const action = actions[event.key];
      if (action && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        action();
      }
    });
  }

  listen($("bars"));
  return { show, draw, keepInView, camera: () => shownCamera };
};
