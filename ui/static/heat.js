// The latency heat map: time across, latency up, stronger where more calls were, by the
// same measure all over the map. Of steps that are not whole only the frames of cells are
// drawn, as charts dash them.

import { color } from './chart.js';
import { clock, whole } from './format.js';
import { heatAt, heatFloor, latencies, short, tickOf } from './octaves.js';

class Heat extends HTMLElement {
  /** @type {HeatModel | null} */ #model = null;
  #canvas = document.createElement('canvas');
  #text = document.createElement('p');
  #pointed = false;
  #resize = new ResizeObserver(() => this.reset());

  connectedCallback() {
    this.#text.className = 'quiet readout';
    this.replaceChildren(this.#canvas, this.#text);
    this.#resize.observe(this);
    this.onpointermove = (/** @type {PointerEvent} */ e) => this.#read(e);
    this.onpointerleave = () => {
      this.#pointed = false;
      this.#text.textContent = this.#key();
    };
  }

  disconnectedCallback() { this.#resize.disconnect(); }

  /** @param {HeatModel} model */
  set model(model) {
    this.#model = model;
    this.setAttribute('aria-label', `Latency over time, ${model.at.length} steps; the data table below has the figures`);
    if (!this.#pointed) this.#text.textContent = this.#key();
    this.reset();
  }

  get model() { return /** @type {HeatModel} */ (this.#model); }

  #key() { return `Stronger: more calls, at most ${whole(this.#most())} in a cell. Point at one for its figures.`; }

  /** The calls of the fullest cell. */
  #most() { return Math.max(0, ...(this.#model?.cells ?? []).flatMap((rows) => [...rows.values()])); }

  /** Where things are, in CSS pixels. */
  #box() {
    const m = /** @type {HeatModel} */ (this.#model);
    const left = 54;
    const width = this.clientWidth - left - 8;
    const height = 168;
    return { left, width, height, row: height / (m.high - m.low), x: (/** @type {number} */ t) => left + ((t - m.range[0]) / (m.range[1] - m.range[0])) * width };
  }

  reset() {
    const m = this.#model;
    if (!m || !this.isConnected || this.clientWidth < 100) return;
    const b = this.#box();
    const ratio = devicePixelRatio;
    this.#canvas.width = this.clientWidth * ratio;
    this.#canvas.height = (b.height + 22) * ratio;
    this.#canvas.style.height = `${b.height + 22}px`;
    const ctx = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext('2d'));
    ctx.scale(ratio, ratio);
    ctx.fillStyle = ctx.strokeStyle = color('--heat');
    const most = this.#most();
    m.cells.forEach((rows, i) => {
      const x = Math.max(b.x(m.at[i]), b.left);
      const w = b.x(m.at[i] + m.step) - x;
      if (w <= 0) return;
      for (const [row, n] of rows) {
        ctx.globalAlpha = 0.1 + 0.9 * Math.sqrt(n / most);
        const y = b.height - (row - m.low + 1) * b.row;
        if (i < m.whole) ctx.fillRect(x, y, Math.max(w - 0.5, 1), b.row - 0.5);
        else ctx.strokeRect(x + 0.5, y + 0.5, Math.max(w - 1.5, 1), b.row - 1.5);
      }
      ctx.globalAlpha = 1;
      for (const row of m.cuts[i].keys()) { // a line: some were cut off here
        const y = b.height - (row - m.low) * b.row;
        ctx.fillRect(x, y - 2, Math.max(w - 0.5, 1), 1.5);
      }
    });
    ctx.globalAlpha = 1;
    ctx.fillStyle = color('--quiet');
    ctx.font = '12px system-ui, sans-serif';
    ctx.textAlign = 'right';
    let free = Infinity;
    for (const ms of latencies) {
      const y = b.height - (heatAt(ms) - m.low) * b.row;
      if (y < 8 || y > b.height || y > free) continue;
      ctx.fillText(short(ms), b.left - 6, y + 4);
      free = y - 18;
    }
    ctx.textAlign = 'center';
    const tick = tickOf(m.range, b.width / 70);
    for (let t = Math.ceil(m.range[0] / tick) * tick; t <= m.range[1]; t += tick) {
      if (b.x(t) > b.left + 24 && b.x(t) < b.left + b.width - 24) ctx.fillText(clock(t), b.x(t), b.height + 16);
    }
  }

  /** @param {PointerEvent} e */
  #read(e) {
    const m = this.#model;
    if (!m) return;
    const b = this.#box();
    const at = this.getBoundingClientRect();
    const i = m.at.findIndex((t) => b.x(t) <= e.clientX - at.left && e.clientX - at.left < b.x(t + m.step));
    const row = m.low + Math.floor((b.height - (e.clientY - at.top)) / b.row);
    if (i < 0) return;
    this.#pointed = true;
    const total = [...m.cells[i].values()].reduce((a, n) => a + n, 0);
    const cut = m.cuts[i].get(row) ?? 0;
    this.#text.textContent = `${clock(m.at[i])}, ${short(heatFloor(row))} to ${short(heatFloor(row + 1))}: ${whole(m.cells[i].get(row) ?? 0)} of ${whole(total)} successes${cut ? `, ${whole(cut)} cut off` : ''}${i < m.whole ? '' : ' so far'}`;
  }
}
customElements.define('r-heat', Heat);
