// The one dialog of the page: the list of keys, or the decisions of the request that
// the URL names.

import { html, render } from './vendor/lit-html/lit-html.js';
import { help } from './keys.js';
import { details, named } from './screens/decisions.js';
import { query } from './url.js';

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('dialog'));

/** The request that is shown. */
let opened = '';

/** @param {string} title @param {any} content */
function show(title, content) {
  render(html`<h2 id="dialog-title">${title}</h2>${content}<form method="dialog"><button>Close</button></form>`, dialog);
  if (!dialog.open) dialog.showModal();
}

export function showKeys() {
  show('Keys', html`<dl class="keys">${help.map(([keys, what]) => html`<dt>${keys.split(' ').filter(Boolean).map((k) => html`<kbd>${k}</kbd> `)}</dt><dd>${what}</dd>`)}</dl>`);
}

/** All that titles say of one thing. @param {{ title: string, facts: [string, string][] }} about */
export function showFacts(about) {
  show(about.title, html`<dl class="all">${about.facts.map(([name, text]) => html`<dt>${name}</dt><dd>${text}</dd>`)}</dl>`);
}

/** Opens and closes as the URL says. @param {import('./app.js').View} v */
export function follow(v) {
  const { id } = v.state;
  const part = v.part('decisions');
  if (id === opened || (id && !part?.meta)) return;
  opened = id;
  if (!id) {
    dialog.close();
    return;
  }
  const rows = part?.feed.filter((r) => named(r) === id) ?? [];
  if (rows.length) show(`Decision ${id}`, rows.map(details));
  else find(v.state);
}

/** A decision that the feed does not show any more may still be kept. @param {import('./url.js').State} s */
async function find(s) {
  show(`Decision ${s.id}`, html`<p class="quiet">Asking the node for it…</p>`);
  const answer = await fetch(`api/v1/${query({ ...s, region: '' }, `decisions/${encodeURIComponent(s.id)}`)}`).catch(() => null);
  const rows = answer?.ok ? (await answer.json()).rows : [];
  if (opened !== s.id) return;
  show(`Decision ${s.id}`, rows.length ? rows.map(details) : html`<p>The node does not keep it any more. Decisions are kept for a while only; counts are not affected.</p>`);
}
