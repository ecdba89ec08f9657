/* One pair: verdict, pictures, residual field, brightness, captures, every number. */
const pairView = (() => {
  const { element, svg, number } = shell;
  const byId = (id) => document.getElementById(id);
  const loaded = new Map();
  let reasons = {}, shapes = {};

  /* Data of a pair lie in a script of its own: pages from disk may load scripts, but not read files. */
  window.reportPair = (data) => { loaded.get(data.key)?.take(data); };
  function load(key) {
    if (!loaded.has(key)) {
      const entry = {};
      entry.data = new Promise((take, fail) => { entry.take = take; entry.fail = fail; });
      loaded.set(key, entry);
      document.head.append(element("script", { src: `files/${key}/pair.js`, onerror: () => { loaded.delete(key); entry.fail(new Error("its file cannot be read")); } }));
    }
    return loaded.get(key).data;
  }

  function start(data) { reasons = data.reasons; shapes = data.shapes; viewer.start(); }

  const cell = (pair, name) => sheet.value(name, pair.i);
  const stat = (label, value, unit = "") => element("div", { class: "stat" }, element("dt", {}, label), element("dd", {}, element("span", { class: "value" }, value), unit ? element("span", { class: "unit" }, ` ${unit}`) : null));

  async function show(pair) {
    byId("pair-title").textContent = pair.scene;
    head(pair);
    mark(pair);
    for (const id of ["pair-notes", "stages-table", "field", "photometry", "captures"]) byId(id).replaceChildren();
    numbers(pair);
    points.show(pair);
    let data;
    try { data = await load(pair.key); } catch (error) {
      viewer.show({ views: [] });
      byId("pair-notes").replaceChildren(element("p", { class: "note" }, `The pictures of this pair are missing: ${error.message}. Keep the folder files beside the page.`));
      return;
    }
    if (current !== pair.key) return;
    byId("pair-notes").replaceChildren(...data.notes.map((note) => element("p", { class: "note" }, `Note: ${note}.`)));
    points.show(pair, data);
    stages(pair, data);
    viewer.show(data);
    blinkFile(pair, data);
    field(pair, data);
    photometry(pair, data);
    captures(data);
  }
  let current = "";
  const open = (pair) => { current = pair.key; return show(pair); };

  function head(pair) {
    const kind = { accepted: "good", rejected: "warn", failed: "bad" }[pair.status];
    const by = cell(pair, "accepted_by") === "reviewer" ? ` by a reviewer${pair.reasons.length ? ", against the checks" : ""}` : "";
    const message = cell(pair, "message");
    const verdict = pair.reasons.length ? element("div", { class: `verdict ${kind}` },
      ...pair.reasons.map((code) => element("p", {}, element("strong", {}, code), `: ${reasons[code]?.means ?? ""} `, element("em", {}, reasons[code]?.helps ?? ""))),
      message ? element("p", { class: "soft" }, message) : null) : null;
    byId("pair-head").replaceChildren(element("p", {}, element("span", { class: `tag ${kind}` }, pair.status), by), ...(verdict ? [verdict] : []),
      element("dl", { class: "stats" },
        stat("Residual, median", number(cell(pair, "residual_p50_hr_px")), "HR px"), stat("Residual, p95", number(cell(pair, "residual_p95_hr_px")), "HR px"),
        stat("Predicted error", number(cell(pair, "sigma_hr_px")), "HR px"), stat("Scale", number(cell(pair, "scale_effective"), 4)), stat("Inliers", String(cell(pair, "n_inliers") ?? "–")),
        stat("Sharpness HR / LR", number(cell(pair, "sharpness_ratio"))), stat("Detail up to ×", number(cell(pair, "detail_scale"))),
        stat("Colours differ by", number(cell(pair, "colour_difference")), "CIELAB"),
        stat("Clipped, LR", percent(cell(pair, "clipped_fraction"))), stat("Clipped, HR", percent(cell(pair, "hr_clipped_fraction")))));
  }
  const percent = (share) => (share === null || share === undefined ? "–" : `${number(100 * share)} %`);

  function mark(pair) {
    const { decision, note } = marks.get(pair.scene);
    for (const button of document.querySelectorAll("[data-mark]")) button.setAttribute("aria-pressed", String(button.dataset.mark === decision));
    if (document.activeElement !== byId("note")) byId("note").value = note;
  }

  function stages(pair, data) {
    const heads = ["HR as of", "Residual p50, HR px", "Moved by, HR px", "Inliers", "zncc", "Mean difference"];
    const rows = data.views.map((view, i) => {
      const s = view.stage || {};
      const final = view.name.startsWith("final");
      const residual = final ? cell(pair, "residual_p50_hr_px") : s.residual_p50_hr_px;
      const zncc = final ? cell(pair, "zncc") : s.zncc;
      return element("tr", {}, element("th", { scope: "row" }, element("label", {}, element("input", { type: "radio", name: "stage", onchange: () => viewer.setStage(i) }), view.name)), ...[number(residual), number(s.update_mean_hr_px), s.n_inliers ? String(s.n_inliers) : "–", number(zncc, 4), number(view.mean_difference)].map((text) => element("td", { class: "number" }, text)));
    });
    byId("stages-table").replaceChildren(rows.length
      ? element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((text, i) => element("th", { scope: "col", class: i ? "number" : null }, text)))), element("tbody", {}, ...rows))
      : element("p", { class: "soft" }, "It is not known where HR lies, so it cannot be shown."));
  }

  function blinkFile(pair, data) {
    const link = byId("blink-file");
    link.hidden = !data.files.blink;
    if (!data.files.blink) return;
    link.href = `files/${data.key}/${data.files.blink}`;
    link.download = `blink-${pair.scene}.webp`;
  }

  function field(pair, data) {
    const into = byId("field"), blocks = data.residuals, crop = data.captures.crop;
    if (!blocks.length || !crop) { into.replaceChildren(element("p", { class: "soft" }, "No residuals were measured.")); return; }
    const name = cell(pair, "residual_shape"), shape = shapes[name];
    const spacing = (i) => Math.min(...[...new Set(blocks.map((b) => b[i]))].sort((a, b) => a - b).map((v, n, all) => (n ? v - all[n - 1] : Infinity)));
    const dx = Math.min(spacing(0), crop[2]), dy = Math.min(spacing(1), crop[3]);
    const lengths = blocks.map((b) => Math.hypot(b[2], b[3])), usable = lengths.filter((_, i) => blocks[i][4] > 0.05);
    const top = plots.quantile(usable.length ? usable : lengths, 0.95) || 1, factor = 0.9 * Math.min(dx, dy) / top;
    const largest = lengths.indexOf(Math.max(...(usable.length ? usable : lengths)));
    const says = `Residual field of ${blocks.length} blocks, arrows and colours.${name ? ` Shape: ${name}.` : ""} Median ${number(plots.quantile(usable, 0.5))}, 95 % below ${number(top)} HR px; the largest, ${number(lengths[largest])}, lies ${where(blocks[largest], crop)}.`;
    const drawing = svg("svg", { viewBox: `${crop[0] - 1} ${crop[1] - 1} ${crop[2] + 2} ${crop[3] + 2}`, role: "img", "aria-label": says });
    drawing.append(svg("rect", { class: "axis", x: crop[0], y: crop[1], width: crop[2], height: crop[3], "vector-effect": "non-scaling-stroke" }));
    blocks.forEach(([x, y, u, v, weight], i) => drawing.append(svg("rect", { class: "cell", x: x - dx / 2, y: y - dy / 2, width: dx, height: dy, "fill-opacity": (0.8 * Math.min(lengths[i] / top, 1) * (0.15 + 0.85 * weight)).toFixed(3) },
      svg("title", {}, `${number(lengths[i])} HR px (x ${number(u)}, y ${number(v)}), weight ${number(weight, 2)}`))));
    blocks.forEach(([x, y, u, v, weight], i) => {
      const shrink = Math.min(1, 1.6 * top / lengths[i]) * factor, ex = x + u * shrink, ey = y + v * shrink, angle = Math.atan2(v, u), tip = 0.28 * Math.min(Math.hypot(ex - x, ey - y), dx);
      const barb = (turn) => `M${ex.toFixed(2)},${ey.toFixed(2)}l${(-tip * Math.cos(angle + turn)).toFixed(2)},${(-tip * Math.sin(angle + turn)).toFixed(2)}`;
      drawing.append(svg("path", { class: "arrow", opacity: (0.2 + 0.8 * weight).toFixed(2), d: `M${x.toFixed(2)},${y.toFixed(2)}L${ex.toFixed(2)},${ey.toFixed(2)}${barb(0.5)}${barb(-0.5)}` }));
    });
    const words = shape ? element("p", {}, "Shape: ", element("strong", {}, name), `. ${sentence(shape.looks)} ${sentence(shape.means)} `, element("em", {}, `What to do: ${shape.remedy}.`))
      : element("p", { class: "soft" }, name === undefined ? "These pairs were made before shapes were named; run align again to name them." : "The shape has no name: too few blocks have enough texture.");
    into.replaceChildren(words, drawing, element("div", { class: "legend" }, element("span", { "data-words": `full colour: ${number(top)} HR px` }, "0", element("span", { class: "ramp" }), `${number(top)} HR px`),
      element("span", {}, `arrows are drawn ${number(factor * sheet.value("scale", pair.i), 2)} times too long`)));
    saving.offer(into, `residual-field-${pair.scene}`);
  }
  const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
  function where([x, y], crop) {
    const third = (v, low, size, names) => names[Math.min(2, Math.max(0, Math.floor(3 * (v - low) / size)))];
    const rows = third(y, crop[1], crop[3], ["at the top", "in the middle", "at the bottom"]), columns = third(x, crop[0], crop[2], ["left", "", "right"]);
    return `${rows} ${columns}`.trim();
  }

  function photometry(pair, data) {
    const into = byId("photometry"), found = data.histograms;
    if (!found) { into.replaceChildren(element("p", { class: "soft" }, "Brightness was not compared.")); return; }
    const shot = (when) => {
      const figure = element("figure", {});
      plots.joint(figure, { picture: found[when], xLabel: "brightness of HR", yLabel: "brightness of LR", says: `Joint histogram of brightness ${when} matching: HR to the right, LR upwards; on the line they are equal` });
      saving.offer(figure, `brightness-${when}-${pair.scene}`, `Brightness ${when} matching`);
      figure.prepend(element("figcaption", {}, `${when} matching`));
      return figure;
    };
    const pictures = element("div", { class: "histograms" }, ...["before", "after"].filter((when) => found[when]).map(shot));
    const channel = (name) => ["r", "g", "b"].map((c) => number(cell(pair, `${name}_${c}`), 4));
    const rows = [["gain", ...channel("gain")], ["offset", ...channel("offset")]];
    const table = element("table", {}, element("thead", {}, element("tr", {}, ...["applied, linear light", "R", "G", "B"].map((text, i) => element("th", { scope: "col", class: i ? "number" : null }, text)))),
      element("tbody", {}, ...rows.map(([name, ...values]) => element("tr", {}, element("th", { scope: "row" }, name), ...values.map((v) => element("td", { class: "number" }, v))))));
    const facts = element("p", {}, `Brightness error ${number(cell(pair, "brightness_error_before"))} before, ${number(cell(pair, "brightness_error_after"))} after (share of full range). Clipped in LR: ${percent(cell(pair, "clipped_fraction"))}, in HR: ${percent(cell(pair, "hr_clipped_fraction"))}. Colours differ by ${number(cell(pair, "colour_difference"))} CIELAB units in a* and b*, ${percent(cell(pair, "colour_ratio"))} of their spread. Tone curve: ${cell(pair, "tone") || "–"}.`);
    into.replaceChildren(pictures, table, facts, ...(data.field ? [illumination(pair, data.field)] : []));
  }

  function illumination(pair, values) {
    const every = values.flat(), low = Math.min(...every), high = Math.max(...every);
    const says = `Illumination field over the crop: HR is multiplied by ${number(low, 4)} to ${number(high, 4)}.`;
    const drawing = svg("svg", { viewBox: `0 0 ${values[0].length} ${values.length}`, role: "img", "aria-label": says });
    values.forEach((line, y) => line.forEach((v, x) => drawing.append(svg("rect", { class: "cell", x, y, width: 1, height: 1, "fill-opacity": (0.05 + 0.8 * (v - low) / (high - low || 1)).toFixed(3) }, svg("title", {}, number(v, 4))))));
    const into = element("details", {}, element("summary", {}, `Illumination field: ${number(low, 4)} to ${number(high, 4)}`), drawing, element("p", { class: "soft small" }, says));
    saving.offer(into, `illumination-${pair.scene}`, "Illumination field");
    return into;
  }

  function captures(data) {
    const folder = `files/${data.key}/`, { hr, lr, outline, crop, place } = data.captures, shots = [];
    if (lr) {
      const size = { width: lr.width, height: lr.height };
      const drawing = svg("svg", { viewBox: `0 0 ${lr.width} ${lr.height}`, role: "img", "aria-label": `LR capture, ${lr.width} by ${lr.height} pixels${outline ? "; the outline is where HR lies, the dashed one what is published" : ""}` }, svg("image", { href: folder + lr.file, ...size }));
      if (outline) for (const css of ["outline under", "outline"]) drawing.append(svg("polygon", { class: css, points: outline.map((p) => p.join(",")).join(" ") }));
      if (crop) for (const css of ["outline under crop", "outline crop"]) drawing.append(svg("rect", { class: css, x: crop[0], y: crop[1], width: crop[2], height: crop[3] }));
      if (place) {
        const around = lr.width / 80;
        for (const css of ["outline under", "outline"]) drawing.append(svg("ellipse", { class: css, cx: place[0] + place[2] / 2, cy: place[1] + place[3] / 2, rx: place[2] / 2 + around, ry: place[3] / 2 + around }));
      }
      shots.push(element("figure", {}, drawing, element("figcaption", {}, `LR capture, ${lr.width} × ${lr.height}${outline ? "; solid: the HR frame, dashed: the crop" : ""}${place ? "; in the ellipse LR shows something else than HR" : ""}`)));
    }
    if (hr) shots.push(element("figure", {}, element("img", { src: folder + hr.file, alt: `HR capture, ${hr.width} by ${hr.height} pixels`, loading: "lazy" }), element("figcaption", {}, `HR capture, ${hr.width} × ${hr.height}`)));
    byId("captures").replaceChildren(shots.length ? element("div", { class: "captures" }, ...shots) : element("p", { class: "soft" }, "The captures were not found."));
  }

  function numbers(pair) {
    const rows = [...sheet.columns().values()].map((column) => {
      const v = column.values[pair.i];
      return element("tr", {}, element("th", { scope: "row" }, element("code", {}, column.name), element("br"), element("span", { class: "small" }, column.meaning)), element("td", {}, element("code", {}, v === null || v === "" ? "–" : String(v)), column.unit ? ` ${column.unit}` : ""));
    });
    byId("numbers").replaceChildren(element("table", { class: "facts" }, element("tbody", {}, ...rows)));
  }

  return { start, open, mark, close: () => { current = ""; }, current: () => current };
})();
