// Is anything wrong, where, since when: without a click.

import { html, nothing } from '../vendor/lit-html/lit-html.js';
import { colorsOf, lineColors } from '../colors.js';
import { clock, fewCalls, hundredth, instant, look, span, stale, tenth, whole } from '../format.js';
import { places } from '../hold.js';
import { axis, knownSince, linesOf, marks, range, valuesAt } from '../models.js';
import { basis, change, coverage, figure, sparkline } from '../pieces.js';
import { remembered, tools } from '../table.js';
import { query } from '../url.js';

export const title = 'Overview';

/** @param {import('../url.js').State} s */
export const queries = (s) => ({
  totals: query(s, 'profiles', { profile: s.profile, compare: 'previous' }),
  attention: query(s, 'attention'),
  providers: query(s, 'providers', { fields: 'chain,provider_id,status,status_reasons,p95_latency_ms,samples,total_calls,circuits_open,circuits_known,last_seen_at' }),
  totalLines: query(s, 'series', { by: 'profile', metric: 'calls_per_second,success_rate_pct,p50_latency_ms,p95_latency_ms,p99_latency_ms,failover_count' }),
  providerLines: query(s, 'series', { by: 'provider_id', metric: 'calls_per_second' }),
  changes: query(s, 'circuits/changes'),
});

/** @param {import('../app.js').View} v */
export function draw(v) {
  return html`<div class="overview">${tiles(v)}${attention(v)}${matrix(v)}${charts(v)}</div>`;
}

/** @param {import('../app.js').View} v */
function tiles(v) {
  const part = v.part('totals');
  const row = v.rows('totals')[0];
  const before = row?.previous;
  const minutes = (part?.meta?.covered_ms ?? 0) / 60_000;
  const windowMinutes = (part?.meta?.window_ms ?? 60_000) / 60_000;
  const lines = v.part('totalLines');
  const { at: all, whole: most } = axis(linesOf(lines, 'calls_per_second'), lines?.meta);
  const at = all.slice(0, most);
  const line = (/** @type {string} */ metric) => valuesAt(linesOf(lines, metric)[0], at);
  const providers = v.rows('providers');
  const sum = (/** @type {'circuits_known' | 'circuits_open'} */ name) => providers.reduce((n, r) => n + r[name], 0);
  const open = sum('circuits_known') ? sum('circuits_open') : null; // nobody's report is not a closed circuit
  const opened = open === null ? [] : openOverTime(v, open);
  const failovers = row && minutes > 0 ? row.failover_count / minutes : null;
  const few = row && row.samples < fewCalls;
  /** @type {[string, string, string, ReturnType<typeof change>, (number | null)[], string][]} */
  const list = [
    ['Calls/s', tenth(row?.calls_per_second), 'Calls per second, every try at a provider being one', change(row?.calls_per_second, before?.calls_per_second), line('calls_per_second'), ''],
    ['Success', row?.success_rate_pct === null || !row ? '—' : `${hundredth(row.success_rate_pct)} %`, 'Of the calls whose end was seen those that did not fail, percent', change(row?.success_rate_pct, before?.success_rate_pct, true), line('success_rate_pct'), ''],
    .../** @type {const} */ (['p50', 'p95', 'p99']).map((p) => /** @type {any} */ ([p, row?.[`${p}_latency_ms`] == null ? '—' : `${tenth(row[`${p}_latency_ms`])} ms`, `${p} of the latency of successes`, change(row?.[`${p}_latency_ms`], before?.[`${p}_latency_ms`]), line(`${p}_latency_ms`), few ? 'few' : ''])),
    ['Failovers/min', tenth(failovers), 'Failed tries before the final one, per minute', change(failovers, before ? Number(before.failover_count) / windowMinutes : null), line('failover_count'), ''],
    ['Open circuits', whole(open), 'Reports of circuit breakers that are open', opening(open, opened[0] ?? null), opened, open ? 'bad' : ''],
  ];
  return html`<section class="tiles" aria-label="Totals">${list.map(([name, value, about, diff, spark, tone]) => html`
    <div class="tile" tabindex="0" title=${`${about}. ${basis(part?.meta)}`}><h2>${name}</h2><p class="value ${tone}">${value}</p>
    <p class="change" title=${diff.title}>${diff.text}</p>${sparkline(spark, name === 'Success')}${few && tone === 'few' ? html`<small class="few">n=${row?.samples}</small>` : nothing}</div>`)}
    <div class="under">${coverage(part?.meta)}</div></section>`;
}

/** @param {number | null} now @param {number | null} before */
function opening(now, before) {
  if (now === null || before === null) return { text: '—', title: 'How many were when the window began is not known' };
  const d = now - before;
  return { text: d === 0 ? '± 0' : `${d > 0 ? '+' : '−'}${Math.abs(d)}`, title: `When the window began: ${before}` };
}

/** How many circuits were open at the steps of the window, from now back by the changes. @param {import('../app.js').View} v @param {number} now */
function openOverTime(v, now) {
  const changes = v.rows('changes').sort((a, b) => b.at - a.at);
  const meta = v.part('providers')?.meta;
  const [from, to] = range(meta, v.now);
  const known = knownSince(meta, from);
  const steps = 30;
  /** @type {(number | null)[]} */ const values = [];
  let open = now;
  let i = 0;
  for (let step = steps; step >= 0; step--) {
    const at = from + ((to - from) * step) / steps;
    for (; i < changes.length && changes[i].at > at; i++) open += changes[i].to === 'open' ? -1 : changes[i].from === 'open' ? 1 : 0;
    values.unshift(at < known ? null : Math.max(open, 0));
  }
  return values;
}

const subjects = /** @type {Record<string, (r: Row) => string>} */ ({
  provider: (r) => `${r.chain} / ${r.provider_id}`, chain: (r) => r.chain, node: (r) => r.node, sender: (r) => r.sender, profile: () => 'this profile',
});

/** Where an alarm leads to. @param {Row} r @returns {any} */
const target = (r) => (r.subject === 'provider' ? { view: 'provider', chain: r.chain, provider: r.provider_id }
  : r.subject === 'chain' ? { view: 'chains', chain: r.chain } : r.subject === 'profile' ? { view: 'system' } : { view: 'cluster' });

const severities = ['critical', 'warning', 'notice'];

/** Worst first, as the server orders them. @param {Row[]} rows */
const worstFirst = (rows) => rows.sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity) || a.rank - b.rank || Number(a.since_at) - Number(b.since_at) || (a.key < b.key ? -1 : 1));

/** No alarm: good news only where there is data that could have raised one. @param {Meta} meta @param {import('../url.js').State} s */
function calm(meta, s) {
  const { providers, unknown } = meta.judged ?? { providers: 0, unknown: 0 };
  const { nodes, senders } = meta.coverage;
  const cover = html`<span class="quiet">Nodes ${nodes.reporting}/${nodes.known}, senders ${senders.reporting}/${senders.known} reporting.</span>`;
  if (!providers) return html`<p class="none nodata"><span aria-hidden="true">?</span> ${unknown ? `Of ${whole(unknown)} providers nothing is known in this window` : `There is no data of the profile ${s.profile}${s.region ? ` in ${s.region}` : ''}`}, so nothing can be said. ${cover}</p>`;
  return html`<p class="calm"><span class="good" aria-hidden="true">✓</span> Nothing is wrong by the rules with ${whole(providers)} provider${providers > 1 ? 's' : ''}${unknown ? `; of ${whole(unknown)} others nothing is known` : ''}. ${cover}</p>`;
}

/** @param {import('../app.js').View} v */
function attention(v) {
  const part = v.part('attention');
  const q = v.queries.attention;
  const { rows, gone } = places('attention', q, worstFirst(v.rows('attention')));
  return html`<section class="attention" id="attention" aria-label="Attention">
    <div class="bar"><h2>Attention <small>${part ? rows.length - gone.size : ''}</small></h2>${tools(q, 'attention')}</div>
    <div class="box">${!part ? html`<p class="quiet">Waiting for the node…</p>`
      : rows.length === 0 ? calm(/** @type {Meta} */ (part.meta), v.state)
        : html`<ol data-list="attention">${rows.map((r) => {
          const [glyph, word, tone] = look(r.severity);
          return html`<li data-key=${r.key} class=${gone.has(r.key) ? 'gone' : ''}><a href=${v.href(target(r))} title=${`Rule ${r.rule}, since ${instant(r.since_at)}`}>
            <span class="badge ${tone}"><span aria-hidden="true">${glyph}</span><span class="hidden">${word}</span></span>
            <span class="what"><b>${subjects[r.subject]?.(r) ?? r.key}</b> <span class=${tone}>${r.rule.replaceAll('_', ' ')}</span></span>
            <span class="since">${gone.has(r.key) ? 'over' : span(v.now - Number(r.since_at))}</span>
            <span class="detail quiet">${r.detail}</span> <time class="quiet">${clock(r.since_at)}</time></a></li>`;
        })}</ol>`}</div></section>`;
}

/** @param {import('../app.js').View} v */
function matrix(v) {
  const part = v.part('providers');
  const rows = v.found('providers', 'providers of the matrix by chain/name');
  const chains = [...new Set(rows.map((r) => r.chain))].sort();
  const names = [...new Set(rows.map((r) => r.provider_id))].sort();
  const by = new Map(rows.map((r) => [r.key, r]));
  const under = basis(part?.meta);
  return html`<section class="matrix" id="matrix" aria-label="Chains and providers">
    <div class="bar"><h2>Chains × providers <small>p95 ms</small></h2>${tools(v.queries.providers, 'providers', { search: v.state.q })}</div>
    ${names.length === 0 ? html`<p class="quiet">${part ? 'No provider has been heard of.' : 'Waiting for the node…'}</p>` : html`
    <div class="scroll" tabindex="0" role="group" aria-label="Chains and providers, scrolls"><table>
    <thead><tr><th scope="col" class="text">Provider</th>${chains.map((c) => html`<th scope="col"><a href=${v.href({ view: 'chains', chain: c })}>${c}</a></th>`)}</tr></thead>
    <tbody data-list="matrix">${names.map((n) => html`<tr><th scope="row" class="text" title=${n}>${n}</th>${chains.map((c) => {
      const r = by.get(`${c}/${n}`);
      return r ? remembered(r, `matrix ${under} ${v.base} ${stale(r.last_seen_at, v.now)}`, () => matrixCell(v, r, under)) : html`<td class="absent"><span class="hidden">not used</span></td>`;
    })}</tr>`)}</tbody></table></div>`}</section>`;
}

/** @param {import('../app.js').View} v @param {Row} r @param {string} under */
function matrixCell(v, r, under) {
  const [glyph, word, tone] = look(r.status);
  const reasons = r.status_reasons.length ? ` (${r.status_reasons.join('; ')})` : '';
  return html`<td class=${`${tone}${stale(r.last_seen_at, v.now) ? ' aged' : ''}`} data-key=${r.key}><a href=${v.href({ view: 'provider', chain: r.chain, provider: r.provider_id })}
    title=${`${r.provider_id} on ${r.chain}: ${word}${reasons}. p95 ${r.p95_latency_ms ?? 'no data'} ms of n=${r.samples}, last call ${clock(r.last_seen_at)}. ${under}`}
    ><span aria-hidden="true">${glyph}</span><span class="hidden">${word}, p95 </span> <span class=${r.samples < fewCalls ? 'few' : ''}>${whole(r.p95_latency_ms)}</span></a></td>`;
}

/** Of many providers, those with the most calls have lines. */
const ownLines = 8;
/** @type {string[]} theirs, by name: they keep them until another has half as many calls again */
let chosen = [];

/** @param {Line[]} lines */
function choose(lines) {
  const volume = new Map(lines.map((l) => [l.key, l.points.reduce((n, [, value]) => n + (value ?? 0), 0)]));
  const of = (/** @type {string} */ key) => volume.get(key) ?? 0;
  const best = [...volume.keys()].sort((a, b) => of(b) - of(a)).slice(0, ownLines);
  const least = Math.min(...chosen.map(of));
  if (chosen.length !== best.length || chosen.some((key) => !volume.has(key)) || best.some((key) => !chosen.includes(key) && of(key) > 1.5 * least)) chosen = best.sort();
  return lines.filter((l) => chosen.includes(l.key)).sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** @param {import('../app.js').View} v */
function charts(v) {
  const part = v.part('providerLines');
  const lines = linesOf(part, 'calls_per_second');
  const steps = axis(lines, part?.meta);
  const top = choose(lines);
  const colors = colorsOf(top.map((l) => l.provider_id));
  /** @type {ChartLine[]} */
  const traffic = top.map((l) => ({ label: l.provider_id, values: valuesAt(l, steps.at), color: colors.get(l.provider_id) ?? '' }));
  const totals = v.part('totalLines');
  const when = axis(linesOf(totals, 'p50_latency_ms'), totals?.meta);
  const percentiles = ['p50', 'p95', 'p99'].map((p, i) => ({ label: p, values: valuesAt(linesOf(totals, `${p}_latency_ms`)[0], when.at), color: lineColors[i] }));
  const span = range(part?.meta, v.now);
  /** @type {[ChartModel, string][]} */
  const models = [
    [{ name: `Traffic by provider, calls/s${top.length < lines.length ? ` · the ${top.length} busiest of ${lines.length}` : ''}`, ...steps, lines: traffic, marks: marks(v, true), range: span, text: tenth, height: 190 }, v.queries.providerLines],
    [{ name: 'Latency of successes, ms', ...when, lines: percentiles, marks: marks(v, true), range: span, text: tenth, height: 190 }, v.queries.totalLines],
  ];
  return html`<section class="charts" aria-label="Over time">${models.map(([m, q]) => figure(m, q))}</section>`;
}
