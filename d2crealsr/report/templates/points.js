/* Corresponding points that a person clicks in both captures of a scene, as CSV scene,hr_x,hr_y,lr_x,lr_y. */
const points = (() => {
  const { element, saved, download } = shell;
  const byId = (id) => document.getElementById(id);
  const SIDES = ["hr", "lr"], FEWEST = 4, LARGEST_ZOOM = 16, STEP = 12, FINE_STEP = 1;
  let key = "", all = new Map(), scene = "", sizes = {}, panes = {};

  /* Clicks of a scene: [side, x, y] in the order in which they were set. Points that the folder has come first. */
  function start(data, scenes) {
    key = `d2crealsr-points-${data.id}`;
    let kept = {};
    try { kept = JSON.parse(saved.get(key) || "{}"); } catch { /* as if there were none */ }
    for (const [name, rows] of Object.entries(data.points)) all.set(name, rows.flatMap(([hx, hy, lx, ly]) => [["hr", hx, hy], ["lr", lx, ly]]));
    for (const [name, clicks] of Object.entries(kept)) if (scenes.includes(name)) all.set(name, clicks);
    byId("points-undo").addEventListener("click", undo);
    byId("points-clear").addEventListener("click", () => set([]));
    for (const button of document.querySelectorAll("[data-points-save]")) button.addEventListener("click", () => download("points.csv", csv(), "text/csv"));
    tell();
  }
  const clicks = () => all.get(scene) || [];
  const of = (name, side) => (all.get(name) || []).filter(([where]) => where === side).map(([, x, y]) => [x, y]);
  const complete = (name) => Math.min(...SIDES.map((side) => of(name, side).length));
  const ready = () => [...all.keys()].filter((name) => complete(name) >= FEWEST).sort();

  function csv() {
    const rows = ready().flatMap((name) => {
      const [hr, lr] = SIDES.map((side) => of(name, side));
      return hr.slice(0, complete(name)).map((p, i) => [marks.quoted(name), ...p, ...lr[i]].join(","));
    });
    return ["scene,hr_x,hr_y,lr_x,lr_y", ...rows].join("\n") + "\n";
  }

  function set(list) {
    if (list.length) all.set(scene, list); else all.delete(scene);
    saved.set(key, JSON.stringify(Object.fromEntries(all)));
    paint();
    tell();
  }
  const undo = () => set(clicks().slice(0, -1));
  function put(side, fx, fy) {
    const place = [fx * sizes[side].width - 0.5, fy * sizes[side].height - 0.5].map((v) => Math.round(10 * v) / 10);
    set([...clicks(), [side, ...place]]);
  }

  /* Number of scenes that are ready, and what the scene on the screen needs next. */
  function tell() {
    const names = ready();
    for (const button of document.querySelectorAll("[data-points-save]")) button.disabled = !names.length;
    byId("points-ready").textContent = names.length ? `Points: ${names.length} ${names.length === 1 ? "scene" : "scenes"} ready.` : "";
    byId("points-bar").hidden = !names.length;
    byId("points-undo").disabled = byId("points-clear").disabled = !clicks().length;
    const [hr, lr] = SIDES.map((side) => of(scene, side).length), pairs = Math.min(hr, lr);
    const next = hr === lr ? `Set point ${hr + 1} in either capture.` : `Set point ${pairs + 1} in ${hr < lr ? "HR" : "LR"}.`;
    byId("points-status").textContent = `${pairs} ${pairs === 1 ? "pair" : "pairs"}. ${pairs < FEWEST ? `At least ${FEWEST} are needed. ` : "The scene is ready. "}${next}`;
    byId("points-text").textContent = csv();
    byId("points-copy").dataset.copy = csv();
  }

  function paint() {
    for (const side of SIDES) {
      panes[side]?.dots.replaceChildren(...of(scene, side).map(([x, y], i) => {
        const dot = element("span", { class: "dot" }, element("span", {}, String(i + 1)));
        dot.style.left = `${100 * (x + 0.5) / sizes[side].width}%`;
        dot.style.top = `${100 * (y + 0.5) / sizes[side].height}%`;
        return dot;
      }));
    }
  }

  function show(pair, data) {
    const found = data?.clicks;
    byId("points").hidden = !found;
    scene = pair.scene;
    panes = {};
    if (!found) return;
    sizes = { hr: found.hr, lr: found.lr };
    byId("points-panes").replaceChildren(...SIDES.map((side) => pane(side, `files/${data.key}/${found[side].file}`)));
    panes.lr.enlarge(sheet.value("scale", pair.i) * sizes.lr.width / sizes.hr.width / 2); /* HR fills half of what is shown */
    paint();
    tell();
  }

  /* One capture that can be enlarged, with a cross that the arrow keys move. */
  function pane(side, file) {
    const name = side.toUpperCase(), at = { x: 0.5, y: 0.5, zoom: 1 };
    const cross = element("span", { class: "aim" }), dots = element("span", {});
    const plate = element("div", { class: "plate", tabindex: "0", role: "group", "aria-label": `${name} capture. Arrows move the cross, with Shift by less; Enter sets a point, plus and minus enlarge and reduce, Backspace takes back the last point` },
      element("img", { src: file, alt: "", draggable: "false" }), dots, cross);
    const frame = element("div", { class: "pane" }, plate);
    frame.style.aspectRatio = `${sizes[side].width} / ${sizes[side].height}`;
    const enlarge = (factor) => {
      at.zoom = Math.min(LARGEST_ZOOM, Math.max(1, at.zoom * factor));
      plate.style.width = `${100 * at.zoom}%`;
      aim(at.x, at.y);
      frame.scrollTo(at.x * plate.offsetWidth - frame.clientWidth / 2, at.y * plate.offsetHeight - frame.clientHeight / 2);
    };
    function aim(x, y) {
      [at.x, at.y] = [x, y].map((v) => Math.min(1, Math.max(0, v)));
      cross.style.left = `${100 * at.x}%`;
      cross.style.top = `${100 * at.y}%`;
    }
    function follow() {
      const [x, y] = [at.x * plate.offsetWidth, at.y * plate.offsetHeight], edge = 24;
      frame.scrollLeft = Math.min(Math.max(frame.scrollLeft, x - frame.clientWidth + edge), x - edge);
      frame.scrollTop = Math.min(Math.max(frame.scrollTop, y - frame.clientHeight + edge), y - edge);
    }
    plate.addEventListener("click", (event) => {
      const box = plate.getBoundingClientRect();
      aim((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
      put(side, at.x, at.y);
    });
    plate.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      const step = event.shiftKey ? FINE_STEP : STEP;
      if (arrow) { aim(at.x + step * arrow[0] / plate.offsetWidth, at.y + step * arrow[1] / plate.offsetHeight); follow(); }
      else if (event.key === "Enter") put(side, at.x, at.y);
      else if (event.key === "+") enlarge(2);
      else if (event.key === "-") enlarge(0.5);
      else if (event.key === "Backspace") undo();
      else return;
      event.preventDefault();
    });
    aim(at.x, at.y);
    panes[side] = { dots, enlarge };
    const button = (text, says, factor) => element("button", { type: "button", "aria-label": says, onclick: () => enlarge(factor) }, text);
    return element("figure", {}, element("figcaption", { class: "bar" }, `${name} capture, ${sizes[side].width} × ${sizes[side].height}`,
      element("span", { class: "group" }, button("−", `Reduce ${name}`, 0.5), button("+", `Enlarge ${name}`, 2))), frame);
  }

  return { start, show, csv };
})();
