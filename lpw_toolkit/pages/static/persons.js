"use strict";
// The page of `lpw show --persons`. Every text from the dataset is set as textContent, never as markup.
(() => {
  const data = window.LPW_SHOW;
  /** @type {(name: string) => any} */
  const $ = (name) => document.getElementById(name);
  const HEAD_PX = 34,
    VIEW_PX = 92,
    GAP_PX = 9,
    OVERSCAN_PX = 500,
    SPRITES_PER_FOLDER = 1000,
    TILE_PX = 80,
    SPRITE_PX = 96;
  const DEFAULTS = { text: "", sort: "id", cameras: 0 };
  const state = { ...DEFAULTS };
  const persons = groupPersons();
  let order = []; // persons that pass the filters, in list order
  let tops = new Float64Array(1),
    drawn = new Map(),
    chosen = -1;

  const count = (value) => value.toLocaleString("en-US");
  const plural = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;

  // The data comes by person, then camera: runs of equal values.
  function groupPersons() {
    const found = [];
    data.id.forEach((id, i) => {
      let person = found.at(-1);
      if (person?.id !== data.person[i]) {
        person = {
          id: data.person[i],
          views: [],
          n_tracklets: 0,
          n_images: 0,
          key: `${data.person[i]}\n`,
        };
        found.push(person);
      }
      if (person.views.at(-1)?.camera !== data.camera[i])
        person.views.push({ camera: data.camera[i], rows: [] });
      person.views.at(-1).rows.push(i);
      person.n_tracklets += 1;
      person.n_images += data.length[i];
      person.key += `${id}\n${data.cameras[data.camera[i]]}\n`.toLowerCase();
    });
    for (const person of found) person.key = person.key.toLowerCase();
    return found;
  }

  function element(kind, name, text) {
    const node = document.createElement(kind);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  // ---- filters -----------------------------------------------------------------------------------------------------
  const ORDERS = {
    id: (a, b) => a - b, // the data comes so
    cameras: (a, b) => persons[b].views.length - persons[a].views.length || a - b,
    few_cameras: (a, b) => persons[a].views.length - persons[b].views.length || a - b,
    tracklets: (a, b) => persons[b].n_tracklets - persons[a].n_tracklets || a - b,
    images: (a, b) => persons[b].n_images - persons[a].n_images || a - b,
    few_images: (a, b) => persons[a].n_images - persons[b].n_images || a - b,
  };
  const heightOf = (person) => HEAD_PX + person.views.length * VIEW_PX + GAP_PX;

  function apply() {
    const words = state.text.toLowerCase().split(/\s+/).filter(Boolean),
      perCount = new Map();
    const found = [];
    persons.forEach((person, k) => {
      if (!words.every((word) => person.key.includes(word))) return;
      const n_views = person.views.length;
      perCount.set(n_views, (perCount.get(n_views) ?? 0) + 1);
      if (!state.cameras || n_views === state.cameras) found.push(k);
    });
    order = found.sort(ORDERS[state.sort]);
    tops = new Float64Array(order.length + 1);
    order.forEach((k, at) => {
      tops[at + 1] = tops[at] + heightOf(persons[k]);
    });
    $("rows").style.height = `${tops[order.length]}px`;
    for (const node of drawn.values()) node.remove();
    drawn = new Map();
    if (!order.includes(chosen)) chosen = -1;
    $("list").scrollTop = 0;
    $("empty").hidden = order.length > 0;
    $("count").textContent =
      order.length === persons.length
        ? plural(persons.length, "person")
        : `${count(order.length)} of ${plural(persons.length, "person")}`;
    showControls(perCount);
    drawRows();
    writeHash();
  }

  function set(changes) {
    Object.assign(state, changes);
    apply();
  }

  function showControls(perCount) {
    if ($("text").value !== state.text) $("text").value = state.text;
    $("sort").value = state.sort;
    const all = [...perCount.values()].reduce((a, b) => a + b, 0);
    for (const button of $("cameras").children) {
      const n_views = Number(button.dataset.cameras),
        on = n_views === state.cameras;
      button.textContent = n_views
        ? `${plural(n_views, "camera")}: ${count(perCount.get(n_views) ?? 0)}`
        : `all: ${count(all)}`;
      button.setAttribute("aria-checked", on);
      button.tabIndex = on ? 0 : -1;
    }
  }

  // ---- address -----------------------------------------------------------------------------------------------------
  function readHash() {
    const query = new URLSearchParams(location.hash.slice(1));
    Object.assign(state, DEFAULTS);
    state.text = query.get("text") ?? "";
    if (Object.hasOwn(ORDERS, query.get("sort") ?? "")) state.sort = query.get("sort");
    const wanted = Number(query.get("cameras"));
    if (persons.some((person) => person.views.length === wanted)) state.cameras = wanted;
    apply();
    const person = persons.findIndex((each) => each.id === query.get("person"));
    if (order.includes(person)) choose(person);
  }

  function writeHash() {
    const query = new URLSearchParams();
    if (state.text) query.set("text", state.text);
    if (state.sort !== "id") query.set("sort", state.sort);
    if (state.cameras) query.set("cameras", String(state.cameras));
    if (chosen >= 0) query.set("person", persons[chosen].id);
    history.replaceState(null, "", `#${query}`);
  }

  // ---- the list: only persons in sight exist ------------------------------------------------------------------------
  function placeAt(y) {
    let low = 0,
      high = order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tops[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function drawRows() {
    const list = $("list"),
      from = placeAt(list.scrollTop - OVERSCAN_PX);
    const until = Math.min(
      order.length,
      placeAt(list.scrollTop + list.clientHeight + OVERSCAN_PX) + 1,
    );
    for (const [at, node] of drawn) {
      if (at < from || at >= until) {
        node.remove();
        drawn.delete(at);
      }
    }
    const fresh = document.createDocumentFragment();
    for (let at = from; at < until; at++) {
      if (drawn.has(at)) continue;
      const node = makePerson(order[at]);
      node.style.transform = `translateY(${tops[at]}px)`;
      node.style.height = `${heightOf(persons[order[at]])}px`;
      node.setAttribute("aria-posinset", at + 1);
      drawn.set(at, node);
      fresh.append(node);
    }
    $("rows").append(fresh);
  }

  function makePerson(k) {
    const person = persons[k],
      node = element("section", k === chosen ? "person chosen" : "person"),
      head = element("div", "head");
    node.dataset.person = k;
    node.setAttribute("role", "listitem");
    node.setAttribute("aria-setsize", order.length);
    const name = element("b", "", person.id);
    name.title = person.id;
    head.append(
      name,
      element(
        "span",
        "",
        `${plural(person.views.length, "camera")} · ${plural(person.n_tracklets, "tracklet")} · ${plural(person.n_images, "frame")}`,
      ),
    );
    node.append(head, ...person.views.map(makeView));
    return node;
  }

  function makeView(view) {
    const node = element("div", "view"),
      about = element("div"),
      strips = element("div", "strips"),
      facts = element("div", "facts");
    const camera = element("div", "camera", data.cameras[view.camera]);
    camera.title = data.cameras[view.camera];
    const n_images = view.rows.reduce((sum, i) => sum + data.length[i], 0);
    const n_corrupt = view.rows.reduce((sum, i) => sum + (data.corrupt[i]?.length ?? 0), 0);
    facts.append(
      `${view.rows.length > 1 ? `${plural(view.rows.length, "tracklet")} · ` : ""}${plural(n_images, "frame")}`,
    );
    if (n_corrupt) facts.append(" · ", element("strong", "", `${n_corrupt} corrupt`));
    about.append(camera, facts);
    strips.append(...view.rows.map(makeStrip));
    node.append(about, strips);
    return node;
  }

  function makeStrip(i) {
    const strip = element("div", "strip"),
      tiles = data.tiles[i],
      width = Math.round((data.tile[i] * TILE_PX) / SPRITE_PX);
    const url = data.sprites
      ? data.sprites[i]
      : `sprites/${Math.floor(i / SPRITES_PER_FOLDER)}/${i}.jpg`;
    strip.setAttribute("role", "img");
    strip.setAttribute(
      "aria-label",
      `${data.id[i]}: ${tiles} of ${plural(data.length[i], "crop")}`,
    );
    for (let k = 0; k < tiles; k++) {
      const tile = element("div", data.corrupt[i]?.includes(k) ? "tile corrupt" : "tile");
      const steps = Math.max(tiles - 1, 1),
        position = Math.floor((2 * k * (data.length[i] - 1) + steps) / (2 * steps));
      tile.title = `${data.id[i]}\ncrop ${count((tiles === data.length[i] ? k : position) + 1)} of ${count(data.length[i])}`;
      tile.style.width = `${width}px`;
      tile.style.backgroundImage = `url("${url}")`;
      tile.style.backgroundSize = `${width * tiles}px ${TILE_PX}px`;
      tile.style.backgroundPosition = `${-k * width}px 0`;
      strip.append(tile);
    }
    return strip;
  }

  function choose(k, { scroll = true } = {}) {
    chosen = k;
    const at = order.indexOf(k),
      list = $("list");
    if (scroll && (tops[at] < list.scrollTop || tops[at + 1] > list.scrollTop + list.clientHeight))
      list.scrollTop = tops[at];
    drawRows();
    for (const node of drawn.values())
      node.classList.toggle("chosen", Number(node.dataset.person) === k);
    writeHash();
  }

  function step(by) {
    if (!order.length) return;
    const at = chosen < 0 ? (by > 0 ? -1 : 0) : order.indexOf(chosen);
    choose(order[Math.min(order.length - 1, Math.max(0, at + by))]);
  }

  // ---- the page ----------------------------------------------------------------------------------------------------
  function showTotals() {
    document.title = `${data.name} – persons – lpw show`;
    $("name").textContent = data.name;
    const left = data.n_all - data.id.length;
    $("totals").textContent =
      `${plural(persons.length, "person")} · ${plural(data.id.length, "tracklet")} · ${plural(data.n_images, "crop")}` +
      (left
        ? ` · ${plural(left, "tracklet")} of nobody named ${left === 1 ? "is" : "are"} not shown`
        : "");
    const corrupt = Object.values(data.corrupt).reduce((sum, tiles) => sum + tiles.length, 0);
    $("problems").hidden = !corrupt;
    $("problems").textContent =
      `${plural(corrupt, "corrupt crop")}, crossed out below. Run lpw check.`;
  }

  function makeButtons() {
    const counts = [...new Set(persons.map((person) => person.views.length))].sort((a, b) => a - b);
    for (const n_views of [0, ...counts]) {
      const button = element("button");
      button.type = "button";
      button.dataset.cameras = n_views;
      button.setAttribute("role", "radio");
      button.addEventListener("click", () => set({ cameras: n_views }));
      $("cameras").append(button);
    }
    $("cameras").addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const buttons = [...$("cameras").children],
        at = buttons.findIndex((button) => Number(button.dataset.cameras) === state.cameras);
      const next = buttons[Math.min(buttons.length - 1, Math.max(0, at + by))];
      set({ cameras: Number(next.dataset.cameras) });
      next.focus();
    });
  }

  function listen() {
    $("text").addEventListener("input", () => set({ text: $("text").value }));
    $("sort").addEventListener("change", () => set({ sort: $("sort").value }));
    let waiting = false;
    $("list").addEventListener(
      "scroll",
      () => {
        if (waiting) return;
        waiting = true;
        requestAnimationFrame(() => {
          waiting = false;
          drawRows();
        });
      },
      { passive: true },
    );
    $("list").addEventListener("click", (event) => {
      const node = event.target.closest(".person");
      if (node) choose(Number(node.dataset.person), { scroll: false });
    });
    $("list").addEventListener("keydown", (event) => {
      const by = {
        ArrowDown: 1,
        j: 1,
        ArrowUp: -1,
        k: -1,
        Home: -persons.length,
        End: persons.length,
      }[event.key];
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
    window.addEventListener("resize", drawRows);
  }

  showTotals();
  makeButtons();
  listen();
  readHash();
})();
