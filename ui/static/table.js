// Tables: real ones, with heads that sort, rows that keep their places under the
// pointer or the focus, and the same content as curl and as CSV.

import { html, nothing } from './vendor/lit-html/lit-html.js';
import { guard } from './vendor/lit-html/directives/guard.js';

/** @type {Map<string, { sort: string, keys: string[] }>} the order that each table shows */
const orders = new Map();

/** @param {any} a @param {any} b null last either way */
function compare(a, b, down = false) {
  const x = a ?? null;
  const y = b ?? null;
  if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
  const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x) < String(y) ? -1 : Number(String(x) > String(y));
  return down ? -order : order;
}

/** The rows in the order they are shown. @param {string} id @param {Row[]} rows @param {Column[]} columns @param {string} sort */
function arrange(id, rows, columns, sort) {
  const field = sort.replace(/^-/, '');
  const column = columns.find((c) => c.field === field);
  const value = column?.value ?? ((/** @type {Row} */ row) => row[field]);
  const sorted = column
    ? [...rows].sort((a, b) => compare(value(a), value(b), sort.startsWith('-')) || compare(a.key, b.key))
    : rows;
  const last = orders.get(id);
  const before = last?.sort === sort ? last.keys : null;
  const frame = document.getElementById(`table-${id}`);
  const held = before && frame && (frame.querySelector('tbody:hover') || (document.activeElement?.closest('tbody') && frame.contains(document.activeElement)));
  if (!held) {
    orders.set(id, { sort, keys: sorted.map((row) => row.key) });
    return sorted;
  }
  const by = new Map(sorted.map((row) => [row.key, row]));
  const stay = before.filter((key) => by.has(key));
  const known = new Set(stay);
  const order = [...stay, ...sorted.filter((row) => !known.has(row.key)).map((row) => row.key)];
  orders.set(id, { sort, keys: order });
  return order.map((key) => /** @type {Row} */ (by.get(key)));
}

/**
 * @param {object} o
 * @param {string} o.id @param {string} o.caption @param {Column[]} o.columns @param {Row[]} o.rows
 * @param {string} o.query what the API is asked for the same
 * @param {(patch: any) => void} [o.go] sorts when given
 * @param {string} [o.sort] @param {any} [o.context] what texts depend on besides the row
 * @param {(row: Row) => Cell} [o.vary] what of the context shows in a row: without a change of it, of the row
 *   and of basis a row is not drawn again
 * @param {string} [o.basis] what titles of numbers say about window and coverage
 * @param {string} [o.empty]
 */
export function table(o) {
  const sort = o.sort ?? '';
  const rows = o.go ? arrange(o.id, o.rows, o.columns, sort) : o.rows;
  const head = (/** @type {Column} */ c) => {
    const sorted = sort === c.field ? 'ascending' : sort === `-${c.field}` ? 'descending' : undefined;
    const next = sort === `-${c.field}` ? c.field : sort === c.field ? '' : `-${c.field}`;
    const mark = sorted === 'ascending' ? ' ▲' : sorted === 'descending' ? ' ▼' : '';
    return html`<th scope="col" class=${c.left ? 'text' : ''} title=${c.about ?? ''} aria-sort=${sorted ?? (o.go ? 'none' : nothing)}>
      ${o.go && c.sort !== false ? html`<button type="button" @click=${() => o.go?.({ sort: next })}>${c.head}${mark}</button>` : c.head}</th>`;
  };
  return html`<section class="table" aria-label=${o.caption}>
    <div class="bar"><h2>${o.caption} <small>${rows.length}</small></h2>${tools(o.query, o.id)}</div>
    <div class="scroll" id="table-${o.id}" tabindex="0" role="group" aria-label=${`${o.caption}, scrolls`}>
    <table><thead><tr>${o.columns.map(head)}</tr></thead>
    <tbody>${rows.map((row) => guard([row, o.basis, o.vary?.(row)], () => html`<tr data-key=${row.key}>${o.columns.map((c) => cell(c, row, o))}</tr>`))}</tbody></table>
    ${rows.length === 0 ? html`<p class="quiet">${o.empty ?? 'No rows.'}</p>` : nothing}</div></section>`;
}

/** @param {Column} c @param {Row} row @param {{ context?: any, basis?: string }} o */
function cell(c, row, o) {
  const content = c.text(row, o.context);
  const tone = `${c.left ? 'text ' : ''}${c.tone?.(row) ?? ''}`.trim();
  if (c.scope) return html`<th scope="row" class=${tone}>${content}</th>`;
  const title = c.about ? `${c.about}: ${c.exact ? c.exact(row) : row[c.field] ?? 'no data'}. ${o.basis ?? ''}` : nothing;
  return html`<td class=${tone} title=${title}>${content}</td>`;
}

/** The same content elsewhere. @param {string} query @param {string} name */
export function tools(query, name) {
  const at = (/** @type {string} */ format) => `api/v1/${query}${query.includes('?') ? '&' : '?'}format=${format}`;
  return html`<span class="tools"><button type="button" @click=${(/** @type {Event} */ e) => copy(e, `curl '${new URL(at('table'), location.href)}'`)}
    title="Copies a command that prints this table">copy as curl</button>
    <a href=${at('csv')} download=${`${name}.csv`} title="The same rows as CSV">CSV</a></span>`;
}

/** @param {Event} e @param {string} text */
export async function copy(e, text) {
  const button = /** @type {HTMLElement} */ (e.currentTarget);
  const before = button.dataset.label ?? button.textContent ?? '';
  button.dataset.label = before;
  try {
    await navigator.clipboard.writeText(text);
    button.dataset.said = 'copied';
  } catch { // no permission, or no secure context: show it instead
    prompt('Copy this:', text);
    return;
  }
  setTimeout(() => { delete button.dataset.said; }, 1500);
}
