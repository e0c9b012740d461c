"use strict";
// Drawing on a canvas in the colours of the theme.
window.LpwCanvas = (() => {
  const N_BINS = 42;
  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  function fitCanvas(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const { width, height } = canvas.getBoundingClientRect();
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.max(1, Math.round(height * ratio));
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    return { pen, width, height };
  }

  // How the values are spread over [low, high]; the bins from `from` to `to` stand out.
  function drawHistogram(canvas, values, { low, high, log, from, to }) {
    const { pen, width, height } = fitCanvas(canvas);
    const bins = new Int32Array(N_BINS);
    const scale = log ? Math.log : Number;
    const span = scale(high) - scale(low) || 1;
    const slot = (value) =>
      Math.min(N_BINS - 1, Math.floor(((scale(value) - scale(low)) / span) * N_BINS));
    for (const value of values) if (value !== null) bins[slot(value)]++;
    const top = Math.max(1, ...bins);
    const step = width / N_BINS;
    const first = Number.isNaN(from) || from <= low ? 0 : slot(from);
    const last = Number.isNaN(to) || to >= high ? N_BINS : slot(Math.max(to, low));
    const colours = [colour("faint"), colour("accent-mid")];
    bins.forEach((size, k) => {
      const tall = size ? Math.max(2, Math.sqrt(size / top) * (height - 1)) : 0;
      pen.fillStyle = colours[k >= first && k <= last ? 1 : 0];
      pen.fillRect(k * step, height - 1 - tall, step - 1, tall);
    });
    pen.fillStyle = colour("edge");
    pen.fillRect(0, height - 1, width, 1);
  }

  return { colour, fitCanvas, drawHistogram };
})();
