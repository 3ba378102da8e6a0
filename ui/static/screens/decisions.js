// The feed of decisions. It is a sample, and says at what rate; a row opens the
// whole decision.

import { html, nothing } from '../vendor/lit-html/lit-html.js';
import { age, instant, look, moment, tenth, whole } from '../format.js';
import { badge } from '../pieces.js';
import { table } from '../table.js';
import { query } from '../url.js';

export const title = 'Decisions';

/** @param {import('../url.js').State} s */
const filters = (s) => ({ chain: s.chain, provider_id: s.provider, result: s.result, error_category: s.category, min_duration_ms: s.min });

/** @param {import('../url.js').State} s */
export const queries = (s) => ({ decisions: query(s, 'decisions', { ...filters(s), limit: '100' }) });

/** What the URL names a decision by: its request, which others can find too, if it has one. @param {Row} r */
export const named = (r) => r.request_id ?? r.key;

/** A decision that was looked for by a provider which was called beside another one, or failed before. @param {Row} r */
const otherTry = (r) => (r.attempts.every((/** @type {any} */ a) => a.result === 'error')
  ? html`<span class="badge warn" title=${`Tried, and failed, before the final call to ${r.provider_id}`}><span aria-hidden="true">↷</span> failed try</span> <small class="quiet">then ${look(r.result)[1]}</small>`
  : html`<span class="badge none" title=${`Tried beside the final call to ${r.provider_id}`}><span aria-hidden="true">↷</span> other try</span> <small class="quiet">beside ${look(r.result)[1]}</small>`);

/** Of whom the feed is a sample: how many decisions are from where. @param {Meta | null | undefined} meta */
function sample(meta) {
  const { by_region: regions, by_node: nodes } = meta?.sample ?? {};
  if (!regions || !nodes) return nothing;
  const most = 6;
  const list = (/** @type {Record<string, number>} */ by) => Object.entries(by).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([name, n]) => `${name} ${whole(n)}`);
  const few = (/** @type {string[]} */ all) => (all.length ? all.slice(0, most).join(', ') + (all.length > most ? ` and ${all.length - most} more` : '') : 'none');
  return html`<p class="quiet" title=${`Regions: ${list(regions).join(', ')}. Nodes: ${list(nodes).join(', ')}`}>Sample by region: ${few(list(regions))} · by node: ${few(list(nodes))}</p>`;
}

/** @param {import('../app.js').View} v @returns {Column[]} */
export const decisionColumns = (v) => [
  { field: 'ts', head: 'Time', left: true, scope: true, text: (r) => html`<button type="button" class="row link" aria-haspopup="dialog" @click=${() => v.go({ id: named(r) })} title=${instant(r.ts)}>${moment(r.ts)}</button>` },
  { field: 'result', head: 'Result', left: true, text: (r) => (r.found_by === 'attempts' ? otherTry(r) : badge(r.result, r.error_category ?? '')) },
  { field: 'chain', head: 'Chain', left: true, text: (r) => r.chain },
  { field: 'provider_id', head: 'Provider', left: true, text: (r) => html`<a href=${v.href({ view: 'provider', chain: r.chain, provider: r.provider_id })}>${r.provider_id}</a>` },
  { field: 'method', head: 'Method', left: true, text: (r) => r.method },
  { field: 'duration_ms', head: 'ms', about: 'Duration of the request', text: (r) => tenth(r.duration_ms) },
  { field: 'failover_count', head: 'Failovers', about: 'Failed tries before the final one', text: (r) => whole(r.failover_count), tone: (r) => (r.failover_count ? 'warn' : '') },
  { field: 'error_category', head: 'Error', left: true, text: (r) => r.error_category ?? '—' },
  { field: 'region', head: 'Region', left: true, text: (r) => r.region },
  { field: 'age', head: 'Age', about: 'Since its ts', exact: (r) => instant(r.ts), text: (r, now) => age(r.ts, now) },
];

/** @param {import('../app.js').View} v */
export function draw(v) {
  const part = v.part('decisions');
  const s = v.state;
  const rows = v.sought(part?.feed ?? [], (r) => `${r.chain}/${r.provider_id}/${r.method}/${r.request_id ?? ''}`, 'decisions by chain/provider/method/request').slice(0, 100);
  const rate = v.rates;
  const change = (/** @type {string} */ name) => (/** @type {Event} */ e) => v.go({ [name]: /** @type {HTMLInputElement} */ (e.target).value.trim() });
  return html`<form class="filters" @submit=${(/** @type {Event} */ e) => e.preventDefault()}>
      <label>Result <select .value=${s.result} @change=${change('result')}><option value="">any</option><option>success</option><option>error</option><option>cancelled</option></select></label>
      <label>Category <input .value=${s.category} @change=${change('category')} placeholder="any" size="14" spellcheck="false" autocomplete="off"></label>
      <label>Chain <input .value=${s.chain} @change=${change('chain')} placeholder="any" size="12" spellcheck="false" autocomplete="off"></label>
      <label>Provider <input .value=${s.provider} @change=${change('provider')} placeholder="any" size="16" spellcheck="false" autocomplete="off"></label>
      <label>At least, ms <input .value=${s.min} @change=${change('min')} placeholder="0" size="6" inputmode="decimal" autocomplete="off"></label>
      <p class="quiet" title="Counts are never sampled, only this feed is. Errors and failovers have room of their own in it.">${rate ? `${tenth(rate.shown)}/s of ${tenth(rate.seen)}/s shown` : ''}</p>
      ${sample(part?.meta)}
    </form>
    ${table({
      id: 'decisions', caption: 'Decisions', query: v.queries.decisions, rows, feed: true, columns: decisionColumns(v), context: v.now, vary: (r) => `${age(r.ts, v.now)} ${v.base}`,
      empty: part ? 'None in the feed.' : 'Waiting for the node…',
    })}`;
}

/** The whole decision, for the dialog. @param {Row} row */
export function details(row) {
  const { attempts, heard_at: _, ...rest } = row;
  return html`<dl class="all">${Object.entries(rest).map(([name, value]) => html`<dt>${name}</dt><dd>${value === null ? '—' : name === 'ts' ? `${value} (${instant(row.ts)})` : String(value)}</dd>`)}</dl>
    ${attempts?.length ? html`<h3>Other tries</h3><ol>${attempts.map((/** @type {any} */ a) => html`<li>${a.provider_id} ${a.transport}: ${tenth(a.duration_ms)} ms, ${a.result === 'error' ? `${a.error_category ?? 'unknown_error'} ${a.error_code ?? ''}` : look(a.result)[1]}${a.reason ? ` (${a.reason})` : ''}</li>`)}</ol>` : nothing}`;
}
