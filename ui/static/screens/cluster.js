// The nodes that share their numbers, and the gateways that report to them: who is
// included in what the other screens show.

import { html } from '../vendor/lit-html/lit-html.js';
import { age, bytes, instant, look, span, stale, tenth, whole } from '../format.js';
import { badge, basis, columns } from '../pieces.js';
import { table } from '../table.js';
import { query } from '../url.js';

export const title = 'Cluster';

/** @param {import('../url.js').State} s */
export const queries = (s) => ({ members: 'cluster', nodes: query(s, 'nodes'), regions: query(s, 'regions'), senders: query(s, 'senders') });

/** What a member is, in a word: staleness and restarts matter more than what the pool says. @param {Row} r */
const state = (r) => (r.state !== 'alive' ? r.state : r.restarting ? 'restarting' : r.stale ? 'stale' : 'alive');

/** @type {Map<string, { at: number, in: number, out: number, rateIn: number | null, rateOut: number | null }>} */
const flows = new Map();

/** Bytes a second of a member, between its totals. @param {Row} r @param {number} now */
function flow(r, now) {
  const before = flows.get(r.key);
  if (before && now - before.at < 2000) return before;
  const rate = (/** @type {number} */ a, /** @type {number} */ b) => (before && a >= b ? ((a - b) * 1000) / (now - before.at) : null);
  const next = { at: now, in: r.bytes_in_total, out: r.bytes_out_total, rateIn: rate(r.bytes_in_total, before?.in ?? 0), rateOut: rate(r.bytes_out_total, before?.out ?? 0) };
  flows.set(r.key, next);
  return next;
}

/** @param {import('../app.js').View} v */
export function draw(v) {
  const part = v.part('members');
  const calls = new Map(v.rows('nodes').map((r) => [r.key, r]));
  const meta = part?.meta;
  const c = columns;
  const cover = meta?.coverage;
  const deltaAge = (/** @type {Row} */ r) => r.delta_age_ms + v.now - r.heard_at;
  const perSecond = (/** @type {number | null} */ n) => (n === null ? '—' : `${bytes(n)}/s`);
  return html`<dl class="facts">
      <div tabindex="0" title="Nodes whose numbers are in what is shown, of those known"><dt>Nodes reporting</dt><dd class=${cover && cover.nodes.reporting < cover.nodes.known ? 'warn' : ''}>${cover ? `${cover.nodes.reporting} of ${cover.nodes.known}` : '—'}</dd></div>
      <div tabindex="0" title="Gateway processes heard of in the last minute, of those heard of in the last hour"><dt>Senders reporting</dt><dd class=${cover && cover.senders.reporting < cover.senders.known ? 'warn' : ''}>${cover ? `${cover.senders.reporting} of ${cover.senders.known}` : '—'}</dd></div>
      <div tabindex="0" title="How old the oldest of what nodes report is"><dt>Oldest numbers</dt><dd>${meta ? `${tenth(meta.oldest_node_age_ms / 1000)} s` : '—'}</dd></div>
      <div tabindex="0" title="The node that answers"><dt>Answered by</dt><dd class="id">${meta?.node ?? '—'}</dd></div>
    </dl>
    ${table({
      id: 'members', caption: 'Nodes', query: v.queries.members, rows: v.rows('members'), context: v.now, vary: (r) => `${tenth(calls.get(r.key)?.calls_per_second)} ${Math.floor(deltaAge(r) / 100)} ${perSecond(flow(r, v.now).rateIn)} ${span(v.now - r.incarnation)}`,
      columns: [
        { field: 'name', head: 'Node', left: true, scope: true, text: (r) => r.name },
        { field: 'state', head: 'State', left: true, text: (r) => badge(state(r)) },
        { field: 'region', head: 'Region', left: true, text: (r) => r.region },
        { field: 'rate', head: 'Calls/s', about: 'Calls per second that it counted', exact: (r) => String(calls.get(r.key)?.calls_per_second ?? 'no data'), text: (r) => tenth(calls.get(r.key)?.calls_per_second) },
        { field: 'delta_age_ms', head: 'Delta age', about: 'Age of its numbers here, ms', exact: (r) => String(Math.round(deltaAge(r))), text: (r) => (deltaAge(r) < 60_000 ? `${tenth(deltaAge(r) / 1000)} s` : span(deltaAge(r))), tone: (r) => (r.stale ? 'warn' : '') },
        { field: 'sequence', head: 'Sequence', about: 'Ticks of this run', text: (r) => whole(r.sequence) },
        { field: 'gaps_total', head: 'Gaps', about: 'Deltas of it that were missing', text: (r) => whole(r.gaps_total) },
        { field: 'pulls_total', head: 'Pulls', about: 'Repairs and large deltas fetched from it', text: (r) => whole(r.pulls_total) },
        { field: 'inline_share', head: 'Inline %', about: 'Share of deltas that came whole by gossip', text: (r) => (r.inline_share === null ? '—' : tenth(100 * r.inline_share)) },
        { field: 'divergence_total', head: 'Divergence', about: 'Times its digest differed at the same sequence; must stay 0', text: (r) => whole(r.divergence_total), tone: (r) => (r.divergence_total ? 'bad' : '') },
        { field: 'bytes_in_total', head: 'In', about: 'Bytes from it, in total', exact: (r) => bytes(r.bytes_in_total), text: (r) => perSecond(flow(r, v.now).rateIn) },
        { field: 'bytes_out_total', head: 'Out', about: 'Bytes to it, in total', exact: (r) => bytes(r.bytes_out_total), text: (r) => perSecond(flow(r, v.now).rateOut) },
        { field: 'clock_skew_ms', head: 'Skew', about: 'Its clock against this node’s, ms', text: (r) => `${whole(r.clock_skew_ms)} ms`, tone: (r) => (Math.abs(r.clock_skew_ms) > 5000 ? 'warn' : '') },
        { field: 'incarnation', head: 'Runs for', about: 'Its run began', exact: (r) => instant(r.incarnation), text: (r, now) => (r.state === 'alive' ? span(now - r.incarnation) : '—') },
      ],
      empty: 'Waiting for the node…',
    })}
    <div class="two">${table({
      id: 'regions', caption: 'Regions', query: v.queries.regions, rows: v.rows('regions'), basis: basis(v.part('regions')?.meta), context: v.now,
      vary: (r) => `${age(r.last_seen_at, v.now)} ${tenth(r.calls_per_second)}`,
      columns: [{ field: 'region', head: 'Region', left: true, scope: true, text: (r) => r.region }, c.rate, c.success, c.p95, c.last],
      empty: 'No region has been heard of.',
    })}
    ${table({
      id: 'senders', caption: 'Senders', query: v.queries.senders, rows: v.found('senders', 'senders by name'), search: v.state.q, context: v.now,
      vary: (r) => `${age(r.last_seen_at, v.now)} ${tenth(r.calls_per_second)}`,
      columns: [
        { field: 'source_node', head: 'Sender', left: true, scope: true, text: (r) => r.source_node },
        { field: 'reporting', head: 'State', left: true, text: (r) => html`<span class="badge ${r.reporting ? 'good' : 'warn'}"><span aria-hidden="true">${look(r.reporting ? 'alive' : 'stale')[0]}</span> ${r.reporting ? 'reporting' : 'silent'}</span>` },
        { field: 'region', head: 'Region', left: true, text: (r) => r.region },
        { field: 'calls_per_second', head: 'Calls/s', about: 'Calls per second over the last minute', text: (r) => tenth(r.calls_per_second) },
        { field: 'lateness_ms', head: 'Late', about: 'How old the events of its last batch were at arrival, ms at most', text: (r) => (r.lateness_ms === null ? '—' : `${whole(r.lateness_ms)} ms`) },
        { field: 'clock_offset_ms', head: 'Offset', about: 'Arrival less ts of its newest event, ms; negative is a clock that is ahead', text: (r) => (r.clock_offset_ms === null ? '—' : `${whole(r.clock_offset_ms)} ms`), tone: (r) => (Number(r.clock_offset_ms) < -5000 ? 'warn' : '') },
        { field: 'last_seen_at', head: 'Last', about: 'Age of its newest event', exact: (r) => instant(r.last_seen_at), text: (r, now) => age(r.last_seen_at, now), tone: (r, now) => (stale(r.last_seen_at, now) ? 'warn' : '') },
      ],
      empty: 'Nobody has reported in the last hour.',
    })}</div>`;
}
