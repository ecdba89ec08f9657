"use strict";
/* What every report's page can do: colours, copying, data, text to elements, saved choices. */
const shell = (() => {
  /* Private windows and some browsers' file pages have no storage: choices are then forgotten, nothing breaks. */
  const saved = {
    get(key) { try { return localStorage.getItem(key); } catch { return null; } },
    set(key, value) { try { localStorage.setItem(key, value); return true; } catch { return false; } },
  };

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = document.getElementById("theme");
  const paint = () => { document.documentElement.dataset.theme = theme.value || (dark.matches ? "dark" : "light"); };
  theme.value = saved.get("d2crealsr-theme") || "";
  theme.addEventListener("change", () => { saved.set("d2crealsr-theme", theme.value); paint(); });
  dark.addEventListener("change", paint);
  paint();

  /* An element with attributes and children. Text stays text, whatever is in it. */
  function element(name, attributes = {}, ...children) {
    return build(document.createElement(name), attributes, children);
  }
  function svg(name, attributes = {}, ...children) {
    return build(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
  }
  function build(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  /* The JSON of <script type="application/json" id=…>. */
  const data = (id) => JSON.parse(document.getElementById(id).textContent);

  /* A number for reading: so many significant digits, an en dash where there is none. */
  function number(value, digits = 3) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    if (value === 0) return "0";
    const decimals = Math.max(digits - 1 - Math.floor(Math.log10(Math.abs(value))), 0);
    return value.toFixed(Math.min(decimals, 12)).replace("-", "−");
  }

  function download(name, text, type) {
    const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(button.parentElement.querySelector("code")); button.textContent = "Selected"; }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  return { saved, element, svg, data, number, download };
})();
