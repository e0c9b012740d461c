"use strict";
// The page of ranked results.
(() => {
  const data = window.LPW_SHOW;
  const { $, count, plural, splitWords, element, listenToSearchKeys } = window.LpwCommon;
  const n = data.queries.length;
  const nodes = new Array(n).fill(null);
  const keys = data.queries.map((query) => words(query).toLowerCase());

  function words(query) {
    const rows = [query.tracklet, ...query.answers.map((answer) => answer.tracklet)];
    return rows
      .map((row) => `${data.tracklets[row].id}\n${data.tracklets[row].person ?? ""}`)
      .join("\n");
  }

  const CHOICES = {
    all: () => true,
    missed: (query) => query.first_rank > 1,
    far: (query) => !query.answers.slice(0, data.n_answers).some((answer) => answer.right),
    hit: (query) => query.first_rank === 1,
  };
  const ORDERS = {
    worst: (a, b) => a - b, // the data comes so
    best: (a, b) => b - a,
    rank: (a, b) => data.queries[b].first_rank - data.queries[a].first_rank || a - b,
    id: (a, b) => data.queries[a].place - data.queries[b].place,
  };

  function makeFigure(row, name, lines) {
    const tracklet = data.tracklets[row],
      figure = element("figure", name),
      frame = element("div", "frame");
    if (tracklet.crop) {
      const image = element("img");
      image.src = tracklet.crop;
      image.alt = "";
      image.loading = "lazy";
      frame.append(image);
    } else {
      frame.append(element("div", "none", "unreadable crop"));
    }
    const caption = element("figcaption");
    for (const parts of lines) {
      const line = element("div");
      line.append(...parts);
      caption.append(line);
    }
    const id = element("div", "id"),
      person = tracklet.person === null ? "" : `\nperson ${tracklet.person}`;
    const kind = tracklet.kind === "person" ? "" : `\n${tracklet.kind}`;
    figure.title = `${tracklet.id}${person}\ncamera ${tracklet.camera}${kind}`;
    for (const [i, part] of tracklet.id.split("/").entries())
      id.append(...(i ? ["/", element("wbr"), part] : [part]));
    if (name === "asked") caption.prepend(id);
    else caption.append(id);
    figure.append(frame, caption);
    return figure;
  }

  function makeQuery(i) {
    const query = data.queries[i],
      node = element("article", "query"),
      answers = element("div", "answers");
    const facts = [
      [element("b", "", `AP ${query.ap.toFixed(3)}`)],
      [`first correct at rank ${count(query.first_rank)}`],
      [plural(query.n_relevant, "correct match", "correct matches")],
      [data.tracklets[query.tracklet].camera],
    ];
    for (const [k, answer] of query.answers.entries()) {
      const word = answer.right ? "right" : "wrong",
        name = k < data.n_answers ? word : `${word} later`;
      const lines = [
        [element("b", "", `${count(answer.rank)} ${answer.right ? "correct" : "wrong"}`)],
        [answer.distance],
      ];
      answers.append(makeFigure(answer.tracklet, name, lines));
    }
    answers.tabIndex = 0;
    answers.setAttribute("aria-label", `Matches of ${data.tracklets[query.tracklet].id}`);
    node.append(makeFigure(query.tracklet, "asked", facts), answers);
    return node;
  }

  function draw() {
    const terms = splitWords($("text").value),
      choice = CHOICES[$("which").value];
    const shown = [];
    for (let i = 0; i < n; i++) {
      if (choice(data.queries[i]) && terms.every((term) => keys[i].includes(term))) shown.push(i);
    }
    shown.sort(ORDERS[$("sort").value]);
    $("list").replaceChildren(...shown.map((i) => (nodes[i] ??= makeQuery(i))));
    $("count").textContent =
      shown.length === n
        ? plural(n, "query", "queries")
        : `${count(shown.length)} of ${plural(n, "query", "queries")}`;
    $("empty").hidden = shown.length > 0;
  }

  function showHeader() {
    document.title = `${data.title} – lpw eval`;
    $("title").textContent = data.title;
    const part =
      n < data.n_query
        ? `the ${count(n)} worst of ${plural(data.n_query, "query", "queries")}`
        : plural(n, "query", "queries");
    $("totals").textContent =
      `${part}, the first ${count(data.n_answers)} gallery matches of each; junk is left out`;
    for (const [name, text] of data.facts) {
      const row = element("div");
      row.append(element("dt", "", name), element("dd", "", text));
      $("facts").append(row);
    }
    const [summary, list] = $("skipped").children;
    $("skipped").hidden = !data.skipped.length;
    const skipped = plural(data.skipped.length, "query has", "queries have");
    summary.textContent = `${skipped} no correct match in the gallery`;
    list.textContent = data.skipped.join("  ");
    const broken = data.tracklets.filter((tracklet) => !tracklet.crop).length;
    $("problems").hidden = !broken;
    $("problems").textContent = `${plural(broken, "unreadable crop")}. Run lpw check.`;
  }

  $("text").addEventListener("input", draw);
  for (const name of ["which", "sort"]) $(name).addEventListener("change", draw);
  listenToSearchKeys(() => {
    $("text").value = "";
    draw();
    $("text").blur();
  });
  showHeader();
  draw();
})();
