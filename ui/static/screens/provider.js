// One provider on one chain: how slow, where, at what, and what its circuits did.

import { html, nothing, svg } from '../vendor/lit-html/lit-html.js';
import { colorsOf, lineColors } from '../colors.js';
import { age, clock, fewCalls, hundredth, instant, look, span, tenth, whole } from '../format.js';
import { axis, knownSince, linesOf, marks, range, valuesAt } from '../models.js';
import { heatModel } from '../octaves.js';
import { badge, basis, circuits, columns, coverage, figure, percentile, shareTone } from '../pieces.js';
import { table, tools } from '../table.js';
import { query } from '../url.js';
import { decisionColumns } from './decisions.js';

/** @param {import('../url.js').State} s */
export const title = (s) => `${s.provider} on ${s.chain}`;

/** @param {import('../url.js').State} s */
export function queries(s) {
  const one = { chain: s.chain, provider_id: s.provider };
  return {
    row: query(s, 'providers', { ...one, expand: 'by_region,methods' }),
    lines: query(s, 'series', { ...one, by: 'chain', metric: 'p50_latency_ms,p95_latency_ms,p99_latency_ms' }),
    regionLines: query(s, 'series', { ...one, by: 'region', metric: 'p95_latency_ms' }),
    heat: query(s, 'histogram', { ...one, by: 'chain' }),
    changes: query(s, 'circuits/changes', one),
    circuits: query(s, 'circuits', one),
    decisions: query(s, 'decisions', { ...one, limit: '20' }),
    everyone: query({ ...s, region: '' }, 'providers', { provider_id: s.provider, fields: 'chain' }),
  };
}

/** @param {import('../app.js').View} v */
export function draw(v) {
  const part = v.part('row');
  const row = v.rows('row')[0];
  const chains = v.rows('everyone').map((r) => r.chain);
  return html`<div class="bar head"><h2 class="id">${v.state.chain} / ${v.state.provider}</h2>${row ? badge(row.status) : nothing}
    <span class="quiet">${row ? row.status_reasons.join('; ') : ''}</span>${coverage(part?.meta)}</div>
    ${chains.length > 1 ? html`<p class="quiet">On ${chains.map((c) => html` <a href=${v.href({ chain: c })} aria-current=${c === v.state.chain ? 'true' : nothing}>${c}</a>`)}</p>` : nothing}
    ${!row ? html`<p class="quiet">${part ? 'Nothing has been heard of this provider on this chain in the last hour.' : 'Waiting for the node…'}</p>`
      : html`${facts(v, row, part?.meta ?? null)}<div class="two">
        <div class="column">${charts(v)}${regions(v, row)}${errors(v, row)}</div>
        <div class="column">${heat(v)}${timeline(v)}${methods(v, row)}</div></div>${decisions(v)}`}`;
}

/** @param {import('../app.js').View} v @param {Row} row @param {Meta | null} meta */
function facts(v, row, meta) {
  const under = basis(meta);
  const ended = Number(row.total_calls) - row.cut_off_calls;
  /** @type {[string, any, string, string][]} */
  const list = [
    ['Calls/s', tenth(row.calls_per_second), `Calls per second: ${row.total_calls} calls`, ''],
    ['Success', row.success_rate_pct === null ? '—' : `${hundredth(row.success_rate_pct)} %`, `Calls that did not fail: ${ended - row.error_count} of ${ended}`, shareTone(row.success_rate_pct, row.samples)],
    ['Availability', row.availability_pct === null ? '—' : `${hundredth(row.availability_pct)} %`, `Without the errors that are not the provider’s: ${row.provider_error_count} of ${row.error_count} are`, shareTone(row.availability_pct, row.samples)],
    ...(row.cut_off_calls ? [/** @type {[string, any, string, string]} */ (['Cut off', `${hundredth(row.cut_off_pct)} %`, `Calls whose end was not seen, hedges that lost and clients that went away: ${row.cut_off_calls} of ${row.total_calls}. Latencies are of the others`, ''])] : []),
    ...(row.hedged_calls ? [/** @type {[string, any, string, string]} */ (['Hedges', whole(row.hedged_calls), `Calls that were sent as a hedge: ${row.hedge_wins} of ${row.hedged_calls} won`, ''])] : []),
    ...(row.not_sent ? [/** @type {[string, any, string, string]} */ (['Not sent', whole(row.not_sent), `Tries that were not made, since a breaker was open or it was skipped: ${row.not_sent}`, ''])] : []),
    ['p50', percentile(row, 'p50_latency_ms'), `Median latency of successes, ms: ${row.p50_latency_ms}`, ''],
    ['p95', percentile(row, 'p95_latency_ms'), `95th percentile of the latency of successes, ms: ${row.p95_latency_ms}`, ''],
    ['p99', percentile(row, 'p99_latency_ms'), `99th percentile of the latency of successes, ms: ${row.p99_latency_ms}`, ''],
    ['p95 of failures', tenth(row.failure_p95_latency_ms), `95th percentile of the latency of failures, ms: ${row.failure_p95_latency_ms}`, ''],
    ['Traffic', row.traffic_pct === null ? '—' : `${tenth(row.traffic_pct)} %`, 'Share of the chain’s calls, percent', ''],
    ['Height', whole(row.block_height), 'The highest fresh height', ''],
    ['Circuits', circuits(row.circuit), 'Worst fresh report of the circuit breakers', ''],
    ['Lag', whole(row.block_lag_blocks), 'Blocks against the consensus; negative is behind', ''],
    ['Last call', age(row.last_seen_at, v.now), `Newest call: ${instant(row.last_seen_at)}`, ''],
  ];
  return html`<dl class="facts">${list.map(([name, value, about, tone]) => html`<div tabindex="0" title=${`${about}. ${under}`}><dt>${name}</dt><dd class=${tone}>${value}</dd></div>`)}</dl>`;
}

/** @param {import('../app.js').View} v */
function charts(v) {
  const part = v.part('lines');
  const steps = axis(linesOf(part, 'p50_latency_ms'), part?.meta);
  const regional = linesOf(v.part('regionLines'), 'p95_latency_ms').sort((a, b) => (a.key < b.key ? -1 : 1)).slice(0, lineColors.length);
  const colors = colorsOf(regional.map((l) => l.region));
  const when = axis(regional, v.part('regionLines')?.meta);
  const common = { marks: marks(v, false), range: range(part?.meta, v.now), text: tenth };
  /** @type {[ChartModel, string][]} */
  const models = [
    [{ ...common, name: 'Latency of successes, ms', ...steps, height: 190, lines: ['p50', 'p95', 'p99'].map((p, i) => ({ label: p, values: valuesAt(linesOf(part, `${p}_latency_ms`)[0], steps.at), color: lineColors[i] })) }, v.queries.lines],
    [{ ...common, name: 'p95 by region, ms', ...when, height: 130, lines: regional.map((l) => ({ label: l.region, values: valuesAt(l, when.at), color: colors.get(l.region) ?? '' })) }, v.queries.regionLines],
  ];
  return models.map(([m, q]) => figure(m, q));
}

/** @param {import('../app.js').View} v */
function heat(v) {
  const part = v.part('heat');
  const all = [...(part?.lines.values() ?? [])][0]?.points ?? [];
  const model = heatModel(all, v.now, part?.meta);
  const points = all.slice(0, model.at.length);
  const sum = (/** @type {any[]} */ buckets, /** @type {2 | 3} */ count) => buckets.reduce((n, b) => n + b[count], 0);
  const ended = (/** @type {any[]} */ buckets) => buckets.filter((b) => b[2] > 0);
  /** @type {ChartModel} */
  const data = {
    name: 'Latency of successes, heat map', at: model.at, whole: model.whole, marks: [], range: model.range, height: 0, text: whole,
    lines: [{ label: 'successes', values: points.map(([, b]) => sum(b, 2)), color: '' }, { label: 'cut off', values: points.map(([, b]) => sum(b, 3)), color: '' }, { label: 'fastest ms', values: points.map(([, b]) => ended(b)[0]?.[0] ?? null), color: '' }, { label: 'slowest ms', values: points.map(([, b]) => ended(b).at(-1)?.[1] ?? null), color: '' }],
  };
  return figure(data, v.queries.heat, html`<r-heat role="img" .model=${model}></r-heat>`);
}

/** @param {import('../app.js').View} v @param {Row} row */
function regions(v, row) {
  const c = columns;
  const rows = (row.by_region ?? []).map((r) => /** @type {Row} */ ({ ...r, key: r.region }));
  const fastest = Math.min(...rows.flatMap((r) => r.p95_latency_ms ?? []));
  return table({
    id: 'regions', caption: 'By region', query: query(v.state, 'regions', { chain: v.state.chain, provider_id: v.state.provider }), rows, basis: basis(v.part('row')?.meta), context: v.now, vary: (r) => age(r.last_seen_at, v.now),
    columns: [
      { field: 'region', head: 'Region', left: true, scope: true, text: (r) => r.region }, c.rate, c.success, ...(row.cut_off_calls ? [c.cut] : []), c.p50, c.p95,
      { field: 'times', head: '× best', about: 'p95 against the fastest region', exact: (r) => `${r.p95_latency_ms} ms against ${fastest} ms`, text: (r) => (r.p95_latency_ms === null ? '—' : `${tenth(r.p95_latency_ms / fastest)}×`), tone: (r) => (r.samples >= fewCalls && Number(r.p95_latency_ms) > 3 * fastest ? 'warn' : '') },
      c.last,
    ],
    empty: 'No calls in the window.',
  });
}

/** @param {import('../app.js').View} v @param {Row} row */
function methods(v, row) {
  return table({
    id: 'methods', caption: 'By method', query: query(v.state, 'methods', { chain: v.state.chain, provider_id: v.state.provider, sort: '-total_calls', limit: '10' }), basis: basis(v.part('row')?.meta),
    rows: (row.methods ?? []).map((m) => /** @type {Row} */ ({ ...m, key: m.method })),
    columns: [
      { field: 'method', head: 'Method', left: true, scope: true, text: (r) => r.method }, columns.calls, columns.success,
      { field: 'avg_latency_ms', head: 'avg ms', about: 'Average latency of successes, ms', text: (r) => tenth(r.avg_latency_ms) },
      { field: 'p95_latency_ms', head: 'p95 ms', about: '95th percentile of the latency of successes, ms', text: (r) => percentile(r, 'p95_latency_ms') },
    ],
    empty: 'No calls in the window.',
  });
}

/** @param {import('../app.js').View} v @param {Row} row */
function errors(v, row) {
  const rows = Object.entries(row.errors_by_category).map(([key, n]) => ({ key, n })).sort((a, b) => b.n - a.n);
  return table({
    id: 'errors', caption: 'Errors by category', query: query(v.state, 'providers', { chain: v.state.chain, provider_id: v.state.provider, fields: 'total_calls,error_count,errors_by_category' }), rows: /** @type {Row[]} */ (rows), basis: basis(v.part('row')?.meta),
    columns: [
      { field: 'key', head: 'Category', left: true, scope: true, text: (r) => r.key },
      { field: 'n', head: 'Errors', about: 'Failed calls', text: (r) => whole(r.n) },
      { field: 'share', head: '% of calls', about: 'Share of all calls, percent', exact: (r) => `${r.n} of ${row.total_calls}`, text: (r) => hundredth((100 * Number(r.n)) / Number(row.total_calls)) },
    ],
    empty: 'No errors in the window.', shown: () => [['error_category', 'errors'], ...rows.map((r) => [r.key, r.n])],
  });
}

/** The circuits of each transport over the window, as stretches. @param {import('../app.js').View} v */
function timeline(v) {
  const now = v.now;
  const meta = v.part('row')?.meta;
  const [from, to] = range(meta, now);
  const changes = v.rows('changes').sort((a, b) => a.at - b.at);
  const lanes = [...new Map(v.rows('circuits').map((r) => [`${r.transport} ${r.region} ${r.sender}`, r])).values()];
  return html`<section class="table" aria-label="Circuits"><div class="bar"><h2>Circuits <small>${lanes.length}</small></h2>${tools(v.queries.changes, 'circuit-changes')}</div>
    ${lanes.length === 0 ? html`<p class="quiet">No circuit of it was ever reported: unknown, which is not closed.</p>` : html`<ul class="lanes">${lanes.map((r) => {
      const own = changes.filter((c) => c.transport === r.transport && c.region === r.region && c.sender === r.sender);
      const later = own.filter((c) => c.at > from);
      const parts = [];
      let at = from;
      let state = own.findLast((c) => c.at <= from)?.to ?? (Number(r.since_at) <= from ? r.state : 'unknown');
      if (state === 'unknown' && later.length) { // the first change says what was, but not since when
        at = Math.min(knownSince(meta, from), later[0].at);
        parts.push({ state, from, to: at });
        state = later[0].from;
      }
      for (const c of later) {
        parts.push({ state, from: at, to: c.at });
        at = c.at;
        state = c.to;
      }
      parts.push({ state, from: at, to });
      const [glyph, word, tone] = look(r.state);
      return html`<li><span class="lane-name">${r.transport} · ${r.region} <span class="quiet">${r.sender}</span></span>
        <span class=${r.stale ? 'quiet' : tone}><span aria-hidden="true">${glyph}</span> ${word}${r.stale ? ' (stale)' : ''} for ${span(r.since_at === null ? null : now - r.since_at)}</span>
        <svg class="lane" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">${parts.map((p) => laneRect(p, from, to))}</svg>
        <span class="quiet detail">${r.reason ?? ''}</span></li>`;
    })}</ul>
    ${changes.length ? html`<ol class="changes" reversed>${changes.toReversed().slice(0, 8).map((c) => html`<li><time title=${instant(c.at)}>${clock(c.at)}</time> ${c.transport} ${c.region}: ${look(c.from)[1]} → <b class=${look(c.to)[2]}>${look(c.to)[1]}</b> <span class="quiet">${c.reason ?? ''}</span></li>`)}</ol>` : nothing}`}</section>`;
}

/** @param {{ state: string, from: number, to: number }} p @param {number} from @param {number} to */
function laneRect(p, from, to) {
  const x = (/** @type {number} */ t) => (1000 * (t - from)) / (to - from);
  return svg`<rect class=${look(p.state)[2]} x=${x(p.from)} y="0" width=${Math.max(x(p.to) - x(p.from), 0)} height="10"></rect>`;
}

/** @param {import('../app.js').View} v */
function decisions(v) {
  const part = v.part('decisions');
  return table({
    id: 'decisions', caption: 'Last decisions', feed: true, query: v.queries.decisions, rows: (part?.feed ?? []).slice(0, 20), columns: decisionColumns(v).filter((c) => !['chain', 'provider_id'].includes(c.field)), context: v.now,
    vary: (r) => age(r.ts, v.now), empty: 'None in the feed.',
  });
}
