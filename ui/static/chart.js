// Charts over time: uPlot inside of an element, so that templates only hand over a
// model. Steps are drawn as long as they lasted, so one without neighbours is there
// too, and those that may still rise are dashed. Gaps stay gaps. Marks are vertical
// lines, at the beginning of their step: no effect is left of its cause. The cursor is
// shared by all charts of a screen.

import { clock } from './format.js';

const probe = document.createElement('span');
probe.hidden = true;
document.body.append(probe);

/** @type {Map<string, string>} colours of the theme, as canvases want them */
let colors = new Map();

/** @param {string} name of a custom property */
export function color(name) {
  let c = colors.get(name);
  if (!c) {
    probe.style.color = `var(${name})`;
    c = getComputedStyle(probe).color;
    colors.set(name, c);
  }
  return c;
}

/** After a change of theme all charts are drawn anew. */
export function repaint() {
  colors = new Map();
  for (const chart of document.querySelectorAll('r-chart, r-heat')) /** @type {any} */ (chart).reset();
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);

const toneColors = /** @type {Record<string, string>} */ ({ bad: '--bad', warn: '--warn', good: '--good', none: '--quiet' });

/** @type {Promise<void> | null} */ let coming = null;

/** uPlot is a third of the page, and the first numbers need not wait for it. */
function plotter() {
  coming ??= new Promise((done) => {
    const script = document.createElement('script');
    script.src = 'vendor/uplot/uPlot.iife.min.js';
    script.onload = () => done();
    script.onerror = () => { coming = null; }; // the next drawing tries again
    document.head.append(script);
  });
  return coming;
}

/** Steps are a second or more, so a chart need not be drawn for every frame. */
const drawEvery = 900; // ms

class Chart extends HTMLElement {
  /** @type {ChartModel | null} */ #model = null;
  /** @type {any} */ #plot = null;
  #shape = '';
  #seen = true;
  #drawn = 0;
  #resize = new ResizeObserver(() => this.#size());
  #look = new IntersectionObserver((all) => {
    this.#seen = all.at(-1)?.isIntersecting ?? false; // the newest comes last
    if (this.#seen) this.#draw();
  });

  connectedCallback() {
    this.#resize.observe(this);
    this.#look.observe(this);
    this.#draw();
  }

  disconnectedCallback() {
    this.#resize.disconnect();
    this.#look.disconnect();
    this.reset();
  }

  /** @param {ChartModel} model */
  set model(model) {
    this.#model = model;
    this.setAttribute('aria-label', `${model.name}: ${model.lines.map((l) => `${l.label} ${model.text(l.values.slice(0, model.whole).findLast((v) => v !== null) ?? null)}`).join(', ')}`);
    if (this.isConnected && this.#seen && performance.now() - this.#drawn > drawEvery) this.#draw();
  }

  get model() { return /** @type {ChartModel} */ (this.#model); }

  reset() {
    this.#plot?.destroy();
    this.#plot = null;
    this.#shape = '';
    if (this.isConnected) this.#draw();
  }

  #size() {
    const width = this.clientWidth;
    if (this.#plot && width && width !== this.#plot.width) this.#plot.setSize({ width, height: this.model.height });
  }

  #draw() {
    const m = this.#model;
    if (!m || !this.clientWidth) return;
    this.#drawn = performance.now();
    const { uPlot } = /** @type {any} */ (globalThis);
    if (!uPlot) {
      plotter().then(() => this.#draw());
      return;
    }
    const shape = m.lines.map((l) => l.label + l.color).join('\n');
    const data = [m.at.map((t) => t / 1000), ...m.lines.map((l) => l.values)];
    if (!this.#plot || shape !== this.#shape) {
      this.#plot?.destroy();
      this.#shape = shape;
      this.#plot = new uPlot(this.#options(m), data, this);
      this.#plot.root.setAttribute('aria-hidden', 'true');
      requestAnimationFrame(() => this.#plot && this.#latest(this.#plot)); // uPlot empties the legend when it is ready
    } else {
      this.#plot.setData(data, true);
    }
  }

  /** Without a cursor the legend shows the newest values. @param {any} u */
  #latest(u) {
    const { at, lines, whole = at.length } = this.model;
    const newest = at.findLastIndex((_, i) => i < whole && lines.some((l) => l.values[i] !== null));
    if (!(u.cursor.left >= 0) && u.legend.idx !== newest) u.setLegend({ idx: newest }, false);
  }

  /** @param {ChartModel} m */
  #options(m) {
    const stepped = m.step ? { paths: (/** @type {any} */ u, /** @type {number} */ i) => ({ stroke: this.#steps(u, i, 0, this.model.whole), fill: null, clip: null, band: null, gaps: null, flags: 0 }) } : {};
    const axis = { stroke: color('--quiet'), font: '12px system-ui, sans-serif', grid: { stroke: color('--line'), width: 1 }, ticks: { show: false } };
    return {
      width: this.clientWidth, height: m.height, padding: [10, 28, 0, 0],
      cursor: { dataIdx: (/** @type {any} */ u, /** @type {number} */ _i, /** @type {number} */ k, /** @type {number} */ x) => (m.step && k > 0 && u.data[0][k] > x ? k - 1 : k), sync: { key: 'time', setSeries: false }, drag: { x: false, y: false }, points: { size: 6 }, y: false },
      legend: { live: true, markers: { width: 0, fill: (/** @type {any} */ u, /** @type {number} */ i) => u.series[i].stroke(u, i) } },
      scales: { x: { time: true, range: () => this.model.range.map((t) => t / 1000) }, y: { range: (/** @type {any} */ _u, /** @type {number} */ _low, /** @type {number} */ high) => [0, (high || 1) * 1.08] } },
      axes: [
        { ...axis, size: 26, space: 70, values: (/** @type {any} */ _u, /** @type {number[]} */ at) => at.map((t) => clock(t * 1000)) },
        { ...axis, size: 54, space: 28, values: (/** @type {any} */ _u, /** @type {number[]} */ v) => v.map((n) => n.toLocaleString('en')) },
      ],
      series: [
        { label: 'at', value: (/** @type {any} */ _u, /** @type {number | null} */ t) => (t ? clock(t * 1000) : '—') },
        ...m.lines.map((l) => ({
          label: l.label, stroke: color(l.color), width: l.width ?? 1.5, spanGaps: false, points: { show: false }, ...stepped,
          fill: l.fill ? color(l.color).replace('rgb(', 'rgba(').replace(')', ', 0.12)') : undefined,
          value: (/** @type {any} */ _u, /** @type {number | null} */ v) => this.model.text(v ?? null),
        })),
      ],
      hooks: { draw: [(/** @type {any} */ u) => this.#rest(u), (/** @type {any} */ u) => this.#marks(u), (/** @type {any} */ u) => this.#latest(u)] },
    };
  }

  /** The steps of a line between two places, in pixels of the canvas. @param {any} u @param {number} i @param {number} from @param {number} [to] */
  #steps(u, i, from, to) {
    const { at, step = 0 } = this.model;
    const path = new Path2D();
    const x = (/** @type {number} */ t) => u.valToPos(t / 1000, 'x', true);
    let end = NaN; // of the step before
    u.data[i].slice(0, to).forEach((/** @type {number | null} */ v, /** @type {number} */ k) => {
      if (v === null || k < from) return;
      const y = u.valToPos(v, 'y', true);
      if (at[k] === end) path.lineTo(x(at[k]), y);
      else path.moveTo(x(at[k]), y);
      end = at[k] + step;
      path.lineTo(x(end), y);
    });
    return path;
  }

  /** The steps that are not whole. @param {any} u */
  #rest(u) {
    const { at, lines, whole = at.length } = this.model;
    if (whole === at.length) return;
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    lines.forEach((l, i) => {
      ctx.strokeStyle = color(l.color);
      ctx.lineWidth = (l.width ?? 1.5) * devicePixelRatio;
      ctx.stroke(this.#steps(u, i + 1, whole));
    });
    ctx.restore();
  }

  /** @param {any} u */
  #marks(u) {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'alphabetic';
    let free = -Infinity;
    const { step = 1 } = this.model;
    const marks = this.model.marks.map((m) => ({ ...m, x: Math.round(u.valToPos((Math.floor(m.at / step) * step) / 1000, 'x', true)) + 0.5, stroke: color(toneColors[m.tone] ?? '--quiet') }))
      .filter(({ x }) => x >= bbox.left && x <= bbox.left + bbox.width);
    for (const { x, stroke } of marks) {
      ctx.strokeStyle = stroke;
      ctx.lineWidth = ratio;
      ctx.setLineDash([4 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    for (const { x, label, stroke } of marks) {
      const width = ctx.measureText(label).width;
      const left = x + 3 * ratio + width > bbox.left + bbox.width ? x - 3 * ratio - width : x + 3 * ratio;
      if (left < free) continue; // a label only where there is room for it
      ctx.globalAlpha = 0.85;
      ctx.fillStyle = color('--ground');
      ctx.fillRect(left - ratio, bbox.top, width + 2 * ratio, 13 * ratio);
      ctx.globalAlpha = 1;
      ctx.fillStyle = stroke;
      ctx.fillText(label, left, bbox.top + 10 * ratio);
      free = left + width + 6 * ratio;
    }
    ctx.restore();
  }
}
customElements.define('r-chart', Chart);
