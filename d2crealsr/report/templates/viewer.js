/* LR and HR over each other: blink, slider, checkerboard, difference, loupe. */
const viewer = (() => {
  const { element } = shell;
  const byId = (id) => document.getElementById(id);
  const LOUPE = 8, CANVAS_WIDTH = 240, CANVAS_HEIGHT = 160, FINE = Math.min(3, Math.max(1, devicePixelRatio));
  let data = null, folder = "", stage = 0, mode = "blink", hrOnTop = false, timer = 0, at = [0.5, 0.5];
  let lr, hr, diff, sharp, clipped, edge, cross, canvases = [];

  function start() {
    [lr, hr, diff, sharp, clipped] = ["LR", "HR", "difference", "sharp HR", "clipped"].map((name) => element("img", { alt: "", draggable: "false", "data-layer": name }));
    [edge, cross] = [element("div", { class: "edge", hidden: true }), element("div", { class: "crosshair" })];
    byId("viewer").append(lr, hr, diff, sharp, clipped, edge, cross);
    canvases = ["LR", "HR at LR’s resolution", "HR, sharp"].map((name) => {
      const canvas = element("canvas", { width: CANVAS_WIDTH * FINE, height: CANVAS_HEIGHT * FINE, role: "img", "aria-label": `Loupe: ${name}` });
      byId("loupe").append(element("figure", {}, canvas, element("figcaption", {}, name)));
      return canvas;
    });
    for (const image of [lr, hr, sharp]) image.addEventListener("load", loupe);
    for (const button of document.querySelectorAll("[data-mode]")) button.addEventListener("click", () => setMode(button.dataset.mode));
    byId("auto").addEventListener("click", () => automatic(!timer));
    byId("slider").addEventListener("input", paint);
    byId("checker").addEventListener("input", paint);
    byId("clipped").addEventListener("change", paint);
    byId("viewer").addEventListener("pointermove", (event) => point(event, event.buttons === 1));
    byId("viewer").addEventListener("pointerdown", (event) => point(event, true));
    byId("viewer").addEventListener("click", () => { if (mode === "blink") blink(); });
  }

  function point(event, drag) {
    const box = byId("viewer").getBoundingClientRect();
    lookAt((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    if (drag && mode === "slider") { byId("slider").value = 100 * at[0]; paint(); }
  }
  function lookAt(x, y) { at = [x, y].map((v) => Math.min(1, Math.max(0, v))); loupe(); }
  const nudge = (dx, dy) => lookAt(at[0] + dx / (data?.width / data?.zoom || 100), at[1] + dy / (data?.height / data?.zoom || 100));

  function show(pair) {
    automatic(false);
    data = pair.views.length ? pair : null;
    byId("compare").hidden = !data;
    if (!data) return;
    folder = `files/${pair.key}/`;
    const box = byId("viewer");
    box.style.aspectRatio = `${data.width} / ${data.height}`;
    box.style.maxWidth = `calc(80vh * ${data.width / data.height})`;
    lr.src = folder + data.files.lr;
    sharp.src = folder + data.files.sharp;
    byId("clipped-label").hidden = !data.files.clipped;
    if (data.files.clipped) clipped.src = folder + data.files.clipped;
    hrOnTop = false;
    at = [0.5, 0.5];
    setStage(data.views.length - 1);
  }

  function setStage(i) {
    if (!data?.views[i]) return;
    stage = i;
    hr.src = folder + data.views[i].file;
    diff.src = folder + data.views[i].difference;
    byId("stages-table").querySelectorAll("input")[i].checked = true;
    document.querySelectorAll("#stages-table tbody tr").forEach((row, n) => row.classList.toggle("shown", n === i));
    paint();
  }
  function setMode(name) { mode = name; if (mode !== "blink") automatic(false); paint(); }
  function blink() {
    if (!data) return;
    if (mode !== "blink") mode = "blink";
    hrOnTop = !hrOnTop;
    paint();
  }
  function automatic(on) {
    clearInterval(timer);
    timer = on ? setInterval(blink, 600) : 0;
    byId("auto").setAttribute("aria-pressed", String(Boolean(on)));
  }

  function paint() {
    if (!data) return;
    const share = Number(byId("slider").value), squares = Number(byId("checker").value);
    hr.hidden = mode === "blink" ? !hrOnTop : !["slider", "checker"].includes(mode);
    diff.hidden = mode !== "difference";
    sharp.hidden = mode !== "sharp";
    clipped.hidden = !(byId("clipped").checked && data.files.clipped);
    edge.hidden = mode !== "slider";
    byId("viewer").classList.toggle("slides", mode === "slider");
    edge.style.left = `calc(${share}% - 1px)`;
    hr.style.clipPath = mode === "slider" ? `inset(0 0 0 ${share}%)` : "";
    const mask = mode === "checker" ? "repeating-conic-gradient(#000 0 25%, transparent 0 50%)" : "";
    hr.style.maskImage = mask;
    hr.style.maskSize = `${200 / squares}% ${200 / squares * data.width / data.height}%`;
    byId("slider-label").hidden = mode !== "slider";
    byId("checker-label").hidden = mode !== "checker";
    for (const button of document.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    const name = data.views[stage].name;
    byId("showing").textContent = { blink: hrOnTop ? `HR, ${name}` : "LR", slider: `LR left, HR (${name}) right of the line`, checker: `LR and HR (${name}) in turn`,
      difference: `HR (${name}) − LR: blue where HR is darker, orange where brighter, full colour at 10 % of the range`, sharp: "HR at its own sharpness" }[mode];
    loupe();
  }

  /* Eight CSS pixels of a canvas an LR pixel, around the point that is looked at. */
  function loupe() {
    if (!data) return;
    const wide = CANVAS_WIDTH / LOUPE / (data.width / data.zoom), high = CANVAS_HEIGHT / LOUPE / (data.height / data.zoom);
    const x = Math.min(Math.max(at[0] - wide / 2, 0), Math.max(1 - wide, 0)), y = Math.min(Math.max(at[1] - high / 2, 0), Math.max(1 - high, 0));
    [lr, hr, sharp].forEach((image, i) => {
      const context = canvases[i].getContext("2d");
      context.setTransform(FINE, 0, 0, FINE, 0, 0);
      context.clearRect(0, 0, CANVAS_WIDTH, CANVAS_HEIGHT);
      if (!image.complete || !image.naturalWidth) return;
      context.imageSmoothingQuality = "high";
      context.drawImage(image, x * image.naturalWidth, y * image.naturalHeight, wide * image.naturalWidth, high * image.naturalHeight, 0, 0, CANVAS_WIDTH, CANVAS_HEIGHT);
    });
    cross.style.left = `${100 * (x + wide / 2)}%`;
    cross.style.top = `${100 * (y + high / 2)}%`;
    cross.style.width = `${100 * wide}%`;
    cross.style.height = `${100 * high}%`;
    cross.style.margin = `-${50 * high * data.height / data.width}% 0 0 -${50 * wide}%`;
  }

  return { start, show, setStage, setMode, blink, nudge };
})();
