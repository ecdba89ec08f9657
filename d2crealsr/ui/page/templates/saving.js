/* Figures as SVG files of their own: in light colours on white, with the legend below, whatever the page looks like. */
const saving = (() => {
  const { element, svg } = shell;
  const SHAPES = "path, rect, circle, ellipse, line, polygon, text, image";
  const INITIAL = { fill: "rgb(0, 0, 0)", "fill-opacity": "1", stroke: "none", "stroke-width": "1px", "stroke-dasharray": "none", opacity: "1", "text-anchor": "start", "image-rendering": "auto" };
  const FONTS = "'Noto Sans', 'DejaVu Sans', Helvetica, Arial, sans-serif";
  const NARROWEST = 300, USUAL = 640, LINE = 18, FONT = 12, SWATCH = 26;

  /* Put a link below a drawing. A page from disk may not read files, so that the file is made when it is asked for. */
  function offer(into, name, title = into.closest("section").querySelector("h3").textContent) {
    const drawing = into.querySelector(":scope > svg[role=img]");
    if (!drawing) return;
    const link = element("a", { class: "save", href: "#", download: `${name}.svg`, "aria-label": `Save as SVG: ${title}` }, "Save as SVG");
    link.addEventListener("click", () => {
      if (link.href.startsWith("blob:")) URL.revokeObjectURL(link.href);
      link.href = URL.createObjectURL(new Blob([standalone(drawing, into, title)], { type: "image/svg+xml" }));
    });
    into.append(link);
  }

  function standalone(drawing, into, title) {
    const root = document.documentElement, scheme = root.dataset.theme;
    root.dataset.theme = "light"; /* colours are read at once, so that nobody sees it */
    try { return new XMLSerializer().serializeToString(copied(drawing, into, title)); } finally { root.dataset.theme = scheme; }
  }

  function copied(drawing, into, title) {
    const { x, y, width, height } = drawing.viewBox.baseVal, shown = width < NARROWEST ? USUAL : width, unit = width / shown;
    const copy = drawing.cloneNode(true), from = drawing.querySelectorAll(SHAPES);
    copy.querySelectorAll(SHAPES).forEach((shape, i) => styled(shape, getComputedStyle(from[i]), unit));
    for (const words of copy.querySelectorAll("title")) words.remove();
    for (const group of copy.querySelectorAll("g")) group.removeAttribute("class");
    const lines = legend(into, x, y + height, unit), pad = 6 * unit, high = height + lines.length * LINE * unit + 2 * pad;
    const frame = { x: x - pad, y: y - pad, width: width + 2 * pad, height: high };
    for (const name of ["class", "role", "aria-label"]) copy.removeAttribute(name);
    copy.setAttribute("viewBox", Object.values(frame).join(" "));
    copy.setAttribute("width", (frame.width / unit).toFixed(0));
    copy.setAttribute("height", (frame.height / unit).toFixed(0));
    copy.setAttribute("font-family", FONTS);
    copy.prepend(svg("title", {}, title), svg("desc", {}, drawing.getAttribute("aria-label") ?? ""), svg("rect", { ...frame, fill: "#fff" }));
    copy.append(...lines);
    return copy;
  }

  /* The style of the page as attributes, of which only those that differ from their initial value are kept. */
  function styled(shape, style, unit) {
    const fixed = style.vectorEffect === "non-scaling-stroke";
    for (const name of ["class", "style", "vector-effect"]) shape.removeAttribute(name);
    for (const [name, initial] of Object.entries(INITIAL)) {
      const value = style.getPropertyValue(name);
      if (name === "stroke-width" && fixed) shape.setAttribute(name, parseFloat(value) * unit);
      else if (value === initial) shape.removeAttribute(name);
      else shape.setAttribute(name, value);
    }
    if (shape.localName === "text") shape.setAttribute("font-size", style.fontSize);
    if (style.fill === "none") shape.setAttribute("fill", "none");
  }

  /* The lines of the legend that stands below a drawing in the page: a sample of the line or dot, and words. */
  function legend(into, left, top, unit) {
    const rows = [...into.querySelectorAll(":scope > .legend > span, :scope > .legend tbody tr")];
    return rows.map((row, i) => {
      const group = svg("g", {}), middle = top + (i + 0.6) * LINE * unit, line = row.querySelector(".swatch path"), dot = row.querySelector("i");
      if (line) { const style = getComputedStyle(line); group.append(svg("path", { d: `M${left},${middle}h${SWATCH * unit}`, fill: "none", stroke: style.stroke, "stroke-width": parseFloat(style.strokeWidth) * unit, "stroke-dasharray": style.strokeDasharray })); }
      if (dot) group.append(svg("circle", { cx: left + SWATCH * unit / 2, cy: middle, r: 4.5 * unit, fill: getComputedStyle(dot).backgroundColor }));
      const words = row.dataset.words ?? [...(row.matches("tr") ? row.children : [row])].map((part) => part.textContent.trim()).join("  ");
      group.append(svg("text", { x: left + (line || dot ? SWATCH + 8 : 0) * unit, y: middle + 4 * unit, "font-size": FONT * unit }, words));
      return group;
    });
  }

  for (const into of document.querySelectorAll(".drawing")) offer(into, into.id);
  return { offer };
})();
