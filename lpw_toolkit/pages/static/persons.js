"use strict";
// The page of `lpw show --persons`.
(() => {
  const data = window.LPW_SHOW;
  const { $, count, plural, splitWords, element, ...common } = window.LpwCommon;
  const HEAD_PX = 34;
  const VIEW_PX = 92;
  const GAP_PX = 9;
  const DEFAULTS = { text: "", sort: "id", cameras: 0 };
  const state = { ...DEFAULTS };
  const persons = groupPersons();
  let order = []; // persons that pass the filters, in list order
  let chosen = -1;

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

  // filters
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
    const words = splitWords(state.text),
      perCount = new Map();
    const found = [];
    persons.forEach((person, k) => {
      if (!words.every((word) => person.key.includes(word))) return;
      const n_views = person.views.length;
      perCount.set(n_views, (perCount.get(n_views) ?? 0) + 1);
      if (!state.cameras || n_views === state.cameras) found.push(k);
    });
    order = found.sort(ORDERS[state.sort]);
    list.reset(order.map((k) => heightOf(persons[k])));
    if (!order.includes(chosen)) chosen = -1;
    $("list").scrollTop = 0;
    $("empty").hidden = order.length > 0;
    $("count").textContent =
      order.length === persons.length
        ? plural(persons.length, "person")
        : `${count(order.length)} of ${plural(persons.length, "person")}`;
    showControls(perCount);
    list.draw();
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

  // address
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

  // the list
  const list = common.makeList(
    (at) => {
      const node = makePerson(order[at]);
      node.style.height = `${heightOf(persons[order[at]])}px`;
      node.setAttribute("aria-posinset", at + 1);
      return node;
    },
    () => list.draw(),
  );

  function makePerson(k) {
    const person = persons[k],
      node = element("section", k === chosen ? "person chosen" : "person"),
      head = element("div", "head");
    node.dataset.person = k;
    node.setAttribute("role", "listitem");
    node.setAttribute("aria-setsize", order.length);
    const name = element("b", "", person.id);
    name.title = person.id;
    const facts = [
      plural(person.views.length, "camera"),
      plural(person.n_tracklets, "tracklet"),
      plural(person.n_images, "frame"),
    ];
    head.append(name, element("span", "", facts.join(" · ")));
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
    if (view.rows.length > 1) facts.append(plural(view.rows.length, "tracklet"), " · ");
    facts.append(plural(n_images, "frame"));
    if (n_corrupt) facts.append(" · ", element("strong", "", `${n_corrupt} corrupt`));
    about.append(camera, facts);
    strips.append(...view.rows.map((i) => common.makeStrip(data, i, 80, data.id[i])));
    node.append(about, strips);
    return node;
  }

  function choose(k, { scroll = true } = {}) {
    chosen = k;
    if (scroll) list.reveal(order.indexOf(k));
    list.draw();
    for (const node of list.drawn.values())
      node.classList.toggle("chosen", Number(node.dataset.person) === k);
    writeHash();
  }

  function step(by) {
    if (order.length) choose(common.stepIn(order, chosen, by));
  }

  // the page
  function showTotals() {
    document.title = `${data.name} – persons – lpw show`;
    $("name").textContent = data.name;
    const n_left = data.n_all - data.id.length;
    const facts = [
      plural(persons.length, "person"),
      plural(data.id.length, "tracklet"),
      plural(data.n_images, "crop"),
    ];
    if (n_left) facts.push(`${plural(n_left, "tracklet")} without a named person not shown`);
    $("totals").textContent = facts.join(" · ");
    common.showCorrupt(data);
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
    $("list").addEventListener("click", (event) => {
      const node = event.target.closest(".person");
      if (node) choose(Number(node.dataset.person), { scroll: false });
    });
    common.listenToSteps(persons.length, step);
    common.listenToSearchKeys(() => {
      set({ text: "" });
      $("list").focus();
    });
    window.addEventListener("hashchange", readHash);
    window.addEventListener("resize", () => list.draw());
  }

  showTotals();
  makeButtons();
  listen();
  readHash();
})();
