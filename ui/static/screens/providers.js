// All providers: the columns of `remuda top`.

import { html } from '../vendor/lit-html/lit-html.js';
import { age } from '../format.js';
import { basis, columns, coverage, names } from '../pieces.js';
import { table } from '../table.js';
import { query } from '../url.js';

export const title = 'Providers';

const fields = 'chain,provider_id,status,status_reasons,circuit,calls_per_second,total_calls,samples,success_rate_pct,cut_off_pct,p50_latency_ms,p95_latency_ms,p99_latency_ms,block_lag_blocks,traffic_pct,last_seen_at';

/** @param {import('../url.js').State} s */
export const queries = (s) => ({ providers: query(s, 'providers', { chain: s.chain, fields }) });

/** @param {import('../app.js').View} v */
export function draw(v) {
  const part = v.part('providers');
  const c = columns;
  const cut = v.rows('providers').some((r) => r.cut_off_pct); // most gateways cut nothing off
  return html`${coverage(part?.meta)}${table({
    id: 'providers', caption: v.state.chain ? `Providers of ${v.state.chain}` : 'Providers', query: v.queries.providers, go: v.go, sort: v.state.sort, basis: basis(part?.meta), context: v.now,
    rows: v.found('providers', 'providers by chain/name'), search: v.state.q,
    vary: (r) => `${age(r.last_seen_at, v.now)} ${Math.round(10 * (r.calls_per_second ?? 0))} ${v.base}`,
    columns: [...names(v), c.status, c.circuit, c.rate, c.calls, c.success, ...(cut ? [c.cut] : []), c.p50, c.p95, c.p99, c.lag, c.traffic, c.last],
    empty: part ? (v.state.q ? 'No provider matches the search.' : 'No provider has been heard of in the last hour.') : 'Waiting for the node…',
  })}`;
}
