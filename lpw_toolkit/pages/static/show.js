"use strict";
// The page of `lpw show`.
(() => {
  const data = window.LPW_SHOW;
  const n = data.id.length;
  const { $, count, plural, splitWords, element, ...common } = window.LpwCommon;
  const ROW_PX = 113;
  const HEAD_PX = 38;
  const { drawHistogram } = window.LpwCanvas;
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
  const place = new Int32Array(n).fill(-1); // tracklet -> item
  let chosen = -1;

  // words
  const pad = (value) => String(value).padStart(2, "0");

  function clock(value, { whole = false } = {}) {
    if (data.unit !== "s") return count(Math.round(value));
    const tenths = Math.round(Math.abs(value) * 10),
      s = Math.floor(tenths / 10),
      h = Math.floor(s / 3600),
      m = Math.floor(s / 60) % 60;
    const minutes = h ? `${h}:${pad(m)}` : m;
    const rest = whole ? "" : `.${tenths % 10}`;
    return `${value < 0 ? "−" : ""}${minutes}:${pad(s % 60)}${rest}`;
  }

  // filters
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
    const words = splitWords(state.text);
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
    list.reset(items.map((item) => (item < 0 ? HEAD_PX : ROW_PX)));
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

  // address
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

  // the list
  const list = common.makeList(
    (k) => (items[k] < 0 ? makeHead(-1 - items[k]) : makeRow(items[k])),
    () => {
      drawRows();
      timeline.draw();
    },
  );

  function drawRows() {
    list.draw();
    followCamera(list.first());
  }

  function followCamera(k) {
    while (k < items.length && items[k] < 0) k++;
    const at = place[chosen] ?? -1;
    const isChosenInSight = at >= 0 && list.isInSight(at);
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
    node.append(about, common.makeStrip(data, i, 96));
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
    if (data.role?.[i]) third.append(` · ${data.role[i]}`);
    if (data.corrupt[i])
      first.append(" · ", element("strong", "", `${data.corrupt[i].length} corrupt`));
    return [first, second, third];
  }

  function choose(i, { scroll = true } = {}) {
    const before = list.drawn.get(place[chosen] ?? -1);
    before?.setAttribute("aria-selected", "false");
    chosen = i;
    if (scroll) list.reveal(place[i], ($("list").clientHeight - ROW_PX) / 3);
    drawRows();
    list.drawn.get(place[i])?.setAttribute("aria-selected", "true");
    $("list").setAttribute("aria-activedescendant", `t${i}`);
    if (data.camera[i] !== timeline.camera()) timeline.show(data.camera[i]);
    timeline.keepInView(i);
    timeline.draw();
    writeHash();
  }

  function step(by) {
    if (order.length) choose(common.stepIn(order, chosen, by));
  }

  // the side
  function drawHistograms() {
    const longest = data.length.reduce((a, b) => Math.max(a, b), 1),
      shortest = data.length.reduce((a, b) => Math.min(a, b), longest);
    $("min_length").placeholder = shortest;
    $("max_length").placeholder = longest;
    drawHistogram($("lengths"), data.length, {
      low: shortest,
      high: longest,
      log: true,
      from: state.min_length,
      to: state.max_length,
    });
    const scored = data.score.filter((s) => s !== null),
      least = Math.floor(scored.reduce((a, b) => Math.min(a, b), 1) * 20) / 20;
    $("scores").parentElement.hidden = $("legend").hidden = !scored.length;
    $("min_score").placeholder = least.toFixed(2);
    $("max_score").placeholder = "1.00";
    if (!scored.length) return;
    const range = { low: least, high: 1, log: false, from: state.min_score, to: state.max_score };
    drawHistogram($("scores"), scored, range);
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
    if (data.splits) $("splits").textContent = `splits: ${data.splits}`;
    common.showCorrupt(data);
  }

  // events
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
    $("list").addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) choose(Number(row.dataset.tracklet), { scroll: false });
    });
    common.listenToSteps(n, step);
    common.listenToSearchKeys(() => {
      set({ text: "" });
      $("list").focus();
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
    clock,
    matches,
    choose,
    chosen: () => chosen,
    inSight: () => [...list.drawn.keys()].map((k) => items[k]).filter((item) => item >= 0),
  });
  showTotals();
  makeCameras();
  listen();
  timeline.show(0);
  readHash();
})();
