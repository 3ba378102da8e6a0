// The page: one state, which is the URL; what the stream says about the queries
// that the screen needs; and one render per animation frame, however many frames
// came. Text from the node only ever becomes text: nothing here parses markup.

import { html, nothing, render } from './vendor/lit-html/lit-html.js';
import { repaint } from './chart.js';
import { Feed } from './feed.js';
import { span, tenth, whole } from './format.js';
import './heat.js';
import * as keys from './keys.js';
import { frozen } from './parts.js';
import { basis } from './pieces.js';
import { href, query, read, windows } from './url.js';
import * as chains from './screens/chains.js';
import * as cluster from './screens/cluster.js';
import * as decisions from './screens/decisions.js';
import * as overview from './screens/overview.js';
import * as provider from './screens/provider.js';
import * as providers from './screens/providers.js';
import * as system from './screens/system.js';
import * as tryIt from './screens/try.js';

/** @typedef {{ title: string | ((s: import('./url.js').State) => string), queries: (s: import('./url.js').State) => Record<string, string>, draw: (v: View) => any }} Screen */
/** @type {Record<string, Screen>} */
const screens = { overview, providers, provider, chains, decisions, cluster, system, try: tryIt };

const $ = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

let state = read();
/** @type {Map<string, import('./parts.js').Part> | null} what is shown while paused */
let held = null;
let heldAt = 0;
let waiting = 0;
let dirty = false;
/** @type {Mark[]} new runs of nodes that the page has seen begin */
const restarts = [];
/** @type {Map<string, number>} */ const runs = new Map();
/** @type {{ at: number, seen: number, shown: number }[]} */ let feedRates = [];
/** @type {Row | null} the decision in the dialog */ let opened = null;

const feed = new Feed((changes) => {
  if (held) waiting += changes;
  note();
  refresh();
});

/** What a screen is given to draw from. */
export class View {
  /** @param {import('./url.js').State} s @param {Record<string, string>} queries */
  constructor(s, queries) {
    this.state = s;
    this.queries = queries;
    this.now = held ? heldAt : serverNow();
    this.restarts = restarts;
    this.go = go;
    /** What links depend on besides their row. */
    this.base = `${s.window} ${s.profile} ${s.region}`;
    this.rates = rates();
    this.ever = [...(this.part('profiles')?.rows.keys() ?? [])].length > 0;
  }

  /** What is known about one of the screen's queries. @param {string} name */
  part(name) {
    const q = this.queries[name];
    return held?.get(q) ?? feed.parts.get(q);
  }

  /** @param {any} patch */
  href(patch) { return href(this.state, patch); }

  /** Whether the search lets a row through. @param {string} text */
  matches(text) { return !this.state.q || text.toLowerCase().includes(this.state.q.toLowerCase()); }

  /** The chains that a provider is used on, when it is more than one. @param {string} id */
  othersOf(id) {
    const names = [...(this.part('everyone')?.rows.values() ?? [])].filter((r) => r.provider_id === id).map((r) => r.chain).sort();
    if (names.length < 2) return nothing;
    return html`<p class="quiet">On ${names.map((c) => html` <a href=${this.href({ chain: c })} aria-current=${c === this.state.chain ? 'true' : nothing}>${c}</a>`)}</p>`;
  }
}

/** The queries of the screen and those of the header. @param {import('./url.js').State} s @returns {Record<string, string>} */
const queriesOf = (s) => ({
  ...screens[s.view].queries(s),
  attention: query(s, 'attention'),
  profiles: 'profiles?fields=profile',
  allRegions: query({ ...s, region: '' }, 'regions', { fields: 'region' }),
  members: s.view === 'cluster' ? 'cluster' : 'cluster?fields=name,incarnation',
  ...(s.view === 'provider' ? { everyone: query({ ...s, region: '' }, 'providers', { provider_id: s.provider, fields: 'chain,provider_id' }) } : {}),
});

let queries = queriesOf(state);

function serverNow() {
  const meta = [...feed.parts.values()].reduce((/** @type {Meta | null} */ newest, p) => (p.meta && p.meta.at > (newest?.at ?? 0) ? p.meta : newest), null);
  return meta ? meta.at + Math.max(Date.now() - feed.lastFrame, 0) : Date.now();
}

/** Notes what only the sequence of frames tells: new runs of nodes, the rate of the feed. */
function note() {
  const members = feed.parts.get(queries.members);
  for (const m of members?.rows.values() ?? []) {
    const before = runs.get(m.key);
    if (before && before !== m.incarnation) restarts.push({ at: members?.meta?.at ?? Date.now(), label: `↻ ${m.key} restarted`, tone: 'warn' });
    runs.set(m.key, m.incarnation);
  }
  const part = queries.decisions ? feed.parts.get(queries.decisions) : null;
  if (part?.meta && part.meta.at !== feedRates.at(-1)?.at) {
    feedRates.push({ at: part.meta.at, seen: part.seen, shown: part.shown });
    feedRates = feedRates.filter((r) => r.at > /** @type {Meta} */ (part.meta).at - 10_000);
  }
}

function rates() {
  if (feedRates.length < 2) return null;
  const seconds = (feedRates[feedRates.length - 1].at - feedRates[0].at) / 1000;
  const sum = (/** @type {'seen' | 'shown'} */ name) => feedRates.slice(1).reduce((n, r) => n + r[name], 0) / seconds;
  return { seen: sum('seen'), shown: sum('shown') };
}

/** Changes the state and so the URL. @param {Partial<import('./url.js').State>} patch */
function go(patch) {
  const next = href(state, patch);
  if (next === location.search || (next === location.pathname && !location.search)) return;
  history.pushState(null, '', next);
  changed();
}

function changed() {
  const before = state;
  state = read();
  queries = queriesOf(state);
  feed.want([...new Set(Object.values(queries))]);
  if (before.view !== state.view || before.provider !== state.provider || before.chain !== state.chain) feedRates = [];
  if (before.view !== state.view) {
    scrollTo(0, 0);
    requestAnimationFrame(() => $('main').focus({ preventScroll: true }));
  }
  refresh();
}

/** One render per animation frame; the latest state wins. */
function refresh() {
  if (dirty) return;
  dirty = true;
  requestAnimationFrame(() => {
    dirty = false;
    draw();
  });
}

function draw() {
  const v = new View(state, queries);
  const profiles = v.part('profiles');
  const empty = profiles?.meta && profiles.rows.size === 0;
  const screen = empty && state.view !== 'system' && state.view !== 'cluster' ? tryIt : screens[state.view];
  const alarms = v.part('attention')?.rows ?? new Map();
  const name = typeof screen.title === 'string' ? screen.title : screen.title(state);
  const title = `${alarms.size ? `(${alarms.size}) ` : ''}${name} · remuda`;
  if (document.title !== title) document.title = title;
  render(header(v, alarms.size, name), $('header'));
  render(screen.draw(v), $('main'));
  announce(alarms);
  dialogs(v);
  const meta = v.part('attention')?.meta;
  const about = `Since the last frame of ${meta?.node ?? 'the node'}. ${basis(meta)}`;
  if ($('fresh').title !== about) $('fresh').title = about;
  freshness();
}

/** @param {View} v @param {number} alarms @param {string} name */
function header(v, alarms, name) {
  const s = state;
  const link = (/** @type {string} */ view, /** @type {string} */ text) => html`<a href=${v.href({ view })} aria-current=${s.view === view || (view === 'providers' && s.view === 'provider') ? 'page' : nothing}>${text}${view === 'overview' && alarms ? html` <span class="count" title="Things that need attention">${alarms}</span>` : nothing}</a>`;
  const profiles = [...new Set([s.profile, ...(v.part('profiles')?.rows.keys() ?? [])])].sort();
  const regions = [...new Set([...(s.region ? [s.region] : []), ...(v.part('allRegions')?.rows.keys() ?? [])])].sort();
  const pick = (/** @type {keyof import('./url.js').State} */ field) => (/** @type {Event} */ e) => go({ [field]: /** @type {HTMLSelectElement} */ (e.target).value });
  return html`<h1><a href="./"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 12V8m3.3 4V4m3.4 8V6m3.3 6V9"></path></svg>remuda</a><span class="hidden">, ${name}</span></h1>
    <nav aria-label="Screens">${link('overview', 'Overview')}${link('providers', 'Providers')}${link('chains', 'Chains')}${link('decisions', 'Decisions')}${link('cluster', 'Cluster')}${link('system', 'System')}</nav>
    <form class="controls" role="search" @submit=${(/** @type {Event} */ e) => e.preventDefault()}>
      ${profiles.length > 1 ? html`<label><span class="hidden">profile</span> <select id="profile" title="Profile" @change=${pick('profile')}>${profiles.map((p) => html`<option .selected=${p === s.profile}>${p}</option>`)}</select></label>` : nothing}
      <label><span class="hidden">window</span> <select id="window" title="Window" @change=${pick('window')}>${windows.map((w) => html`<option .selected=${w === s.window}>${w}</option>`)}</select></label>
      <label><span class="hidden">region</span> <select id="region" title="Region" @change=${pick('region')}><option value="" .selected=${!s.region}>all regions</option>${regions.map((r) => html`<option .selected=${r === s.region}>${r}</option>`)}</select></label>
      <label><span class="hidden">search</span> <input id="search" type="search" placeholder="search  /" size="12" .value=${s.q} autocomplete="off" spellcheck="false" @input=${(/** @type {Event} */ e) => search(/** @type {HTMLInputElement} */ (e.target).value)}></label>
      <button type="button" id="pause" aria-pressed=${held ? 'true' : 'false'} @click=${pause} title="Keeps what is shown as it is (p)">${held ? 'go on' : 'pause'}</button>
      <button type="button" id="theme" @click=${theme} title="Theme: light, dark, as the system (t)"><span aria-hidden="true">◐</span><span class="hidden">theme</span></button>
      <button type="button" id="keys" @click=${showKeys} title="Keys (?)"><span aria-hidden="true">?</span><span class="hidden">keys</span></button>
    </form>`;
}

/** A search is part of the URL, but not a step of the history. @param {string} q */
function search(q) {
  history.replaceState(null, '', href(state, { q }));
  state = read();
  refresh();
}

function pause() {
  if (held) {
    held = null;
  } else {
    heldAt = serverNow();
    held = new Map([...feed.parts].map(([q, part]) => [q, frozen(part)]));
    waiting = 0;
  }
  refresh();
}

function theme() {
  const now = document.documentElement.dataset.theme ?? '';
  const next = { '': 'light', light: 'dark', dark: '' }[now] ?? '';
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  try {
    if (next) localStorage.setItem('remuda-theme', next);
    else localStorage.removeItem('remuda-theme');
  } catch { /* then it is for this page only */ }
  repaint();
}

function showKeys() {
  const dialog = /** @type {HTMLDialogElement} */ ($('dialog'));
  render(html`<h2 id="dialog-title">Keys</h2><dl class="keys">${keys.help.map(([key, what]) => html`<dt>${key.split(' ').filter(Boolean).map((k) => html`<kbd>${k}</kbd> `)}</dt><dd>${what}</dd>`)}</dl>
    <form method="dialog"><button>Close</button></form>`, dialog);
  if (!dialog.open) dialog.showModal();
}

/** The decision that the URL names, in a dialog. @param {View} v */
function dialogs(v) {
  const dialog = /** @type {HTMLDialogElement} */ ($('dialog'));
  if (!state.id) {
    if (opened) dialog.close();
    opened = null;
    return;
  }
  if (opened?.key === state.id) return;
  opened = v.part('decisions')?.feed.find((r) => r.key === state.id) ?? null;
  if (!opened) return;
  render(html`<div id="dialog-title">${decisions.details(opened)}</div><form method="dialog"><button>Close</button></form>`, dialog);
  if (!dialog.open) dialog.showModal();
}

/** @type {Set<string> | null} */ let alarmed = null;
let said = '';

/** Tells screen readers about transitions, and only those. @param {Map<string, Row>} alarms */
function announce(alarms) {
  const now = new Set([...alarms.values()].map((a) => `${a.key.replaceAll('/', ' ')}: ${a.rule.replaceAll('_', ' ')}`));
  if (alarmed) {
    const came = [...now].filter((a) => !alarmed?.has(a));
    const went = [...alarmed].filter((a) => !now.has(a));
    if (came.length) $('said').textContent = came.join('. ');
    else if (went.length) $('said').textContent = `Over: ${went.join('. ')}`;
  }
  if (feed.status.ever) alarmed = now;
}

/** How old what is shown is, as a number: the first thing to know in an incident. */
function freshness() {
  const s = feed.status;
  const old = (Date.now() - feed.lastFrame) / 1000;
  let word = s.state === 'live' ? (old < (2 * s.interval) / 1000 + 1 ? 'live' : old < 10 ? 'lagging' : 'stale') : s.state;
  if (s.state === 'catching up' && old > 10) word = 'stale';
  const shown = held ? 'paused' : word;
  const text = held ? `paused · ${whole(waiting)} updates waiting` : ['live', 'lagging', 'stale'].includes(word) ? `${word} ${tenth(old)} s` : word;
  const box = $('fresh');
  if (box.textContent !== text) box.textContent = text;
  box.dataset.state = shown;
  document.body.classList.toggle('old', word === 'stale' || word === 'disconnected');
  const banner = word === 'disconnected' ? html`<p><strong>Disconnected.</strong> What is shown is ${span(Date.now() - feed.lastFrame)} old${feed.lastFrame ? '' : ' or more'}. Trying again in <span class="countdown">${Math.max(0, Math.ceil((s.retryAt - Date.now()) / 1000))} s</span>. <button type="button" id="retry" @click=${() => feed.retry()}>Retry now</button></p>`
    : word === 'stale' ? html`<p><strong>Stale.</strong> Nothing has come for ${span(Date.now() - feed.lastFrame)}; what is shown is as old.</p>` : nothing;
  render(banner, $('banner'));
  const transition = word === 'live' ? 'live' : word === 'disconnected' ? 'disconnected' : word === 'stale' ? 'stale' : '';
  if (transition && transition !== said) {
    if (said) $('said').textContent = transition;
    said = transition;
  }
}

keys.listen({
  show: (view) => go({ view }),
  search: () => $('search').focus(),
  pause, theme, help: showKeys,
  window: () => go({ window: windows[(windows.indexOf(state.window) + 1) % windows.length] }),
  sort: () => {
    const buttons = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll('main thead button')]);
    const sorted = buttons.findIndex((b) => b.closest('th')?.getAttribute('aria-sort') !== 'none');
    buttons[(sorted + 1) % buttons.length]?.click();
  },
  escape: () => {
    const active = /** @type {HTMLElement | null} */ (document.activeElement);
    if (active?.id === 'search') search('');
    active?.blur();
  },
  retry: () => feed.retry(),
});

document.addEventListener('click', (e) => {
  const link = /** @type {HTMLElement} */ (e.target).closest('a');
  if (!link || e.defaultPrevented || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey || link.hasAttribute('download')) return;
  const to = new URL(link.href);
  if (to.origin !== location.origin || to.pathname !== location.pathname || link.getAttribute('href')?.startsWith('#')) return;
  e.preventDefault();
  if (to.search === location.search) return;
  history.pushState(null, '', to.search || to.pathname);
  changed();
});
$('dialog').addEventListener('close', () => { if (state.id) go({ id: '' }); });
addEventListener('popstate', changed);
addEventListener('remuda-refresh', refresh);

// The clock of the page: ages move even when nothing comes, and then charts do too.
let beats = 0;
setInterval(() => {
  if (document.hidden) return;
  freshness();
  beats += 1;
  if (beats % 4 === 0 && !held && Date.now() - feed.lastFrame > 2000) refresh();
}, 250);

feed.want([...new Set(Object.values(queries))]);
refresh();
