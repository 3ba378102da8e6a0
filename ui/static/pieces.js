// Small pieces that several screens are made of.

import { html, nothing, svg } from './vendor/lit-html/lit-html.js';
import { age, clock, fewCalls, fixed, hundredth, instant, look, rateTone, span, stale, tenth, whole } from './format.js';
import { isCovered } from './models.js';
import { tools } from './table.js';

/** A word with its glyph and tone. @param {string} word @param {string} [title] */
export function badge(word, title) {
  const [glyph, text, tone] = look(word);
  return html`<span class="badge ${tone}" title=${title ?? nothing}><span aria-hidden="true">${glyph}</span> ${text}</span>`;
}

/** The circuits of a provider: worst first to the eye. @param {{ http: string, ws: string }} circuit */
export function circuits(circuit) {
  return html`${['http', 'ws'].map((t) => {
    const state = /** @type {any} */ (circuit)[t];
    const [glyph, word, tone] = look(state);
    return html`<span class="circuit ${state === 'closed' || state === 'unknown' ? 'none' : tone}" title=${`${t} circuit: ${word}`}>${t} <span aria-hidden="true">${glyph}</span><span class="hidden">${word}</span></span> `;
  })}`;
}

/** A percentile, grey and with n when it rests on few calls. @param {Row} row @param {`${'failure_' | ''}p${50 | 90 | 95 | 99}_latency_ms` & keyof Row} field */
export function percentile(row, field) {
  const value = row[field];
  if (value === null || value === undefined) return '—';
  return row.samples < fewCalls ? html`<span class="few">${tenth(value)} <small>n=${row.samples}</small></span>` : tenth(value);
}

/**
 * Steps without axes, with the line to measure them by: zero at the bottom, or for shares
 * 100 % at the top, so that a small change looks small.
 * @param {(number | null)[]} values @param {boolean} share in percent
 */
export function sparkline(values, share = false) {
  const known = values.filter((v) => v !== null);
  const low = share ? Math.min(...known, lowShare) : 0;
  const high = share ? 100 : Math.max(...known, 0);
  const scale = high > low ? 20 / (high - low) : 0;
  const x = (/** @type {number} */ i) => ((100 * i) / values.length).toFixed(1);
  const path = values.map((v, i) => (v === null ? '' : `${(values[i - 1] ?? null) === null ? `M${x(i)} ` : 'V'}${(22 - (v - low) * scale).toFixed(1)}H${x(i + 1)}`)).join(''); // a gap stays one
  return html`<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">${svg`<path class="base" d=${`M0 ${share ? 2 : 22}H100`} vector-effect="non-scaling-stroke"></path><path d=${path} vector-effect="non-scaling-stroke"></path>`}</svg>`;
}

/** Where the sparkline of a share begins, percent, unless one is lower. */
const lowShare = 90;

/** The tone of a share of calls; few calls have none. @param {number | null} share @param {number} samples */
export const shareTone = (share, samples) => (samples < fewCalls ? 'few' : rateTone(share));

/** Columns that rows of calls share; links is how a key becomes a link. @type {Record<string, Column>} */
export const columns = {
  rate: { field: 'calls_per_second', head: 'Calls/s', about: 'Calls per second, every try at a provider being one', text: (r) => tenth(r.calls_per_second), value: (r) => r.calls_per_second },
  calls: { field: 'total_calls', head: 'Calls', about: 'Calls, by weight', text: (r) => whole(r.total_calls) },
  success: { field: 'success_rate_pct', head: 'Success %', about: 'Of the calls whose end was seen those that did not fail, percent', text: (r) => hundredth(r.success_rate_pct), tone: (r) => shareTone(r.success_rate_pct, r.samples) },
  p50: { field: 'p50_latency_ms', head: 'p50 ms', about: 'Median latency of successes, ms', text: (r) => percentile(r, 'p50_latency_ms') },
  p95: { field: 'p95_latency_ms', head: 'p95 ms', about: '95th percentile of the latency of successes, ms', text: (r) => percentile(r, 'p95_latency_ms') },
  p99: { field: 'p99_latency_ms', head: 'p99 ms', about: '99th percentile of the latency of successes, ms', text: (r) => percentile(r, 'p99_latency_ms') },
  cut: { field: 'cut_off_pct', head: 'Cut off %', about: 'Calls whose end was not seen, percent: hedges that lost, clients that went away', text: (r) => hundredth(r.cut_off_pct) },
  traffic: { field: 'traffic_pct', head: 'Traffic %', about: 'Share of the chain’s calls, percent', text: (r) => tenth(r.traffic_pct) },
  lag: { field: 'block_lag_blocks', head: 'Lag', about: 'Blocks against the consensus of the region, the worst region; negative is behind', text: (r) => whole(r.block_lag_blocks), tone: (r) => (r.block_lag_blocks === null ? '' : r.block_lag_blocks < -10 ? 'bad' : r.block_lag_blocks < -2 ? 'warn' : '') },
  last: { field: 'last_seen_at', head: 'Last', about: 'Age of the newest call', text: (r, now) => age(r.last_seen_at, now), exact: (r) => instant(r.last_seen_at), tone: (r, now) => (stale(r.last_seen_at, now) ? 'warn' : '') },
  status: { field: 'status', head: 'Status', left: true, about: 'Status', text: (r) => badge(r.status, r.status_reasons?.join('; ')), exact: (r) => (r.status_reasons?.length ? r.status_reasons.join('; ') : 'no rule fired') },
  circuit: { field: 'circuit', head: 'Circuits', left: true, wide: true, sort: false, about: 'Worst fresh report of the circuit breakers', text: (r) => circuits(r.circuit), exact: (r) => `http ${r.circuit.http}, ws ${r.circuit.ws}` },
};

/** Whose row it is; where there is little room the chain stands under the provider. @param {import('./app.js').View} v @returns {Column[]} */
export const names = (v) => [
  { field: 'chain', head: 'Chain', left: true, wide: true, text: (r) => r.chain },
  {
    field: 'provider_id', head: 'Provider', left: true, scope: true,
    text: (r) => html`<a class="row" href=${v.href({ view: 'provider', chain: r.chain, provider: r.provider_id })} title=${r.provider_id}>${r.provider_id}</a><small class="narrow quiet">${r.chain}</small>`,
  },
];

/** What a number rests on: window and coverage, so coarse that titles need not change every second. @param {Meta | null | undefined} meta */
export function basis(meta) {
  if (!meta) return '';
  const { nodes, senders } = meta.coverage;
  return `Window ${span(meta.window_ms)}${isCovered(meta) ? '' : `, ${span(Math.floor(meta.covered_ms / 5000) * 5000)} of it known`}; nodes ${nodes.reporting}/${nodes.known}, senders ${senders.reporting}/${senders.known}`;
}

/** Coverage where it is not whole, beside sums. @param {Meta | null | undefined} meta */
export function coverage(meta) {
  if (!meta) return nothing;
  const { nodes, senders } = meta.coverage;
  const missing = [];
  if (nodes.reporting < nodes.known) missing.push(`nodes ${nodes.reporting}/${nodes.known}`);
  if (senders.reporting < senders.known) missing.push(`senders ${senders.reporting}/${senders.known}`);
  if (!isCovered(meta)) missing.push(`${span(meta.covered_ms)} of ${span(meta.window_ms)}`);
  return missing.length ? html`<span class="coverage warn" title="These sums do not cover all that is known">◐ ${missing.join(' · ')}</span>` : nothing;
}

/** How a figure differs from the time before. @param {number | null | undefined} now @param {number | null | undefined} before @param {boolean} points in points, not percent */
export function change(now, before, points = false) {
  if (now === null || now === undefined || before === null || before === undefined || (!points && before === 0)) return { text: '—', title: 'The time before the window is not known' };
  const d = points ? now - before : (100 * (now - before)) / before;
  const digits = fixed(points ? 2 : 1);
  const text = digits(Math.abs(d)) === digits(0) ? '± 0' : `${d > 0 ? '+' : '−'}${digits(Math.abs(d))}${points ? ' points' : ' %'}`;
  return { text, title: `Before this window: ${hundredth(before)}` };
}

/** What a chart is called as a file, without what varies. @param {string} name */
const file = (name) => name.split(' · ')[0].toLowerCase().replace(/[^a-z0-9]+/g, '-');

/**
 * A chart with its name and its data.
 * @param {ChartModel} m @param {string} query what the API is asked for the same
 * @param {any} [drawn] what it looks like, when it is not lines
 */
export function figure(m, query, drawn = html`<r-chart role="img" .model=${m}></r-chart>`) {
  const points = () => [['ts', ...m.lines.map((l) => l.label)], ...m.at.map((at, i) => [at, ...m.lines.map((l) => l.values[i])])];
  return html`<figure><figcaption class="bar"><h2>${m.name}</h2>${tools(query, file(m.name), { shown: points })}</figcaption>${m.at.length ? html`${drawn}${dataTable(m)}` : html`<p class="quiet">Nothing in the window.</p>`}</figure>`;
}

/** Charts whose data table is open, by name. @type {Set<string>} */
const open = new Set();

/** A table of a chart's points; rows are there only while it is open. @param {ChartModel} model */
function dataTable(model) {
  const toggled = (/** @type {Event} */ e) => {
    if (/** @type {HTMLDetailsElement} */ (e.currentTarget).open) open.add(model.name);
    else open.delete(model.name);
    dispatchEvent(new Event('remuda-refresh'));
  };
  const rows = () => html`<div class="scroll" tabindex="0" role="group" aria-label=${`Data of ${model.name}, scrolls`}><table>
    <thead><tr><th scope="col" class="text">Time</th>${model.lines.map((l) => html`<th scope="col">${l.label}</th>`)}</tr></thead>
    <tbody>${model.at.map((t, i) => html`<tr><th scope="row" class="text">${clock(t)}${i >= (model.whole ?? i + 1) ? ' …' : ''}</th>${model.lines.map((l) => html`<td>${model.text(l.values[i])}</td>`)}</tr>`).reverse()}</tbody></table></div>
    <p class="quiet">${model.marks.length ? `Marks: ${model.marks.map((m) => `${clock(m.at)} ${m.label}`).join(' · ')}` : 'No marks.'}</p>`;
  return html`<details class="data" @toggle=${toggled}><summary>Data table</summary>${open.has(model.name) ? rows() : nothing}</details>`;
}
