// What the latency heat map shows: steps of time by half octaves of latency, and the
// marks of its axes.

import { axis, range } from './models.js';

/** Half octaves above a second: a row is one, and has 16 buckets. @param {number} ms */
export const heatAt = (ms) => 2 * Math.log2(ms / 1000);
/** @param {number} ms */
export const heatRow = (ms) => Math.floor(heatAt(Math.max(ms, 0.001)));
/** Where a row begins, ms. @param {number} row */
export const heatFloor = (row) => 1000 * 2 ** (row / 2);

/** Between marks of the axis of time, ms. */
const ticks = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800].map((s) => s * 1000);

/** The least of them that gives no more marks than there is room for. @param {[number, number]} range @param {number} most */
export const tickOf = (range, most) => ticks.find((t) => t >= (range[1] - range[0]) / most) ?? ticks[ticks.length - 1];

/** Marks of the axis of latencies, ms: 1, 2, 5 and their tenfolds. */
export const latencies = [-3, -2, -1, 0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power));

/** @param {number} ms */
export const short = (ms) => (ms >= 1000 ? `${+(ms / 1000).toFixed(1)} s` : ms >= 10 ? `${Math.round(ms)} ms` : `${+ms.toPrecision(2)} ms`);

/**
 * Half octaves by step, of the points of a histogram.
 * @param {Points} points @param {number} now @param {Meta | null | undefined} meta @returns {HeatModel}
 */
export function heatModel(points, now, meta) {
  const steps = axis([{ key: '', points }], meta);
  const sums = (/** @type {2 | 3} */ count) => points.slice(0, steps.at.length).map(([, buckets]) => {
    /** @type {Map<number, number>} */ const rows = new Map();
    for (const b of buckets) {
      if (!b[count]) continue;
      const row = heatRow((b[0] + b[1]) / 2);
      rows.set(row, (rows.get(row) ?? 0) + b[count]);
    }
    return rows;
  });
  const [cells, cuts] = [sums(2), sums(3)];
  const used = [...cells, ...cuts].flatMap((c) => [...c.keys()]);
  return {
    ...steps, cells, cuts, range: range(meta, now), low: Math.min(...used, -12) - 1, high: Math.max(...used, -8) + 1,
  };
}
