/* The figures of the whole dataset: a function each, by the name that words.py has for it. */
function datasetFigures(data, open) {
  const value = sheet.value, pairs = sheet.pairs();
  const drawn = (x, y) => pairs.map((pair) => ({ ...pair, x: value(x, pair.i), y: value(y, pair.i) }));
  const kept = (name) => pairs.map((pair) => value(name, pair.i)).filter((v) => v !== null && v !== undefined);
  const residual = { yLog: true, yLabel: "median residual, HR px", open };
  return {
    "residual-distribution": (into) => plots.cumulative(into, { series: [{ name: "p50", css: "s1", values: kept("residual_p50_hr_px") }, { name: "p95", css: "s2", values: kept("residual_p95_hr_px") }], xLabel: "residual, HR px", says: "Distribution of residuals over pairs." }),
    stages: (into) => plots.ladder(into, { pairs: pairs.map((pair) => ({ ...pair, stages: data.stages[pair.i] })).filter((pair) => pair.stages.length), yLabel: "median residual, HR px", says: "Median residual of each pair after each stage.", open }),
    geometry: (into) => plots.points(into, { pairs: drawn("scale_effective", "rotation_deg"), xLabel: "effective scale, HR px per LR px", yLabel: "rotation, degrees", says: "Effective scale and rotation.", open }),
    sharpness: (into) => plots.points(into, { ...residual, pairs: drawn("sharpness_ratio", "residual_p50_hr_px"), xLabel: "sharpness of HR over LR", says: "Sharpness ratio against residual." }),
    inliers: (into) => plots.points(into, { ...residual, pairs: drawn("n_inliers", "residual_p50_hr_px"), xLog: true, xLabel: "inliers", says: "Inliers against residual." }),
    spectrum: (into) => { const bins = data.spectrum_bins; plots.band(into, { rows: data.spectra.filter(Boolean), x: Array.from({ length: bins }, (_, i) => (i + 0.5) / bins / 2), xLabel: "cycles per LR px", yLabel: "HR over LR", says: "Ratio of amplitude spectra, HR over LR." }); },
  };
}
