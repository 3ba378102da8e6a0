// Chains: who is at which height, how far behind, and who has which share of the
// calls, now and before.

import { html, nothing } from '../vendor/lit-html/lit-html.js';
import { age, tenth, whole } from '../format.js';
import { basis, change, columns, coverage, names } from '../pieces.js';
import { table } from '../table.js';
import { query } from '../url.js';

/** @param {import('../url.js').State} s */
export const title = (s) => (s.chain ? `Chain ${s.chain}` : 'Chains');

/** @param {import('../url.js').State} s */
export const queries = (s) => ({
  chains: query(s, 'chains', { chain: s.chain, compare: 'previous' }),
  providers: query(s, 'providers', { chain: s.chain, compare: 'previous', fields: 'chain,provider_id,status,status_reasons,samples,total_calls,traffic_pct,success_rate_pct,p95_latency_ms,block_height,block_lag_blocks,previous,last_seen_at' }),
});

/** @param {import('../app.js').View} v */
export function draw(v) {
  const chains = v.part('chains');
  const providers = v.part('providers');
  const c = columns;
  const share = { ...c.traffic, head: 'Traffic %', about: 'Share of the chain’s calls, percent' };
  /** @type {Column} */
  const before = {
    field: 'before', head: 'Before %', about: 'Share of the chain’s calls in the time before the window, percent', value: (r) => r.previous?.traffic_pct,
    exact: (r) => String(r.previous?.traffic_pct ?? 'not known'), text: (r) => tenth(r.previous?.traffic_pct),
  };
  /** @type {Column} */
  const moved = {
    field: 'moved', head: 'Change', about: 'Share now less share before', value: (r) => (r.traffic_pct === null || typeof r.previous?.traffic_pct !== 'number' ? null : r.traffic_pct - r.previous.traffic_pct),
    exact: (r) => `${r.traffic_pct ?? 'no data'} % now, ${r.previous?.traffic_pct ?? 'not known'} % before`, text: (r) => change(r.traffic_pct, r.previous?.traffic_pct, true).text,
  };
  const tallest = new Map();
  for (const r of v.rows('providers')) tallest.set(r.chain, Math.max(tallest.get(r.chain) ?? 0, r.block_height ?? 0));
  return html`${coverage(chains?.meta)}${v.state.chain ? html`<p><a href=${v.href({ chain: '', sort: '' })}>All chains</a></p>` : nothing}${table({
    id: 'chains', caption: v.state.chain ? `Chain ${v.state.chain}` : 'Chains', query: v.queries.chains, basis: basis(chains?.meta), context: v.now,
    rows: v.found('chains', 'chains by name'), search: v.state.q,
    vary: (r) => `${age(r.last_seen_at, v.now)} ${Math.round(10 * (r.calls_per_second ?? 0))} ${v.base}`,
    columns: [
      { field: 'chain', head: 'Chain', left: true, scope: true, text: (r) => html`<a class="row" href=${v.href({ chain: r.chain })}>${r.chain}</a>` },
      c.rate, { field: 'more', head: 'Change', about: 'Calls against the time before', exact: (r) => `${r.total_calls} now, ${r.previous?.total_calls ?? 'not known'} before`, text: (r) => change(r.calls_per_second, r.previous?.calls_per_second).text },
      c.success, c.p50, c.p95, c.p99, { field: 'failover_count', head: 'Failovers', about: 'Failed tries before the final one', text: (r) => whole(r.failover_count) }, c.last,
    ],
    empty: chains ? 'No chain has been heard of in the last hour.' : 'Waiting for the node…',
  })}
  ${table({
    id: 'heights', caption: v.state.chain ? `Providers of ${v.state.chain}` : 'Heights and shares', query: v.queries.providers, go: v.go, sort: v.state.sort, basis: basis(providers?.meta), rows: v.found('providers', 'providers by chain/name'), search: v.state.q, context: v.now,
    vary: (r) => `${tallest.get(r.chain) - (r.block_height ?? 0)} ${age(r.last_seen_at, v.now)} ${v.base}`,
    columns: [
      ...names(v), c.status,
      { field: 'block_height', head: 'Height', about: 'The highest fresh height', text: (r) => whole(r.block_height) },
      { field: 'behind', head: 'Below top', about: 'Blocks below the highest of the chain', sort: false, exact: (r) => (r.block_height === null ? 'no data' : String(tallest.get(r.chain) - r.block_height)), text: (r) => (r.block_height === null ? '—' : html`<meter aria-label="Blocks below the highest" min="0" max="20" low="2.5" high="10.5" optimum="0" value=${Math.min(tallest.get(r.chain) - r.block_height, 20)}></meter>${whole(tallest.get(r.chain) - r.block_height)}`) },
      c.lag, share, before, moved, c.success, c.p95,
    ],
    empty: providers ? 'No provider.' : 'Waiting for the node…',
  })}`;
}
