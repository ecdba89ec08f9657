/* A reviewer's marks by scene, kept in this browser, exported and read as CSV scene,decision,note. */
const marks = (() => {
  const { saved, download } = shell;
  let key = "", known = new Set(), all = new Map();
  const listeners = [];

  function open(id, scenes) {
    key = `d2crealsr-marks-${id}`;
    known = new Set(scenes);
    try { all = new Map(Object.entries(JSON.parse(saved.get(key) || "{}")).filter(([scene]) => known.has(scene))); } catch { all = new Map(); }
  }
  const get = (scene) => all.get(scene) || { decision: "", note: "" };
  function set(scene, decision, note) {
    if (decision || note) all.set(scene, { decision, note });
    else all.delete(scene);
    saved.set(key, JSON.stringify(Object.fromEntries(all)));
    listeners.forEach((listener) => listener(scene));
  }
  /* The same decision again takes it back. */
  const toggle = (scene, decision) => set(scene, get(scene).decision === decision ? "" : decision, get(scene).note);
  const count = (decision) => [...all.values()].filter((mark) => mark.decision === decision).length;

  const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  function csv() {
    const rows = [...all].filter(([, mark]) => mark.decision).sort(([a], [b]) => (a < b ? -1 : 1));
    return ["scene,decision,note", ...rows.map(([scene, mark]) => [scene, mark.decision, mark.note.replace(/\s+/g, " ")].map(quoted).join(","))].join("\n") + "\n";
  }

  /* Rows of a CSV text, quotes and line ends in cells included. */
  function parse(text) {
    const rows = [[]];
    const pattern = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|$)/gy;
    for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
      rows.at(-1).push(match[1] === undefined ? match[2] : match[1].replaceAll('""', '"'));
      if (pattern.lastIndex >= text.length) break;
      if (match[3] !== ",") rows.push([]);
    }
    return rows.filter((row) => row.some((cell) => cell));
  }
  function load(text) {
    const [header = [], ...rows] = parse(text.replace(/^\ufeff/, ""));
    const place = ["scene", "decision", "note"].map((name) => header.indexOf(name));
    if (place[0] < 0 || place[1] < 0) return `The file has the columns ${header.join(",") || "(none)"}; expected scene,decision,note.`;
    let taken = 0, left = 0;
    for (const row of rows) {
      const [scene, decision, note] = place.map((i) => row[i] ?? "");
      if (!known.has(scene) || !["accept", "reject"].includes(decision)) { left++; continue; }
      set(scene, decision, note);
      taken++;
    }
    return `${taken} marks read${left ? `, ${left} rows left out (another scene or decision)` : ""}.`;
  }
  function clear() { for (const scene of [...all.keys()]) set(scene, "", ""); }

  return { open, get, set, toggle, count, csv, quoted, load, clear, save: () => download("decisions.csv", csv(), "text/csv"), onChange: (listener) => listeners.push(listener) };
})();
