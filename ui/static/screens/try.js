// Nothing has ever arrived: how to send and how to read, and a button that sends
// samples. They would be false alarms where there is real traffic, so it is there only
// as long as nothing has come, and they have a profile of their own.

import { html, nothing } from '../vendor/lit-html/lit-html.js';
import { copy } from '../table.js';

export const title = 'Try it';

export const queries = () => ({});

/** Of the samples, and of nothing else. */
export const profile = 'try-it';

let said = '';

/** @type {boolean | null} whether nothing ever came, once it is known */
let untouched = null;

/** Nothing in the last hour to any node, and no request to this one since its start. */
async function ask() {
  const [profiles, runtime] = await Promise.all(['profiles?fields=profile', 'runtime'].map(async (q) => (await fetch(`api/v1/${q}`)).json()));
  untouched = profiles.rows.length === 0 && runtime.rows.find((/** @type {Row} */ r) => r.key === 'ingest_requests')?.value === 0;
  dispatchEvent(new Event('remuda-refresh'));
}

/** Posts events such as gateways do: most calls are well, one provider is slow, one fails. @param {import('../app.js').View} v */
async function send(v) {
  const lines = [];
  const providers = [['ethereum', 'alchemy_primary', 38], ['ethereum', 'ethereum_drpc', 61], ['ethereum', 'ethereum_llamarpc', 240], ['base', 'base_official', 33], ['base', 'base_publicnode', 58]];
  const methods = ['eth_blockNumber', 'eth_call', 'eth_getLogs', 'eth_getBalance'];
  for (let i = 0; i < 200; i++) {
    const [chain, provider_id, usual] = /** @type {[string, string, number]} */ (providers[i % providers.length]);
    const failed = provider_id === 'ethereum_llamarpc' ? Math.random() < 0.7 : Math.random() < 0.01;
    lines.push({
      profile, chain, provider_id, method: methods[Math.floor(Math.random() * methods.length)], strategy: 'fastest', source_node: 'browser', source_region: 'try-it',
      duration_ms: Math.round(usual * Math.exp(0.4 * (Math.random() + Math.random() + Math.random() - 1.5)) * 10) / 10,
      result: failed ? 'error' : 'success', error_category: failed ? 'timeout' : null,
    });
  }
  /** @type {any[]} */ const reports = providers.map(([chain, provider_id], i) => ({ type: 'block', profile, chain, provider_id, source_node: 'browser', source_region: 'try-it', height: (chain === 'base' ? 34_500_000 : 21_900_000) - (i % 2) }));
  reports.push({ type: 'circuit', profile, chain: 'ethereum', provider_id: 'ethereum_llamarpc', source_node: 'browser', source_region: 'try-it', from: 'closed', to: 'open', reason: 'failure_threshold_exceeded' });
  try {
    await ask();
    if (!untouched) return;
    const answer = await fetch('api/v1/events', { method: 'POST', headers: { 'Content-Type': 'application/x-ndjson' }, body: [...lines, ...reports].map((l) => JSON.stringify(l)).join('\n') });
    const body = await answer.json();
    if (answer.ok) v.go({ view: 'overview', profile, region: '' });
    else said = `The node refused them: ${body.detail}`;
  } catch (e) {
    said = `They could not be sent: ${e}`;
  }
  dispatchEvent(new Event('remuda-refresh'));
}

/** @param {import('../app.js').View} v */
export function draw(v) {
  const at = new URL('.', location.href).href.slice(0, -1); // a proxy may have put the node below a path
  if (!v.ever && untouched === null) ask().catch(() => {}); // then there is no button
  const event = '{"chain":"ethereum","provider_id":"alchemy_primary","method":"eth_call","duration_ms":42,"result":"success"}';
  const snippets = [
    ['Send an event', `curl ${at}/api/v1/events -d '${event}'`],
    ['Send a log as it grows', `tail -F gateway.ndjson | remuda send --url ${at} -`],
    ['Read providers as a table', `curl '${at}/api/v1/providers?format=table'`],
    ['Ask which provider a router should prefer', `curl '${at}/api/v1/rank?chain=ethereum'`],
    ['Follow them live', `curl -N '${at}/api/v1/providers?format=sse'`],
  ];
  return html`<section class="try"><h2>${v.ever ? 'Try it' : 'No data yet'}</h2>
    <p>${v.ever ? 'Events arrive at this node.' : untouched === false ? 'Nothing has arrived in the last hour.' : 'Nothing has arrived at this node.'} Post an event for every call that a gateway makes, and this page shows which provider is slow, failing, lagging or cut off.</p>
    ${!v.ever && untouched ? html`<p><button type="button" class="primary" @click=${() => send(v)}>Send sample events</button> <span role="status">${said}</span></p>
    <p class="quiet">200 made-up calls to five providers, of which one fails. They go into a profile of their own, “${profile}”, and are gone after an hour. The button goes as soon as anything arrives.</p>` : nothing}
    ${snippets.map(([name, text]) => html`<div class="snippet"><h3>${name}</h3><pre>${text}</pre><button type="button" @click=${(/** @type {Event} */ e) => copy(e, text)}>copy</button></div>`)}
    <p class="quiet">All that can be sent and asked for is described at <a href="openapi.json">openapi.json</a>.</p></section>`;
}
