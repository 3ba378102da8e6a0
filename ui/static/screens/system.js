// The node itself: what it uses, what its bounds are, who reads from it.

import { html } from '../vendor/lit-html/lit-html.js';
import { lineColors } from '../colors.js';
import { age, bytes, clock, fixed, hundredth, instant, span, tenth, whole } from '../format.js';
import { figure } from '../pieces.js';
import { table } from '../table.js';

export const title = 'System';

export const queries = () => ({ runtime: 'runtime', limits: 'limits', subscribers: 'subscribers' });

/** What the page itself has noted of the runtime since it was opened, a point for each frame. @type {{ at: number, heap: number | null, goroutines: number | null, latency: number | null }[]} */
const noted = [];
const kept = 240;
let run = 0;

/** @param {number | null} v @param {string} unit */
function amount(v, unit) {
  if (v === null || v === undefined) return '—';
  if (unit === 'bytes') return bytes(v);
  if (unit === 's') return v < 0.001 ? `${tenth(v * 1e6)} µs` : v < 1 ? `${hundredth(v * 1000)} ms` : v < 600 ? `${tenth(v)} s` : span(v * 1000);
  if (unit === 'ms') return v < 1000 ? `${whole(v)} ms` : span(v);
  return `${whole(v)}`;
}

/** @param {import('../app.js').View} v */
export function draw(v) {
  const part = v.part('runtime');
  const value = (/** @type {string} */ key) => part?.rows.get(key)?.value ?? null;
  const meta = part?.meta;
  if (meta && meta.incarnation !== run) noted.length = 0;
  if (meta) run = meta.incarnation;
  if (meta && noted.at(-1)?.at !== meta.at) {
    noted.push({ at: meta.at, heap: value('heap_objects'), goroutines: value('goroutines'), latency: value('scheduler_latency_p99') });
    if (noted.length > kept) noted.shift();
  }
  const at = noted.map((n) => n.at);
  const chart = (/** @type {string} */ name, /** @type {(number | null)[]} */ values, /** @type {(v: number | null) => string} */ text) => {
    /** @type {ChartModel} */
    const model = { name, at, lines: [{ label: name.split(',')[0], values, color: lineColors[0], fill: true }], marks: [], range: [v.now - kept * 500, v.now], text, height: 120 };
    return figure(model, 'runtime');
  };
  return html`<div class="three">
      ${chart('Heap, MiB', noted.map((n) => n.heap && n.heap / 1048576), fixed(1))}
      ${chart('Goroutines', noted.map((n) => n.goroutines), whole)}
      ${chart('Scheduler latency p99, ms', noted.map((n) => (n.latency === null ? null : n.latency * 1000)), fixed(2))}</div>
    <div class="two">
    ${table({
      id: 'limits', caption: 'Limits', query: 'limits', rows: v.rows('limits'),
      columns: [
        { field: 'key', head: 'Limit', left: true, scope: true, text: (r) => html`<span title=${r.detail}>${r.key.replaceAll('_', ' ')}</span>` },
        { field: 'current', head: 'Now', about: 'Current use', text: (r) => amount(r.current, r.unit) },
        { field: 'limit', head: 'At most', about: 'Bound', text: (r) => (r.limit === null ? '—' : amount(r.limit, r.unit)) },
        {
          field: 'room', head: 'Used', about: 'Use of the bound, percent', exact: (r) => (r.current === null ? 'not a stock' : r.limit === null ? 'no limit' : `${r.current} of ${r.limit} ${r.unit}`),
          text: (r) => (r.current === null || !r.limit || r.key === 'dedup_period' ? '—' : html`<meter aria-label="Use" min="0" max="100" low="70" high="90" optimum="0" value=${(100 * r.current) / r.limit}></meter>${tenth((100 * r.current) / r.limit)} %`),
        },
      ],
      empty: 'Waiting for the node…',
    })}
    ${table({
      id: 'runtime', caption: 'Runtime', query: 'runtime', rows: v.rows('runtime'),
      columns: [
        { field: 'key', head: 'Value', left: true, scope: true, text: (r) => html`<span title=${r.detail}>${r.key.replaceAll('_', ' ')}</span>` },
        { field: 'value', head: 'Now', about: 'Value', exact: (r) => `${r.value} ${r.unit}`, text: (r) => amount(r.value, r.unit) },
        { field: 'detail', head: 'What', left: true, text: (r) => html`<span class="quiet">${r.detail}</span>` },
      ],
      empty: 'Waiting for the node…',
    })}</div>
    ${table({
      id: 'subscribers', caption: 'Subscribers', query: 'subscribers', rows: v.rows('subscribers').sort((a, b) => Number(a.since_at) - Number(b.since_at)), context: v.now,
      vary: (r) => `${age(r.since_at, v.now)} ${v.now - Number(r.last_write_at) > 5000}`,
      columns: [
        { field: 'remote_addr', head: 'From', left: true, scope: true, text: (r) => r.remote_addr },
        { field: 'path', head: 'Path', left: true, text: (r) => html`<span class="clip" title=${r.query}>${r.path}</span>` },
        { field: 'format', head: 'Format', left: true, text: (r) => r.format },
        { field: 'interval_ms', head: 'Interval', about: 'Interval of frames, ms', text: (r) => amount(r.interval_ms, 'ms') },
        { field: 'frames_total', head: 'Frames', about: 'Frames sent', text: (r) => whole(r.frames_total) },
        { field: 'snapshots_total', head: 'Snapshots', about: 'Snapshots sent: more than one means that it fell behind', text: (r) => whole(r.snapshots_total) },
        { field: 'bytes_total', head: 'Bytes', about: 'Bytes sent', text: (r) => bytes(r.bytes_total) },
        { field: 'lag_ms', head: 'Lag', about: 'For how long the reader has not acknowledged what it was sent, ms', text: (r) => `${whole(r.lag_ms)} ms`, tone: (r) => (r.lag_ms > 1000 ? 'warn' : '') },
        { field: 'since_at', head: 'Open for', about: 'Since', exact: (r) => instant(r.since_at), text: (r, now) => age(r.since_at, now) },
      ],
      empty: 'Nobody.',
    })}
    <p class="quiet">${meta ? `Node ${meta.node}, revision ${whole(meta.revision)}, answered at ${clock(meta.at)}.` : ''}</p>`;
}
