// The head of the page: screens, and what all of them depend on.

import { html, nothing } from './vendor/lit-html/lit-html.js';
import { zone } from './format.js';
import { windows } from './url.js';

const screens = ['overview', 'providers', 'chains', 'decisions', 'cluster', 'system'];

/**
 * @param {import('./app.js').View} v
 * @param {object} o
 * @param {string} o.name of the screen @param {number} o.alarms @param {boolean} o.paused
 * @param {(q: string) => void} o.search @param {() => void} o.pause @param {() => void} o.theme @param {() => void} o.zone @param {() => void} o.help
 */
export function header(v, o) {
  const s = v.state;
  const link = (/** @type {string} */ view) => html`<a href=${v.href({ view })} aria-current=${s.view === view || (view === 'providers' && s.view === 'provider') ? 'page' : nothing}>${view[0].toUpperCase() + view.slice(1)}${view === 'overview' ? html` <span class="count" title="Things that need attention">${o.alarms || ''}</span>` : nothing}</a>`;
  const choice = (/** @type {'profile' | 'window' | 'region'} */ id, /** @type {string[]} */ values, any = '') => html`<label><span class="hidden">${id}</span> <select id=${id} title=${id} @change=${(/** @type {Event} */ e) => v.go({ [id]: /** @type {HTMLSelectElement} */ (e.target).value })}>
      ${any ? html`<option value="" .selected=${!s[id]}>${any}</option>` : nothing}${values.map((x) => html`<option .selected=${x === s[id]}>${x}</option>`)}</select></label>`;
  const known = (/** @type {string} */ part, /** @type {string} */ chosen) => [...new Set([chosen, ...v.rows(part).map((r) => r.key)])].filter(Boolean).sort();
  const profiles = [...new Set([...known('profiles', s.profile), 'default'])].sort();
  return html`<h1><a href="./"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 12V8m3.3 4V4m3.4 8V6m3.3 6V9"></path></svg>remuda</a><span class="hidden">, ${o.name}</span></h1>
    <nav aria-label="Screens">${screens.map(link)}</nav>
    <form class="controls" role="search" @submit=${(/** @type {Event} */ e) => e.preventDefault()}>
      ${profiles.length > 1 ? choice('profile', profiles) : nothing}${choice('window', windows)}${choice('region', known('allRegions', s.region), 'all regions')}
      <label><span class="hidden">search</span> <input id="search" type="search" placeholder="search  /" .value=${s.q} autocomplete="off" spellcheck="false" @input=${(/** @type {Event} */ e) => o.search(/** @type {HTMLInputElement} */ (e.target).value)}></label>
      <button type="button" id="pause" aria-pressed=${o.paused} @click=${o.pause} title="Keeps what is shown as it is (p)">${o.paused ? 'resume' : 'pause'}</button>
      <button type="button" id="zone" @click=${o.zone} title="Times of day: in your zone or in UTC (u)">${zone()}</button>
      <button type="button" id="theme" @click=${o.theme} title="Theme: light, dark, as the system (t)"><span aria-hidden="true">◐</span><span class="hidden">theme</span></button>
      <button type="button" id="keys" @click=${o.help} title="Keys (?)"><span aria-hidden="true">?</span><span class="hidden">keys</span></button>
    </form>`;
}
