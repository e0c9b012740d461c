"use strict";
// What the exported pages share. Texts from the dataset are set as textContent, never as markup.
window.LpwCommon = (() => {
  const SPRITES_PER_FOLDER = 1000;
  const SPRITE_PX = 96;
  const OVERSCAN_PX = 400;
  /** @type {(name: string) => any} */
  const $ = (name) => document.getElementById(name);
  const count = (value) => value.toLocaleString("en-US");
  const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;
  const splitWords = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

  function element(kind, name, text) {
    const node = document.createElement(kind);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  // The crops of tracklet i side by side, `height` pixels high; `name` begins their labels.
  function makeStrip(data, i, height, name) {
    const strip = element("div", "strip");
    const n_tiles = data.tiles[i];
    const n_frames = data.length[i];
    const width = Math.round((data.tile[i] * height) / SPRITE_PX);
    const file = `sprites/${Math.floor(i / SPRITES_PER_FOLDER)}/${i}.jpg`;
    const url = data.sprites ? data.sprites[i] : file;
    const label = `${n_tiles} of ${plural(n_frames, "crop")}`;
    strip.setAttribute("role", "img");
    strip.setAttribute("aria-label", name ? `${name}: ${label}` : label);
    for (let k = 0; k < n_tiles; k++) {
      const tile = element("div", data.corrupt[i]?.includes(k) ? "tile corrupt" : "tile");
      const steps = Math.max(n_tiles - 1, 1); // sample_positions in sprites.py
      const sampled = Math.floor((2 * k * (n_frames - 1) + steps) / (2 * steps));
      const position = n_tiles === n_frames ? k : sampled;
      const title = `crop ${count(position + 1)} of ${count(n_frames)}`;
      tile.title = name ? `${name}\n${title}` : title;
      tile.style.width = `${width}px`;
      tile.style.backgroundImage = `url("${url}")`;
      tile.style.backgroundSize = `${width * n_tiles}px ${height}px`;
      tile.style.backgroundPosition = `${-k * width}px 0`;
      strip.append(tile);
    }
    return strip;
  }

  // The list of a page: only the nodes in sight exist. makeNode(k) makes node k.
  function makeList(makeNode, onScroll) {
    const list = $("list");
    const drawn = new Map();
    let tops = new Float64Array(1);

    function placeAt(y) {
      let low = 0;
      let high = tops.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (tops[middle + 1] <= y) low = middle + 1;
        else high = middle;
      }
      return low;
    }

    function reset(heights) {
      tops = new Float64Array(heights.length + 1);
      heights.forEach((height, k) => {
        tops[k + 1] = tops[k] + height;
      });
      $("rows").style.height = `${tops[heights.length]}px`;
      for (const node of drawn.values()) node.remove();
      drawn.clear();
    }

    function draw() {
      const from = placeAt(list.scrollTop - OVERSCAN_PX);
      const last = placeAt(list.scrollTop + list.clientHeight + OVERSCAN_PX);
      const until = Math.min(tops.length - 1, last + 1);
      for (const [k, node] of drawn) {
        if (k >= from && k < until) continue;
        node.remove();
        drawn.delete(k);
      }
      for (let k = from; k < until; k++) {
        if (drawn.has(k)) continue;
        const node = makeNode(k);
        node.style.transform = `translateY(${tops[k]}px)`;
        drawn.set(k, node);
        $("rows").append(node);
      }
    }

    function reveal(k, above = 0) {
      const bottom = list.scrollTop + list.clientHeight;
      if (tops[k] < list.scrollTop || tops[k + 1] > bottom) list.scrollTop = tops[k] - above;
    }

    function isInSight(k) {
      return tops[k + 1] > list.scrollTop && tops[k] < list.scrollTop + list.clientHeight;
    }

    let waiting = false;
    const scrolled = () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        onScroll();
      });
    };
    list.addEventListener("scroll", scrolled, { passive: true });
    return { drawn, reset, draw, reveal, isInSight, first: () => placeAt(list.scrollTop + 1) };
  }

  // The entry of `order` that lies `by` places after the one chosen, -1 for none.
  function stepIn(order, chosen, by) {
    const at = chosen < 0 ? (by > 0 ? -1 : 0) : order.indexOf(chosen);
    return order[Math.min(order.length - 1, Math.max(0, at + by))];
  }

  function listenToSteps(n, step) {
    $("list").addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, Home: -n, End: n }[event.key];
      if (!by || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      step(by);
    });
  }

  function listenToSearchKeys(clear) {
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && !/INPUT|SELECT/.test(document.activeElement.tagName)) {
        event.preventDefault();
        $("text").focus();
      }
      if (event.key === "Escape" && document.activeElement === $("text")) clear();
    });
  }

  function showCorrupt(data) {
    const n_corrupt = Object.values(data.corrupt).reduce((sum, tiles) => sum + tiles.length, 0);
    $("problems").hidden = !n_corrupt;
    $("problems").textContent =
      `${plural(n_corrupt, "corrupt crop")}, crossed out below. Run lpw check.`;
  }

  return {
    $,
    count,
    plural,
    splitWords,
    element,
    makeStrip,
    makeList,
    stepIn,
    listenToSteps,
    listenToSearchKeys,
    showCorrupt,
  };
})();
