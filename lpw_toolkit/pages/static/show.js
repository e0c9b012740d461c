"use strict";
// The page of `lpw show`. Every text from the dataset is set as textContent, never as markup.
(() => {
  const data = window.LPW_SHOW;
  const n = data.id.length;
  /** @type {(name: string) => any} */
  const $ = (name) => document.getElementById(name);
  const ROW_PX = 113,
    HEAD_PX = 38,
    OVERSCAN_PX = 400,
    SPRITES_PER_FOLDER = 1000,
    TILE_PX = 96;
  const NUMBERS = ["min_length", "max_length", "min_score", "max_score"];
  const DEFAULTS = {
    text: "",
    sort: "time",
    camera: -1,
    min_length: NaN,
    max_length: NaN,
    min_score: NaN,
    max_score: NaN,
  };
  const state = { ...DEFAULTS };
  const keys = data.id.map((id, i) => `${id}\n${data.person[i] ?? ""}`.toLowerCase());
  const matches = new Uint8Array(n);
  let order = new Int32Array(0); // tracklets that match, in list order
  let items = []; // what the list shows: camera numbers as -1 - camera, tracklets as they are
  let tops = new Float64Array(1);
  const place = new Int32Array(n).fill(-1); // tracklet -> item
  let chosen = -1,
    drawn = new Map();

  // ---- words -------------------------------------------------------------------------------------------------------
  const count = (value) => value.toLocaleString("en-US");
  const plural = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;
  const pad = (value) => String(value).padStart(2, "0");

  function clock(value, { whole = false } = {}) {
    if (data.unit !== "s") return count(Math.round(value));
    const tenths = Math.round(Math.abs(value) * 10),
      s = Math.floor(tenths / 10),
      h = Math.floor(s / 3600),
      m = Math.floor(s / 60) % 60;
    return `${value < 0 ? "−" : ""}${h ? `${h}:${pad(m)}` : m}:${pad(s % 60)}${whole ? "" : `.${tenths % 10}`}`;
  }

  function element(kind, name, text) {
    const node = document.createElement(kind);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  // ---- filters -----------------------------------------------------------------------------------------------------
  const ORDERS = {
    time: (a, b) => a - b, // the data comes by camera, first appearance and id
    id: (a, b) => data.camera[a] - data.camera[b] || (data.id[a] < data.id[b] ? -1 : 1),
    longest: (a, b) => data.length[b] - data.length[a] || a - b,
    shortest: (a, b) => data.length[a] - data.length[b] || a - b,
    best: (a, b) => (data.score[b] ?? -1) - (data.score[a] ?? -1) || a - b,
    worst: (a, b) => (data.score[a] ?? 2) - (data.score[b] ?? 2) || a - b,
  };

  function isMatch(i, words) {
    const length = data.length[i],
      score = data.score[i];
    if (length < state.min_length || length > state.max_length) return false;
    if (!Number.isNaN(state.min_score) && !(score !== null && score >= state.min_score))
      return false;
    if (!Number.isNaN(state.max_score) && !(score !== null && score <= state.max_score))
      return false;
    return words.every((word) => keys[i].includes(word));
  }

  function filter() {
    const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    const perCamera = new Int32Array(data.cameras.length),
      found = [];
    for (let i = 0; i < n; i++) {
      matches[i] = isMatch(i, words) ? 1 : 0;
      perCamera[data.camera[i]] += matches[i];
      if (state.camera >= 0 && data.camera[i] !== state.camera) matches[i] = 0;
      if (matches[i]) found.push(i);
    }
    if (state.sort !== "time") found.sort(ORDERS[state.sort]);
    order = Int32Array.from(found);
    layOut();
    showCounts(perCamera);
  }

  function layOut() {
    const grouped = state.sort === "time" || state.sort === "id";
    items = [];
    place.fill(-1);
    let camera = -1;
    for (const i of order) {
      if (grouped && data.camera[i] !== camera) {
        camera = data.camera[i];
        items.push(-1 - camera);
      }
      place[i] = items.push(i) - 1;
    }
    tops = new Float64Array(items.length + 1);
    items.forEach((item, k) => {
      tops[k + 1] = tops[k] + (item < 0 ? HEAD_PX : ROW_PX);
    });
    $("rows").style.height = `${tops[items.length]}px`;
    for (const node of drawn.values()) node.remove();
    drawn = new Map();
  }

  function apply({ top = true } = {}) {
    filter();
    if (top) $("list").scrollTop = 0;
    if (chosen >= 0 && !matches[chosen]) chosen = -1;
    $("empty").hidden = order.length > 0;
    writeHash();
    showControls();
    drawHistograms();
    drawRows();
    timeline.draw();
  }

  function set(changes) {
    Object.assign(state, changes);
    apply();
  }

  // ---- address -----------------------------------------------------------------------------------------------------
  function readHash() {
    const query = new URLSearchParams(location.hash.slice(1));
    Object.assign(state, DEFAULTS);
    for (const name of NUMBERS) if (query.get(name)) state[name] = Number(query.get(name));
    state.text = query.get("text") ?? "";
    if (Object.hasOwn(ORDERS, query.get("sort") ?? "")) state.sort = query.get("sort");
    state.camera = data.cameras.indexOf(query.get("camera"));
    apply();
    const wanted = data.id.indexOf(query.get("tracklet"));
    if (wanted >= 0 && matches[wanted]) choose(wanted);
  }

  function writeHash() {
    const query = new URLSearchParams();
    for (const name of NUMBERS) if (!Number.isNaN(state[name])) query.set(name, state[name]);
    if (state.text) query.set("text", state.text);
    if (state.sort !== "time") query.set("sort", state.sort);
    if (state.camera >= 0) query.set("camera", data.cameras[state.camera]);
    if (chosen >= 0) query.set("tracklet", data.id[chosen]);
    history.replaceState(null, "", `#${query}`);
  }

  // ---- the list: only rows in sight exist -----------------------------------------------------------------------------
  function itemAt(y) {
    let low = 0,
      high = items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tops[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function drawRows() {
    const list = $("list"),
      from = itemAt(list.scrollTop - OVERSCAN_PX);
    const until = Math.min(
      items.length,
      itemAt(list.scrollTop + list.clientHeight + OVERSCAN_PX) + 1,
    );
    for (const [k, node] of drawn) {
      if (k < from || k >= until) {
        node.remove();
        drawn.delete(k);
      }
    }
    const fresh = document.createDocumentFragment();
    for (let k = from; k < until; k++) {
      if (drawn.has(k)) continue;
      const node = items[k] < 0 ? makeHead(-1 - items[k]) : makeRow(items[k]);
      node.style.transform = `translateY(${tops[k]}px)`;
      drawn.set(k, node);
      fresh.append(node);
    }
    $("rows").append(fresh);
    followCamera(itemAt(list.scrollTop + 1));
  }

  function followCamera(k) {
    while (k < items.length && items[k] < 0) k++;
    const list = $("list"),
      at = place[chosen] ?? -1;
    const isChosenInSight =
      at >= 0 && tops[at + 1] > list.scrollTop && tops[at] < list.scrollTop + list.clientHeight;
    const camera = isChosenInSight
      ? data.camera[chosen]
      : k < items.length
        ? data.camera[items[k]]
        : timeline.camera();
    if (camera !== timeline.camera()) timeline.show(camera);
  }

  function makeHead(camera) {
    const node = element("div", "head", data.cameras[camera]);
    node.setAttribute("role", "presentation");
    node.style.height = `${HEAD_PX}px`;
    node.append(
      element(
        "span",
        "",
        plural(order.filter((i) => data.camera[i] === camera).length, "tracklet"),
      ),
    );
    return node;
  }

  function makeRow(i) {
    const node = element("div", "row"),
      about = element("div");
    node.id = `t${i}`;
    node.dataset.tracklet = i;
    const name = element("div", "id", data.id[i]);
    name.title = data.id[i];
    about.append(name, ...makeFacts(i));
    node.append(about, makeStrip(i));
    const labels = { role: "option", "aria-selected": i === chosen, "aria-setsize": order.length };
    for (const [key, value] of Object.entries(labels)) node.setAttribute(key, value);
    node.setAttribute("aria-posinset", order.indexOf(i) + 1);
    return node;
  }

  function makeFacts(i) {
    const first = element("div", "facts"),
      second = element("div", "facts"),
      third = element("div", "facts");
    const seconds = data.unit === "s" ? ` · ${(data.end[i] - data.start[i]).toFixed(1)} s` : "";
    first.append(
      element("b", "", count(data.length[i])),
      ` frame${data.length[i] === 1 ? "" : "s"}${seconds} · score `,
    );
    first.append(element("b", "", data.score[i] === null ? "—" : data.score[i].toFixed(2)));
    if (data.start[i] !== null)
      second.textContent = `${clock(data.start[i])} – ${clock(data.end[i])}`;
    if (data.person[i] !== null) third.append("person ", element("em", "", data.person[i]), " · ");
    third.append(`${data.width[i]} × ${data.height[i]} px`);
    if (data.kind[i] !== "person") third.append(` · ${data.kind[i]}`);
    if (data.corrupt[i])
      first.append(" · ", element("strong", "", `${data.corrupt[i].length} corrupt`));
    return [first, second, third];
  }

  function makeStrip(i) {
    const strip = element("div", "strip"),
      tiles = data.tiles[i],
      width = data.tile[i];
    const url = data.sprites
      ? data.sprites[i]
      : `sprites/${Math.floor(i / SPRITES_PER_FOLDER)}/${i}.jpg`;
    strip.setAttribute("role", "img");
    strip.setAttribute("aria-label", `${tiles} of ${plural(data.length[i], "crop")}`);
    for (let k = 0; k < tiles; k++) {
      const tile = element("div", data.corrupt[i]?.includes(k) ? "tile corrupt" : "tile");
      const steps = Math.max(tiles - 1, 1),
        position = Math.floor((2 * k * (data.length[i] - 1) + steps) / (2 * steps));
      tile.title = `crop ${count((tiles === data.length[i] ? k : position) + 1)} of ${count(data.length[i])}`;
      tile.style.width = `${width}px`;
      tile.style.backgroundImage = `url("${url}")`;
      tile.style.backgroundSize = `${width * tiles}px ${TILE_PX}px`;
      tile.style.backgroundPosition = `${-k * width}px 0`;
      strip.append(tile);
    }
    return strip;
  }

  function choose(i, { scroll = true } = {}) {
    const before = drawn.get(place[chosen] ?? -1);
    before?.setAttribute("aria-selected", "false");
    chosen = i;
    if (scroll) reveal(place[i]);
    drawRows();
    drawn.get(place[i])?.setAttribute("aria-selected", "true");
    $("list").setAttribute("aria-activedescendant", `t${i}`);
    if (data.camera[i] !== timeline.camera()) timeline.show(data.camera[i]);
    timeline.keepInView(i);
    timeline.draw();
    writeHash();
  }

  function reveal(k) {
    const list = $("list"),
      top = tops[k],
      bottom = tops[k + 1];
    if (top < list.scrollTop || bottom > list.scrollTop + list.clientHeight) {
      list.scrollTop = Math.max(0, top - (list.clientHeight - ROW_PX) / 3);
    }
  }

  function step(by) {
    if (!order.length) return;
    const at = chosen < 0 ? (by > 0 ? -1 : 0) : order.indexOf(chosen);
    choose(order[Math.min(order.length - 1, Math.max(0, at + by))]);
  }

  // ---- pens ----
  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  function fitCanvas(canvas) {
    const ratio = window.devicePixelRatio || 1,
      { width, height } = canvas.getBoundingClientRect();
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.max(1, Math.round(height * ratio));
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    return { pen, width, height };
  }

  // ---- the side ----------------------------------------------------------------------------------------------------
  function drawHistogram(canvas, values, low, high, log, from, to) {
    const { pen, width, height } = fitCanvas(canvas),
      bins = new Int32Array(42);
    const scale = log ? Math.log : Number,
      span = scale(high) - scale(low) || 1;
    const slot = (value) =>
      Math.min(bins.length - 1, Math.floor(((scale(value) - scale(low)) / span) * bins.length));
    for (const value of values) if (value !== null) bins[slot(value)]++;
    const top = Math.max(1, ...bins),
      step = width / bins.length;
    const first = Number.isNaN(from) || from <= low ? 0 : slot(from),
      last = Number.isNaN(to) || to >= high ? bins.length : slot(Math.max(to, low));
    const colours = [colour("faint"), colour("accent-mid")];
    bins.forEach((size, k) => {
      const tall = size ? Math.max(2, Math.sqrt(size / top) * (height - 1)) : 0;
      pen.fillStyle = colours[k >= first && k <= last ? 1 : 0];
      pen.fillRect(k * step, height - 1 - tall, step - 1, tall);
    });
    pen.fillStyle = colour("edge");
    pen.fillRect(0, height - 1, width, 1);
  }

  function drawHistograms() {
    const longest = data.length.reduce((a, b) => Math.max(a, b), 1),
      shortest = data.length.reduce((a, b) => Math.min(a, b), longest);
    $("min_length").placeholder = shortest;
    $("max_length").placeholder = longest;
    drawHistogram(
      $("lengths"),
      data.length,
      shortest,
      longest,
      true,
      state.min_length,
      state.max_length,
    );
    const scored = data.score.filter((s) => s !== null),
      least = Math.floor(scored.reduce((a, b) => Math.min(a, b), 1) * 20) / 20;
    $("scores").parentElement.hidden = $("legend").hidden = !scored.length;
    $("min_score").placeholder = least.toFixed(2);
    $("max_score").placeholder = "1.00";
    if (scored.length)
      drawHistogram($("scores"), scored, least, 1, false, state.min_score, state.max_score);
  }

  function showControls() {
    for (const name of NUMBERS) {
      const value = Number.isNaN(state[name]) ? "" : String(state[name]);
      if ($(name).value !== value && document.activeElement !== $(name)) $(name).value = value;
    }
    if ($("text").value !== state.text) $("text").value = state.text;
    $("sort").value = state.sort;
    for (const button of $("cameras").children) {
      const on = Number(button.dataset.camera) === state.camera;
      button.setAttribute("aria-checked", on);
      button.tabIndex = on ? 0 : -1;
    }
  }

  function showCounts(perCamera) {
    const all = perCamera.reduce((a, b) => a + b, 0);
    for (const button of $("cameras").children) {
      const camera = Number(button.dataset.camera);
      button.lastChild.textContent = count(camera < 0 ? all : perCamera[camera]);
    }
    $("count").textContent =
      order.length === n
        ? plural(n, "tracklet")
        : `${count(order.length)} of ${plural(n, "tracklet")}`;
  }

  function makeCameras() {
    for (const [camera, name] of [[-1, "All cameras"], ...data.cameras.entries()]) {
      const button = element("button");
      button.type = "button";
      button.dataset.camera = camera;
      button.setAttribute("role", "radio");
      button.append(element("span", "", name), element("span"));
      button.title = name;
      button.addEventListener("click", () => set({ camera }));
      $("cameras").append(button);
    }
    $("cameras").addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const camera = Math.min(data.cameras.length - 1, Math.max(-1, state.camera + by));
      set({ camera });
      $("cameras").children[camera + 1].focus();
    });
  }

  function showTotals() {
    document.title = `${data.name} – lpw show`;
    $("name").textContent = data.name;
    $("totals").textContent = `${plural(n, "tracklet")} · ${plural(data.n_images, "crop")}`;
    const corrupt = Object.values(data.corrupt).reduce((sum, tiles) => sum + tiles.length, 0);
    $("problems").hidden = !corrupt;
    $("problems").textContent =
      `${plural(corrupt, "corrupt crop")}, crossed out below. Run lpw check.`;
  }

  // ---- events ------------------------------------------------------------------------------------------------------
  function listen() {
    $("text").addEventListener("input", () => set({ text: $("text").value }));
    $("sort").addEventListener("change", () => set({ sort: $("sort").value }));
    for (const name of NUMBERS)
      $(name).addEventListener("input", () =>
        set({ [name]: $(name).value === "" ? NaN : Number($(name).value) }),
      );
    $("reset").addEventListener("click", () => {
      NUMBERS.forEach((name) => {
        $(name).value = "";
      });
      set({ ...DEFAULTS });
    });
    let waiting = false;
    $("list").addEventListener(
      "scroll",
      () => {
        if (waiting) return;
        waiting = true;
        requestAnimationFrame(() => {
          waiting = false;
          drawRows();
          timeline.draw();
        });
      },
      { passive: true },
    );
    $("list").addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) choose(Number(row.dataset.tracklet), { scroll: false });
    });
    $("list").addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, Home: -n, End: n }[event.key];
      if (by && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        step(by);
      }
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && !/INPUT|SELECT/.test(document.activeElement.tagName)) {
        event.preventDefault();
        $("text").focus();
      }
      if (event.key === "Escape" && document.activeElement === $("text")) {
        set({ text: "" });
        $("list").focus();
      }
    });
    window.addEventListener("hashchange", readHash);
    window.addEventListener("resize", () => {
      drawRows();
      timeline.draw();
      drawHistograms();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      timeline.draw();
      drawHistograms();
    });
  }

  const timeline = window.LpwTimeline(data, {
    $,
    clock,
    plural,
    colour,
    fitCanvas,
    matches,
    choose,
    chosen: () => chosen,
    inSight: () => [...drawn.keys()].map((k) => items[k]).filter((item) => item >= 0),
  });
  showTotals();
  makeCameras();
  listen();
  timeline.show(0);
  readHash();
})();
