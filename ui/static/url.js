// The URL is the state of the page: back, reload and sharing work because there is
// nothing else to restore.

export const windows = ['10s', '1m', '5m', '15m', '1h'];

const defaults = {
  view: 'overview', window: '1m', profile: 'default', region: '', chain: '', provider: '', q: '', sort: '', result: '', category: '', min: '', id: '',
};

/** @typedef {typeof defaults} State */

const views = ['overview', 'providers', 'provider', 'chains', 'decisions', 'cluster', 'system', 'try'];

const longest = 600;

/** @returns {State} */
export function read() {
  const query = new URLSearchParams(location.search);
  const state = { ...defaults };
  for (const name of /** @type {(keyof State)[]} */ (Object.keys(defaults))) state[name] = (query.get(name) ?? defaults[name]).slice(0, longest);
  if (!views.includes(state.view)) state.view = 'overview';
  if (state.view === 'provider' && !(state.chain && state.provider)) state.view = 'providers';
  if (!windows.includes(state.window)) state.window = '1m';
  // What the API refuses would end the stream of all tabs.
  state.min = /^\d{1,7}(\.\d+)?$/.test(state.min) ? String(Number(state.min)) : '';
  state.profile ||= defaults.profile;
  if (!['', 'success', 'error', 'cancelled'].includes(state.result)) state.result = '';
  return state;
}

/** What stays when one goes to another screen. @type {(keyof State)[]} */
const kept = ['window', 'profile', 'region'];

/** The address of a state; a change of view keeps only window, profile and region. @param {State} state @param {Partial<State>} patch */
export function href(state, patch) {
  const next = { ...defaults };
  for (const name of kept) next[name] = state[name];
  if (!patch.view || patch.view === state.view) Object.assign(next, state);
  Object.assign(next, patch);
  const query = new URLSearchParams();
  for (const name of /** @type {(keyof State)[]} */ (Object.keys(defaults))) {
    if (next[name] !== defaults[name]) query.set(name, next[name]);
  }
  const text = query.toString();
  return text ? `?${text}` : location.pathname;
}

/**
 * A query of the API for a state: path, what the header says, and more.
 * @param {State} state @param {string} path @param {Record<string, string>} [more]
 */
export function query(state, path, more = {}) {
  const q = new URLSearchParams();
  if (state.window !== defaults.window) q.set('window', state.window);
  if (state.profile !== defaults.profile) q.set('profile', state.profile);
  if (state.region.trim()) q.set('region', state.region);
  for (const [name, value] of Object.entries(more)) if (value.trim()) q.set(name, value);
  const text = q.toString();
  return text ? `${path}?${text}` : path;
}
