/* Wires the page: which part is shown, keys, marks, the dataset's figures. */
(() => {
  const byId = (id) => document.getElementById(id);
  const data = shell.data("report-data");
  const scenes = data.columns.find((column) => column.name === "scene")?.values ?? [];
  const go = (key) => { location.hash = `pair=${key}`; };
  let last = null, scrolled = 0;

  marks.open(data.id, scenes);
  points.start(data, scenes);
  sheet.start(data, go);
  pairView.start(data);

  /* --- overview or pair, by the address --- */
  function route() {
    const pair = sheet.find(location.hash.startsWith("#pair=") ? location.hash.slice(6) : "");
    const was = !byId("pair").hidden;
    if (pair && !was) scrolled = scrollY;
    byId("overview").hidden = Boolean(pair);
    document.body.classList.toggle("in-pair", Boolean(pair));
    byId("pair").hidden = !pair;
    byId("headline").hidden = Boolean(pair);
    document.title = pair ? `${pair.scene} – report` : byId("content").dataset.title;
    if (!pair) {
      pairView.close();
      if (was) { scrollTo({ top: scrolled, behavior: "instant" }); sheet.move(last, !location.hash || location.hash === "#"); if (location.hash.length > 1) document.querySelector(`[id="${CSS.escape(location.hash.slice(1))}"]`)?.scrollIntoView(); }
      return;
    }
    last = pair;
    sheet.move(pair, false);
    const [place, of] = sheet.place(pair.key);
    byId("place").textContent = place ? `${place} of ${of}` : "";
    byId("previous").disabled = !sheet.neighbour(pair.key, -1);
    byId("next").disabled = !place || !sheet.neighbour(pair.key, 1);
    pairView.open(pair);
    if (!was) { scrollTo({ top: 0, behavior: "instant" }); byId("pair-title").focus({ preventScroll: true }); }
  }
  byId("content").dataset.title = document.title;
  addEventListener("hashchange", route);
  const back = () => { history.pushState(null, "", location.pathname + location.search); route(); };
  const step = (by) => { const pair = last && sheet.neighbour(last.key, by); if (pair) go(pair.key); };
  byId("back").addEventListener("click", back);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));

  /* --- marks --- */
  function tell() { byId("marked").textContent = `Marked: ${marks.count("accept")} accept, ${marks.count("reject")} reject.`; byId("export").disabled = !(marks.count("accept") + marks.count("reject")); }
  marks.onChange(() => { tell(); const pair = sheet.find(pairView.current()); if (pair) pairView.mark(pair); });
  tell();
  byId("export").addEventListener("click", marks.save);
  byId("import").addEventListener("click", () => byId("import-file").click());
  byId("import-file").addEventListener("change", async (event) => { const [file] = event.target.files; if (file) byId("marked").textContent = marks.load(await file.text()); event.target.value = ""; });
  byId("clear").addEventListener("click", () => { if (confirm("Take back all marks and notes in this browser?")) marks.clear(); });
  for (const button of document.querySelectorAll("[data-mark]")) button.addEventListener("click", () => marks.toggle(last.scene, button.dataset.mark));
  byId("note").addEventListener("input", (event) => marks.set(last.scene, marks.get(last.scene).decision, event.target.value));

  /* --- keys --- */
  const letters = byId("letters");
  letters.checked = shell.saved.get("d2crealsr-letters") !== "off";
  letters.addEventListener("change", () => shell.saved.set("d2crealsr-letters", letters.checked ? "on" : "off"));
  const modes = { b: "blink", s: "slider", c: "checker", d: "difference" };
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const inPair = !byId("pair").hidden, field = event.target.closest("input:not([type=checkbox]), select, textarea");
    if (inPair && event.key === "Escape") { back(); return; }
    if (field || (event.key === " " && event.target.closest("button, summary, input, a:not(.pair-card)"))) return;
    if (handle(event, inPair)) event.preventDefault();
  });
  function handle(event, inPair) {
    const { key } = event, pair = inPair ? last : sheet.current(), lower = key.toLowerCase();
    if (letters.checked && pair && (lower === "a" || lower === "r")) { if (inPair || event.target.closest("#sheet")) { marks.toggle(pair.scene, lower === "a" ? "accept" : "reject"); return true; } return false; }
    if (!inPair) return false;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (arrow && event.shiftKey) { viewer.nudge(2 * arrow[0], 2 * arrow[1]); return true; }
    if (arrow && arrow[0]) { step(arrow[0]); return true; }
    if (key === " ") { viewer.blink(); return true; }
    if (!letters.checked) return false;
    if (modes[lower]) { viewer.setMode(modes[lower]); return true; }
    if (/^[1-9]$/.test(key)) { viewer.setStage(Number(key) - 1); return true; }
    return false;
  }

  for (const [name, draw] of Object.entries(datasetFigures(data, go))) {
    const into = byId(`plot-${name}`);
    draw(into);
    saving.offer(into, name);
  }
  route();
})();
