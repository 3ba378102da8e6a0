// How old what is shown is, as a number: the first thing to know in an incident. It is
// the time since the node said it, not since it came. And what screen readers are told:
// transitions, and only those.

import { html, nothing, render } from './vendor/lit-html/lit-html.js';
import { span, tenth, whole } from './format.js';

const $ = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Older than this is stale, and older than three frames. */
const staleAfter = 10_000; // ms

let said = '';

/** @param {import('./feed.js').Feed} feed @param {number | null} waiting updates that wait while the page is paused */
export function freshness(feed, waiting) {
  const s = feed.status;
  const ms = feed.age;
  let word = s.state === 'live' && ms !== null ? (ms < 2 * s.interval + 1000 ? 'live' : 'lagging') : s.state === 'live' ? 'catching up' : s.state;
  if (['live', 'lagging', 'catching up'].includes(word) && ms !== null && ms > Math.max(staleAfter, 3 * s.interval)) word = 'stale';
  const text = waiting !== null ? `paused · ${whole(waiting)} updates waiting` : ms !== null && ['live', 'lagging', 'stale'].includes(word) ? `${word} ${ms < 60_000 ? `${tenth(ms / 1000)} s` : span(ms)}` : word;
  const box = $('fresh');
  if (box.textContent !== text) box.textContent = text;
  box.dataset.state = waiting !== null ? 'paused' : word;
  document.body.classList.toggle('old', word === 'stale' || word === 'disconnected');
  const retry = html`<button type="button" id="retry" @click=${() => feed.retry()}>Retry now</button>`;
  const age = ms !== null ? `What is shown is ${span(ms)} old.` : 'Nothing has come yet.';
  const told = (/** @type {import('./refusal.js').Refusal} */ why) => html`The answer is ${why.status}${why.text ? html`: “${why.text}”` : nothing}.`;
  render(word === 'disconnected' ? html`<p><strong>Disconnected.</strong> ${s.why ? told(s.why) : nothing} ${age} Trying again in <span class="countdown">${Math.max(0, Math.ceil((s.retryAt - Date.now()) / 1000))} s</span>. ${retry}</p>`
    : feed.refusal ? html`<p><strong>The node does not take what this page asks for.</strong> ${told(feed.refusal)} ${retry}</p>`
      : feed.crowded ? html`<p><strong>No room.</strong> The stream that all tabs share has none left for this one; it goes on when others are closed or out of sight. ${age}</p>`
        : word === 'stale' ? html`<p><strong>Stale.</strong> ${age} ${retry}</p>` : nothing, $('banner'));
  if (['live', 'stale', 'disconnected'].includes(word) && word !== said) {
    if (said) $('said').textContent = word;
    said = word;
  }
}

/** @type {Set<string> | null} */ let alarmed = null;

/** @param {Row[]} alarms @param {boolean} known whether anything has come yet */
export function announce(alarms, known) {
  const now = new Set(alarms.map((a) => `${a.key.replaceAll('/', ' ')}: ${a.rule.replaceAll('_', ' ')}`));
  const came = [...now].filter((a) => !alarmed?.has(a));
  const went = [...alarmed ?? []].filter((a) => !now.has(a));
  if (alarmed && came.length) $('said').textContent = came.join('. ');
  else if (went.length) $('said').textContent = `Over: ${went.join('. ')}`;
  if (known) alarmed = now;
}
