/* Small plots as SVG that follow the colours of the page. Every plot says in words what it shows. */
const plots = (() => {
  const { svg, element, number } = shell;
  const WIDTH = 440, HEIGHT = 270, left = 52, right = 12, top = 10, bottom = 42;

  function quantile(values, share) {
    const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
    if (!sorted.length) return NaN;
    const place = (sorted.length - 1) * share, low = Math.floor(place);
    return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (place - low);
  }

  function axis(values, { log = false, from = null, to = null } = {}) {
    const known = values.filter((v) => Number.isFinite(v) && (!log || v > 0));
    let low = from ?? Math.min(...known), high = to ?? Math.max(...known);
    if (!known.length) [low, high] = log ? [0.1, 1] : [0, 1];
    if (log) {
      low = 10 ** (Math.floor(Math.log10(low) * 3 - 1e-9) / 3);
      high = 10 ** (Math.ceil(Math.log10(high) * 3 + 1e-9) / 3);
      if (low === high) high = low * 10;
      const ticks = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
        for (const step of high / low > 200 ? [1] : [1, 2, 5]) {
          const tick = step * 10 ** power;
          if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
        }
      }
      return { ticks, at: (v) => (Math.log(v) - Math.log(low)) / (Math.log(high) - Math.log(low)) };
    }
    const spread = high - low || Math.abs(high) || 1;
    if (from === null) low -= spread * 0.06;
    if (to === null) high += spread * 0.06;
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((s) => s * power).find((s) => s >= rough);
    const ticks = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) ticks.push(Math.abs(tick) < step / 1e6 ? 0 : tick);
    return { ticks, at: (v) => (v - low) / (high - low) };
  }

  const label = (tick) => String(Number(tick.toPrecision(6))).replace("-", "−");

  /* A frame with axes; returns the drawing and functions from values to places. */
  function frame(into, { x, y, xLabel, yLabel, xTicks, says, width = WIDTH, height = HEIGHT }) {
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": says });
    const px = (v) => left + x.at(v) * (width - left - right), py = (v) => height - bottom - y.at(v) * (height - top - bottom);
    for (const tick of y.ticks) {
      drawing.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: py(tick), y2: py(tick) }));
      drawing.append(svg("text", { class: "soft-text", x: left - 6, y: py(tick) + 4, "text-anchor": "end" }, label(tick)));
    }
    for (const [place, text] of xTicks ?? x.ticks.map((tick) => [tick, label(tick)])) {
      drawing.append(svg("line", { class: "grid", x1: px(place), x2: px(place), y1: top, y2: height - bottom }));
      drawing.append(svg("text", { class: "soft-text", x: px(place), y: height - bottom + 16, "text-anchor": "middle" }, text));
    }
    drawing.append(svg("path", { class: "axis", d: `M${left},${top}V${height - bottom}H${width - right}` }));
    drawing.append(svg("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, xLabel));
    drawing.append(svg("text", { transform: `translate(13 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, yLabel));
    into.replaceChildren(drawing);
    return { drawing, px, py };
  }

  const path = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)},${b.toFixed(1)}`).join("");

  /* Pairs as points; the accepted are discs, the others squares. */
  function points(into, { pairs, xLog, yLog, xLabel, yLabel, says, open }) {
    const known = pairs.filter((p) => Number.isFinite(p.x) && Number.isFinite(p.y) && (!xLog || p.x > 0) && (!yLog || p.y > 0));
    if (!known.length) return nothing(into);
    const x = axis(known.map((p) => p.x), { log: xLog }), y = axis(known.map((p) => p.y), { log: yLog });
    const { drawing, px, py } = frame(into, { x, y, xLabel, yLabel, says: `${says} ${known.length} pairs. ${spread(xLabel, known.map((p) => p.x))} ${spread(yLabel, known.map((p) => p.y))}` });
    for (const pair of known) {
      const kept = pair.status === "accepted";
      const at = kept ? { cx: px(pair.x), cy: py(pair.y), r: 4.5 } : { x: px(pair.x) - 4, y: py(pair.y) - 4, width: 8, height: 8 };
      drawing.append(svg(kept ? "circle" : "rect", { ...at, class: `mark point ${kept ? "s1" : "s2"}`, onclick: () => open(pair.key) },
        svg("title", {}, `${pair.scene}: ${number(pair.x)}, ${number(pair.y)}`)));
    }
    into.append(element("div", { class: "legend" }, element("span", { class: "s1" }, element("i"), "kept"), element("span", { class: "s2" }, element("i"), "not kept")));
  }

  const spread = (name, values) => `${name}: median ${number(quantile(values, 0.5))}, 5 % below ${number(quantile(values, 0.05))}, 5 % above ${number(quantile(values, 0.95))}.`;

  function cumulative(into, { series, xLabel, says }) {
    const every = series.flatMap((s) => s.values);
    if (!every.length) return nothing(into);
    const { drawing, px, py } = frame(into, { x: axis(every, { log: true }), y: axis([0, 100], { from: 0, to: 100 }), xLabel, yLabel: "pairs below, %",
      says: `${says} ${series.map((s) => spread(s.name, s.values)).join(" ")}` });
    for (const { values, css } of series) {
      const sorted = values.filter((v) => v > 0).sort((a, b) => a - b);
      const steps = sorted.flatMap((v, i) => [[px(v), py(100 * i / sorted.length)], [px(v), py(100 * (i + 1) / sorted.length)]]);
      drawing.append(svg("path", { class: `curve ${css}`, d: path(steps) }));
    }
    into.append(element("div", { class: "legend" }, ...series.map((s) => element("span", { class: s.css }, element("i"), `${s.name}: median ${number(quantile(s.values, 0.5))}, 95 % below ${number(quantile(s.values, 0.95))}`))));
  }

  /* One faint line a pair, the median strong. */
  function ladder(into, { pairs, yLabel, says, open }) {
    const names = [...new Set(pairs.flatMap((p) => p.stages.map(([name]) => name)))];
    const order = (name) => (name === "rough" ? 0 : name === "direct" ? 1e6 : Number(name.split(" ")[1]));
    names.sort((a, b) => order(a) - order(b));
    const every = pairs.flatMap((p) => p.stages.map(([, value]) => value)).filter((v) => v > 0);
    if (!every.length) return nothing(into);
    const medians = names.map((name) => quantile(pairs.flatMap((p) => p.stages.filter(([n]) => n === name).map(([, v]) => v)), 0.5));
    const { drawing, px, py } = frame(into, { x: axis([0, names.length - 1]), y: axis(every, { log: true }), xTicks: names.map((name, i) => [i, name]), xLabel: "stage", yLabel,
      says: `${says} Medians: ${names.map((name, i) => `${name} ${number(medians[i])}`).join(", ")}.` });
    for (const pair of pairs) {
      const line = pair.stages.filter(([, v]) => v > 0).map(([name, v]) => [px(names.indexOf(name)), py(v)]);
      drawing.append(svg("path", { class: `faint ${pair.status === "accepted" ? "s1" : "s2"}`, d: path(line), onclick: () => open(pair.key) }, svg("title", {}, pair.scene)));
    }
    drawing.append(svg("path", { class: "curve s6", "stroke-width": 3, d: path(medians.map((v, i) => [px(i), py(v)])) }));
    medians.forEach((v, i) => drawing.append(svg("circle", { class: "mark s6", cx: px(i), cy: py(v), r: 4 })));
    into.append(element("div", { class: "legend" }, element("span", {}, `medians: ${names.map((name, i) => `${name} ${number(medians[i])}`).join(", ")}`)));
  }

  function band(into, { rows, x, xLabel, yLabel, says }) {
    if (!rows.length) return nothing(into);
    const at = (share) => x.map((_, i) => quantile(rows.map((row) => row[i]).filter((v) => v !== null), share));
    const [low, middle, high] = [at(0.1), at(0.5), at(0.9)];
    const { drawing, px, py } = frame(into, { x: axis(x, { from: 0, to: 0.5 }), y: axis([...low, ...high, 1]), xLabel, yLabel,
      says: `${says} Median: ${number(middle[0])} at the lowest frequency, ${number(middle[Math.floor(x.length / 2)])} at half of LR's limit, ${number(middle[x.length - 1])} at the limit.` });
    const up = x.map((v, i) => [px(v), py(high[i])]), down = x.map((v, i) => [px(v), py(low[i])]).reverse();
    drawing.append(svg("path", { class: "area s1", d: path([...up, ...down]) + "Z" }), svg("line", { class: "axis", x1: px(0), x2: px(0.5), y1: py(1), y2: py(1) }));
    drawing.append(svg("path", { class: "curve s1", d: path(x.map((v, i) => [px(v), py(middle[i])])) }));
  }

  /* A joint histogram, given as a picture of the square from (0, 0) to (1, 1), and the line on which both are equal. */
  function joint(into, { picture, xLabel, yLabel, says }) {
    const whole = axis([0, 1], { from: 0, to: 1 }), side = 270;
    const { drawing, px, py } = frame(into, { x: whole, y: whole, xLabel, yLabel, says, width: side + left + right, height: side + top + bottom });
    drawing.append(svg("image", { class: "pixels", href: picture, x: px(0), y: py(1), width: px(1) - px(0), height: py(0) - py(1), preserveAspectRatio: "none" }));
    drawing.append(svg("path", { class: "axis", d: path([[px(0), py(0)], [px(1), py(1)]]) }));
  }

  const nothing = (into) => into.replaceChildren(element("p", { class: "soft" }, "No pair has these numbers."));

  return { points, cumulative, ladder, band, joint, quantile };
})();
