/* The contact sheet: one card a pair, in the order and of the choice asked for. */
const sheet = (() => {
  const { element, number } = shell;
  const byId = (id) => document.getElementById(id);
  let pairs = [], columns = new Map(), shown = [], opened = () => {};
  let status = "", query = "", sortBy = "", reversed = false, current = null;
  const badness = { failed: 0, rejected: 1, accepted: 2 };

  function start(data, open) {
    opened = open;
    columns = new Map(data.columns.map((column) => [column.name, column]));
    pairs = data.keys.map((key, i) => ({ key, i, scene: value("scene", i), status: value("status", i), thumbs: data.thumbs[i] }));
    for (const pair of pairs) pair.text = ["scene", "status", "reasons", "message", "group", "split"].map((name) => value(name, pair.i) ?? "").join(" ").toLowerCase();
    byId("sheet").append(...pairs.map((pair) => (pair.item = card(pair))));
    byId("sort").append(element("option", { value: "" }, "worst first"), element("option", { value: "mark" }, "mark"), ...data.columns.map(({ name }) => element("option", { value: name }, name)));
    byId("sort").addEventListener("change", (event) => { sortBy = event.target.value; reversed = false; update(); });
    byId("direction").addEventListener("click", () => { reversed = !reversed; update(); });
    byId("filter").addEventListener("input", (event) => { query = event.target.value; update(); });
    for (const button of document.querySelectorAll("[data-status]")) button.addEventListener("click", () => { status = button.dataset.status; update(); });
    for (const button of document.querySelectorAll("[data-filter]")) button.addEventListener("click", () => { query = byId("filter").value = button.dataset.filter; status = ""; update(); byId("pairs").scrollIntoView(); shown[0]?.link.focus({ preventScroll: true }); });
    byId("sheet").addEventListener("keydown", keys);
    marks.onChange(() => pairs.forEach(paint));
    update();
  }

  const value = (name, i) => columns.get(name)?.values[i];

  function card(pair) {
    const pictures = pair.thumbs.map(([, file], n) => {
      const image = element("img", { alt: "", loading: "lazy", decoding: "async" });
      image[n ? "later" : "src"] = `files/${pair.key}/${file}`;
      return image;
    });
    pair.which = element("span", { class: "which", "aria-hidden": "true" }, pair.thumbs[0]?.[0]);
    const thumb = element("span", { class: "thumb" }, ...(pictures.length ? [...pictures, pair.which] : [element("span", { class: "none" }, "no picture")]));
    const p50 = value("residual_p50_hr_px", pair.i), p95 = value("residual_p95_hr_px", pair.i);
    pair.reasons = (value("reasons", pair.i) || "").split(";").filter(Boolean);
    pair.tag = element("span", { class: "line" });
    pair.extra = element("span", { class: "line" });
    const kind = { accepted: "good", rejected: "warn", failed: "bad" }[pair.status];
    pair.link = element("a", { class: "pair-card", href: `#pair=${pair.key}`, tabindex: "-1" }, thumb,
      element("span", { class: "words" },
        element("span", { class: "name" }, pair.scene),
        element("span", {}, element("span", { class: `tag ${kind}` }, pair.status), " ", pair.tag),
        element("span", { class: "line" }, pair.reasons.join(", ")),
        p50 === null ? null : element("span", { class: "line" }, "residual ", element("span", { class: "big" }, number(p50)), ", p95 ", element("span", { class: "big" }, number(p95)), " HR px"),
        pair.extra));
    pair.link.addEventListener("focus", () => move(pair, false));
    if (pictures.length > 1) {
      pair.link.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") blink(pair, true); });
      pair.link.addEventListener("pointerleave", () => blink(pair, false));
    }
    /* For fingers; keys have Space and a mouse has hovering. */
    const button = pictures.length > 1 ? element("button", { type: "button", class: "touch-blink", tabindex: "-1", "aria-label": `Blink ${pair.scene}`, onclick: () => blink(pair, !pair.link.classList.contains("blinking")) }, "Blink") : null;
    return element("li", {}, pair.link, button);
  }

  function blink(pair, on) {
    for (const image of pair.link.querySelectorAll("img")) if (image.later) { image.loading = "eager"; image.src = image.later; image.later = ""; }
    if (pair.thumbs.length < 2) return;
    pair.link.classList.toggle("blinking", on);
    pair.which.textContent = pair.thumbs[Number(pair.link.classList.contains("blinking"))][0];
  }

  function paint(pair) {
    const { decision, note } = marks.get(pair.scene);
    pair.tag.textContent = decision ? `marked ${decision}` : note ? "has a note" : "";
    pair.link.classList.toggle("marked-accept", decision === "accept");
    pair.link.classList.toggle("marked-reject", decision === "reject");
  }

  /* Conditions column<op>value and plain words; returns a test, or what is wrong with the text. */
  function condition(text) {
    const tests = [];
    for (const [, name, sign, quoted, plain, word] of text.matchAll(/([A-Za-z]\w*)\s*(<=|>=|!=|=|<|>|~)\s*(?:"([^"]*)"|(\S+))|(\S+)/g)) {
      if (word === "and") continue; /* as `summary --where` joins its conditions */
      if (word !== undefined) { tests.push((pair) => pair.text.includes(word.toLowerCase())); continue; }
      const wanted = quoted ?? plain;
      if (name !== "mark" && !columns.has(name)) return `no column ${name}`;
      const cell = (pair) => (name === "mark" ? marks.get(pair.scene).decision : value(name, pair.i));
      tests.push((pair) => compare(cell(pair), sign, wanted));
    }
    return (pair) => tests.every((test) => test(pair));
  }
  function compare(cell, sign, wanted) {
    if (sign === "~") return String(cell ?? "").toLowerCase().includes(wanted.toLowerCase());
    if (typeof cell === "number" || cell === null || cell === undefined) {
      if (cell === null || cell === undefined) return sign === "!=";
      const other = Number(wanted);
      return { "<": cell < other, ">": cell > other, "<=": cell <= other, ">=": cell >= other, "=": cell === other, "!=": cell !== other }[sign];
    }
    return { "<": cell < wanted, ">": cell > wanted, "<=": cell <= wanted, ">=": cell >= wanted, "=": cell === wanted, "!=": cell !== wanted }[sign];
  }

  function worst(a, b) {
    const p95 = (pair) => value("residual_p95_hr_px", pair.i) ?? Infinity;
    return badness[a.status] - badness[b.status] || p95(b) - p95(a) || a.i - b.i;
  }
  function byColumn(a, b) {
    const [x, y] = [a, b].map((pair) => (sortBy === "mark" ? marks.get(pair.scene).decision : value(sortBy, pair.i)));
    const empty = (v) => v === null || v === undefined || v === "";
    if (empty(x) || empty(y)) return empty(x) - empty(y) || a.i - b.i;
    const order = (x < y ? -1 : x > y ? 1 : 0) * (typeof x === "number" ? -1 : 1);
    return (reversed ? -order : order) || a.i - b.i;
  }

  function update() {
    const test = condition(query), usable = typeof test === "function";
    shown = pairs.filter((pair) => (!status || pair.status === status) && (!usable || test(pair)));
    shown.sort(sortBy ? byColumn : (a, b) => (reversed ? -worst(a, b) : worst(a, b)));
    const kept = new Set(shown);
    for (const pair of pairs) pair.item.hidden = !kept.has(pair);
    byId("sheet").append(...shown.map((pair) => pair.item));
    for (const pair of shown) {
      const cell = sortBy && sortBy !== "mark" ? value(sortBy, pair.i) : undefined;
      pair.extra.textContent = cell === undefined || ["scene", "status", "reasons"].includes(sortBy) ? "" : `${sortBy} ${typeof cell === "number" ? (Number.isInteger(cell) ? String(cell) : number(cell, 4)) : cell ?? "–"}`;
      paint(pair);
    }
    byId("count").textContent = usable ? `${shown.length} of ${pairs.length} shown.` : `There is ${test}; all shown.`;
    byId("direction").textContent = reversed ? "↑" : "↓";
    for (const button of document.querySelectorAll("[data-status]")) button.setAttribute("aria-pressed", String(button.dataset.status === status));
    move(kept.has(current) ? current : shown[0] ?? null, false);
  }

  /* One card at a time can be reached with Tab; arrows go on from there. */
  function move(pair, focus = true) {
    if (current) current.link.tabIndex = -1;
    current = pair;
    if (!pair) return;
    pair.link.tabIndex = 0;
    if (focus) pair.link.focus();
  }

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !current) return;
    const place = shown.indexOf(current);
    const row = shown.filter((pair) => pair.item.offsetTop === shown[0].item.offsetTop).length || 1;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row }[event.key];
    if (step) move(shown[place + step] ?? current);
    else if (event.key === "Home") move(shown[0]);
    else if (event.key === "End") move(shown.at(-1));
    else if (event.key === " ") blink(current, !current.link.classList.contains("blinking"));
    else return;
    event.preventDefault();
  }

  const neighbour = (key, step) => shown[shown.findIndex((pair) => pair.key === key) + step];
  const find = (key) => pairs.find((pair) => pair.key === key);
  return { start, update, find, neighbour, move, value, current: () => current, place: (key) => [shown.findIndex((pair) => pair.key === key) + 1, shown.length], pairs: () => pairs, columns: () => columns };
})();
