// The page: one state, which is the URL; what the stream says about the queries
// that the screen needs; and one render per animation frame, however many frames
// came. Text from the node only ever becomes text: nothing here parses markup.

import { html, nothing, render } from './vendor/lit-html/lit-html.js';
import { repaint } from './chart.js';
import { follow, showFacts, showKeys } from './dialog.js';
import { Feed } from './feed.js';
import { switchZone } from './format.js';
import { announce, freshness } from './fresh.js';
import { header } from './header.js';
import { keepingFocus } from './hold.js';
import './heat.js';
import { keep, recall } from './kept.js';
import * as keys from './keys.js';
import { frozen } from './parts.js';
import { basis } from './pieces.js';
import * as tips from './tips.js';
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
let drawnAt = 0; // by performance.now()
let dirty = false;
/** @type {Map<string, import('./parts.js').Part>} what was shown of the window before, by name of the query, until that of the new one is there */
let earlier = new Map();
/** @type {Mark[]} when runs of nodes began: an incarnation is that instant */
let restarts = recall('restarts', []);
/** @type {Map<string, number>} */ const runs = new Map(recall('runs', []));
/** @type {{ at: number, seen: number, shown: number }[]} */ let feedRates = [];

const feed = new Feed((changes) => {
  if (held) waiting += changes;
  note();
  refresh();
});

/** How many restarts are kept as marks, and for how long: the longest window. */
const keptRestarts = 50;
const keptFor = 3_600_000; // ms

/** What a screen is given to draw from. */
export class View {
  /** @param {import('./url.js').State} s @param {Record<string, string>} queries */
  constructor(s, queries) {
    this.state = s;
    this.queries = queries;
    /** Whether something is still of the window before. */ this.waits = false;
    /** @type {string[]} what was searched, and what was found */ this.searched = [];
    this.live = held ? 0 : feed.clock.now();
    this.restarts = restarts;
    this.go = go;
    /** What links depend on besides their row. */
    this.base = `${s.window} ${s.profile} ${s.region}`;
    this.rates = rates();
    this.ever = this.rows('profiles').length > 0;
  }

  get now() { return held ? heldAt : this.live; }

  /** What is known about one of the screen's queries. @param {string} name */
  part(name) {
    const q = this.queries[name];
    const part = feed.parts.get(q);
    const old = earlier.get(name);
    if (old && !part?.meta) {
      this.waits = true;
      return old;
    }
    if (!held) return part;
    if (part?.meta && !held.has(q)) hold(q, part); // of a screen gone to while paused
    return held.get(q);
  }

  /** The rows of a query, by key. @param {string} name */
  rows(name) { return [...(this.part(name)?.rows.values() ?? [])].sort((a, b) => (a.key < b.key ? -1 : 1)); }

  /** Those of them that the search lets through. @param {string} name @param {string} what they are, and what of them is searched */
  found(name, what) { return this.sought(this.rows(name), (r) => r.key, what); }

  /** What the search lets through. @param {Row[]} rows @param {(r: Row) => string} text @param {string} what */
  sought(rows, text, what) {
    const q = this.state.q.toLowerCase();
    if (!q) return rows;
    const found = rows.filter((r) => text(r).toLowerCase().includes(q));
    this.searched.push(`${found.length} of ${rows.length} ${what}`);
    return found;
  }

  /** @param {any} patch */
  href(patch) { return href(this.state, patch); }
}

/** The queries of the screen and those of the header. @param {import('./url.js').State} s @returns {Record<string, string>} */
const queriesOf = (s) => ({
  ...screens[s.view].queries(s),
  attention: query(s, 'attention'),
  profiles: 'profiles?fields=profile',
  allRegions: query({ ...s, region: '' }, 'regions', { fields: 'region' }),
  members: s.view === 'cluster' ? 'cluster' : 'cluster?fields=name,incarnation',
});

let queries = queriesOf(state);

/** Notes what only the sequence of frames tells: new runs of nodes, the rate of the feed. */
function note() {
  const members = feed.parts.get(queries.members);
  const begun = [...members?.rows.values() ?? []].filter((m) => runs.get(m.key) !== m.incarnation);
  for (const m of begun) {
    restarts.push({ at: m.incarnation, label: `↻ ${m.key} started`, tone: 'warn' });
    runs.delete(m.key);
    runs.set(m.key, m.incarnation);
  }
  if (begun.length) {
    restarts = restarts.filter((r) => r.at > feed.clock.now() - keptFor).slice(-keptRestarts);
    keep('restarts', restarts);
    keep('runs', [...runs].slice(-keptRestarts));
  }
  const part = queries.decisions && !held ? feed.parts.get(queries.decisions) : null;
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
  const shown = queries;
  state = read();
  queries = queriesOf(state);
  const { window: _, ...rest } = state;
  if (before.window === state.window || JSON.stringify(rest) !== JSON.stringify({ ...before, window: undefined })) earlier = new Map();
  else {
    for (const [name, q] of Object.entries(shown)) {
      const part = held?.get(q) ?? feed.parts.get(q);
      if (part?.meta && !earlier.has(name)) earlier.set(name, frozen(part));
    }
  }
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
    drawnAt = performance.now();
    draw();
  });
}

function draw() {
  const v = new View(state, queries);
  const profiles = v.part('profiles');
  const empty = profiles?.meta && profiles.rows.size === 0 && !v.part('attention')?.meta?.judged?.providers; // who makes no calls may report circuits
  const screen = empty && state.view !== 'system' && state.view !== 'cluster' ? tryIt : screens[state.view];
  const alarms = [...feed.parts.get(queries.attention)?.rows.values() ?? earlier.get('attention')?.rows.values() ?? []]; // live, paused or not
  const name = typeof screen.title === 'string' ? screen.title : screen.title(state);
  const title = `${alarms.length ? `(${alarms.length}) ` : ''}${name} · remuda`;
  if (document.title !== title) document.title = title;
  render(header(v, { name, alarms: alarms.length, paused: held !== null, search, pause, theme, zone: changeZone, help: showKeys }), $('header'));
  const samples = state.profile === tryIt.profile ? html`<p class="quiet">Profile ${tryIt.profile}: samples that a page like this one sent, no real calls.</p>` : nothing;
  const drawn = screen.draw(v);
  keepingFocus(() => render([samples, sought(v), drawn], $('main')));
  $('main').classList.toggle('before', v.waits);
  if (!v.waits) earlier = new Map();
  announce(alarms, feed.status.ever);
  follow(v);
  const meta = v.part('attention')?.meta;
  const about = `Since ${meta?.node ?? 'the node'} read the oldest of what is shown; frames come every ${feed.status.interval / 1000} s. ${basis(meta)}`;
  if ($('fresh').title !== about) $('fresh').title = about;
  fresh();
}

function fresh() { freshness(feed, held ? waiting : null); }

/** What the search looked at. @param {View} v */
function sought(v) {
  if (!state.q) return nothing;
  const clear = html`<button type="button" @click=${() => search('')}>Clear</button>`;
  return html`<p class="searched">“${state.q}”: ${v.searched.length ? v.searched.join(', ') : 'this screen has nothing that is searched'}. ${clear}</p>`;
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
    heldAt = feed.clock.now();
    held = new Map();
    for (const [q, part] of feed.parts) hold(q, part);
    waiting = 0;
  }
  refresh();
}

/** @param {string} q @param {import('./parts.js').Part} part */
function hold(q, part) {
  held?.set(q, frozen(part));
  heldAt = Math.max(heldAt, part.meta?.at ?? 0);
}

function theme() {
  const order = matchMedia('(prefers-color-scheme: dark)').matches ? ['', 'light', 'dark'] : ['', 'dark', 'light']; // the first press shows
  const next = order[(order.indexOf(document.documentElement.dataset.theme ?? '') + 1) % order.length];
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  try {
    if (next) localStorage.setItem('remuda-theme', next);
    else localStorage.removeItem('remuda-theme');
  } catch { /* then it is for this page only */ }
  repaint();
}

function changeZone() {
  switchZone();
  repaint();
  refresh();
}

/** Says what the titles say of where the focus is. */
function inform() {
  const about = tips.facts();
  if (about) showFacts(about);
}

// On paper everything is light, charts too; they are drawn before the style for print counts.
/** @type {string | undefined} */ let onScreen;
addEventListener('beforeprint', () => {
  onScreen = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = 'light';
  repaint();
  draw();
});
addEventListener('afterprint', () => {
  if (onScreen) document.documentElement.dataset.theme = onScreen;
  else delete document.documentElement.dataset.theme;
  repaint();
  refresh();
});

tips.listen();
keys.listen({
  show: (view) => go({ view }),
  search: () => $('search').focus(),
  pause, theme, inform, zone: changeZone, help: showKeys,
  window: () => go({ window: windows[(windows.indexOf(state.window) + 1) % windows.length] }),
  sort: () => {
    const buttons = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll('main thead button')]);
    const sorted = buttons.findIndex((b) => b.closest('th')?.getAttribute('aria-sort') !== 'none');
    buttons[(sorted + 1) % buttons.length]?.click();
  },
  escape: () => {
    if (tips.hide()) return;
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
setInterval(() => {
  if (feed.clock.jumped() && feed.leading) feed.retry(); // what was told before a sleep, or by another clock, has no age
  if (document.hidden) return;
  fresh();
  if (!held && performance.now() - drawnAt > 1900) refresh();
}, 500);

$('plain')?.remove();
feed.want([...new Set(Object.values(queries))]);
refresh();
