// Tables: real ones, with heads that sort, rows that keep their places under the
// pointer or the focus, and the same content as curl and as CSV.

import { html, noChange, nothing } from './vendor/lit-html/lit-html.js';
import { zone } from './format.js';
import { places } from './hold.js';
import { inSight, large, sight } from './sight.js';
import { read } from './url.js';

/** @type {WeakMap<object, { on: string, drawn: any }>} what was drawn of a row, and what it depended on */
const memory = new WeakMap();

/** What a row looks like, anew only for a new row or when what it depends on is other. @param {object} row @param {string} on @param {() => any} draw */
export function remembered(row, on, draw) {
  on = `${zone()} ${on}`; // times of day are in every other row
  let m = memory.get(row);
  if (m?.on !== on) memory.set(row, m = { on, drawn: draw() });
  return m.drawn;
}

/** A large table is drawn once a second at most: painting it is most of the work of the page. */
const drawEvery = 900; // ms

/** @type {Map<string, { on: string, at: number }>} when the large tables were drawn, and for what */
const drawn = new Map();

/** Whether a table is as it has just been drawn. @param {string} id @param {string} on */
function isRecent(id, on) {
  const last = drawn.get(id);
  const at = performance.now();
  if (last?.on === on && at - last.at < drawEvery && document.getElementById(`table-${id}`)) return true;
  drawn.set(id, { on, at });
  return false;
}

/** @param {any} a @param {any} b null last either way */
function compare(a, b, down = false) {
  const x = a ?? null;
  const y = b ?? null;
  if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
  const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x) < String(y) ? -1 : Number(String(x) > String(y));
  return down ? -order : order;
}

/** @param {Row[]} rows @param {Column[]} columns @param {string} sort */
function sorted(rows, columns, sort) {
  const field = sort.replace(/^-/, '');
  const column = columns.find((c) => c.field === field);
  if (!column) return rows;
  const value = column.value ?? ((/** @type {Members} */ row) => row[field]);
  return [...rows].sort((a, b) => compare(value(a), value(b), sort.startsWith('-')) || compare(a.key, b.key));
}

/**
 * @param {object} o
 * @param {string} o.id @param {string} o.caption @param {Column[]} o.columns @param {Row[]} o.rows
 * @param {string} o.query what the API is asked for the same @param {() => Cell[][]} [o.shown] see tools
 * @param {(patch: any) => void} [o.go] sorts when given
 * @param {string} [o.sort] @param {string} [o.search] what the rows' keys were searched for @param {any} [o.context] what texts depend on besides the row
 * @param {(row: Row) => Cell} [o.vary] what of the context shows in a row: without a change of it, of the row
 *   and of basis a row is not drawn anew
 * @param {string} [o.basis] what titles of numbers say about window and coverage
 * @param {string} [o.empty] @param {boolean} [o.feed] new rows come first, and wait while somebody is at one
 */
export function table(o) {
  const sort = o.sort ?? '';
  const inView = sight(o.id, o.rows.length);
  if (o.rows.length > large && isRecent(o.id, `${o.query} ${sort} ${o.rows.length} ${inView}`)) return noChange;
  const { rows, gone, waiting } = places(o.id, `${o.query} ${sort} ${read().q}`, o.go ? sorted(o.rows, o.columns, sort) : o.rows, o.feed);
  const head = (/** @type {Column} */ c) => {
    const sorted = sort === c.field ? 'ascending' : sort === `-${c.field}` ? 'descending' : undefined;
    const next = sort === `-${c.field}` ? c.field : sort === c.field ? '' : `-${c.field}`;
    const mark = sorted === 'ascending' ? ' ▲' : sorted === 'descending' ? ' ▼' : '';
    return html`<th scope="col" class=${classes(c)} title=${c.about ?? ''} aria-sort=${sorted ?? (o.go ? 'none' : nothing)}>
      ${o.go && c.sort !== false ? html`<button type="button" @click=${() => o.go?.({ sort: next })}>${c.head}${mark}</button>` : c.head}</th>`;
  };
  const drawRow = (/** @type {Row} */ row, /** @type {any} */ place) => remembered(row, `${o.id} ${o.basis} ${o.vary?.(row)} ${gone.has(row.key)} ${String(place)}`,
    () => html`<tr data-key=${row.key} class=${gone.has(row.key) ? 'gone' : ''} aria-rowindex=${place}>${o.columns.map((c) => cell(c, row, o))}</tr>`);
  return html`<section class="table" aria-label=${o.caption}>
    <div class="bar"><h2>${o.caption} <small>${rows.length - gone.size}${waiting ? ` · ${waiting} newer wait` : ''}</small></h2>${tools(o.query, o.id, { shown: o.shown, sort: sortsAlike(o.rows[0], sort) ? sort : '', search: o.search })}</div>
    <div class="scroll" id="table-${o.id}" tabindex="0" role="group" aria-label=${`${o.caption}, scrolls`}>
    <table aria-rowcount=${rows.length > large ? rows.length + 1 : nothing}><thead><tr>${o.columns.map(head)}</tr></thead>
    <tbody data-list=${o.id} class=${rows.length > large ? 'large' : ''}>${inSight(o.id, rows).map((at) => ('gap' in at ? html`<tr class="gap" aria-hidden="true"><td colspan=${o.columns.length} height=${at.gap}></td></tr>` : drawRow(at.row, rows.length > large ? at.index + 2 : nothing)))}</tbody>
    ${rows.length > large ? html`<tfoot aria-hidden="true"><tr class="widest">${o.columns.map((c) => cell(c, widest(rows, c.field), o))}</tr></tfoot>` : nothing}</table>
    ${rows.length === 0 ? html`<p class="quiet">${o.empty ?? 'No rows.'}</p>` : nothing}</div></section>`;
}

/**
 * The row that needs the most room in a column. The last row of a large table, which is not
 * seen, has them all: columns are as wide as if all rows were drawn.
 * @param {Row[]} rows @param {string} field
 */
function widest(rows, field) {
  const size = (/** @type {Members} */ row) => (typeof row[field] === 'number' ? Math.abs(row[field]) : String(row[field] ?? '').length);
  return rows.reduce((most, row) => (size(row) > size(most) ? row : most));
}

/** @param {Column} c @param {string} [tone] */
const classes = (c, tone) => [c.left && 'text', c.wide && 'wide', tone].filter(Boolean).join(' ');

/** @param {Column} c @param {Row} row @param {{ context?: any, basis?: string }} o */
function cell(c, row, o) {
  const content = c.text(row, o.context);
  const tone = classes(c, c.tone?.(row, o.context));
  if (c.scope) return html`<th scope="row" class=${tone}>${content}</th>`;
  const title = c.about ? `${c.about}: ${c.exact ? c.exact(row) : /** @type {Members} */ (row)[c.field] ?? 'no data'}. ${o.basis ?? ''}` : nothing;
  return html`<td class=${tone} title=${title}>${content}</td>`;
}

/** Whether the API knows the column: some are worked out here. @param {Members | undefined} row @param {string} sort */
const sortsAlike = (row, sort) => row !== undefined && typeof (row[sort.replace(/^-/, '')] ?? {}) !== 'object';

/** A word of a shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * A command that prints the rows that are shown, in their order. The API does not search:
 * awk does, in the keys, which are the first column.
 * @param {(format: string) => string} at @param {string} [search]
 */
function command(at, search) {
  const curl = (/** @type {string} */ format) => `curl -s ${quoted(String(new URL(at(format), location.href)))}`;
  return search ? `${curl('csv')} | q=${quoted(search)} awk -F, 'NR == 1 || index(tolower($1), tolower(ENVIRON["q"]))'` : curl('table');
}

/**
 * The same content elsewhere: as a command, and as CSV, of the API or of what is shown.
 * @param {string} query @param {string} name of the file
 * @param {{ shown?: () => Cell[][], sort?: string, search?: string }} [o] shown where the API has no rows
 */
export function tools(query, name, o = {}) {
  const asked = o.sort ? `${query}${query.includes('?') ? '&' : '?'}sort=${encodeURIComponent(o.sort)}` : query;
  const at = (/** @type {string} */ format) => `api/v1/${asked}${asked.includes('?') ? '&' : '?'}format=${format}`;
  const { shown } = o;
  return html`<span class="tools"><button type="button" title="Copies a command that prints the same"
    @click=${(/** @type {Event} */ e) => copy(e, shown ? `curl -s ${quoted(String(new URL(at('json'), location.href)))}` : command(at, o.search))}>copy as curl</button>
    ${shown ? html`<button type="button" title="What is shown, as CSV" @click=${() => save(`${name}.csv`, shown())}>CSV</button>`
    : html`<a href=${at('csv')} download=${`${name}.csv`} title=${o.search ? 'All rows as CSV, whatever is searched for' : 'The same rows as CSV'}>CSV</a>`}</span>`;
}

/** A cell of CSV. Programs for sheets take what begins like this for a formula. @param {Cell} cell */
export const csv = (cell) => (typeof cell === 'string' ? `"${/^[=+\-@\t\r]/.test(cell) ? "'" : ''}${cell.replaceAll('"', '""')}"` : cell ?? '');

/** @param {string} name @param {Cell[][]} rows */
function save(name, rows) {
  const text = rows.map((row) => `${row.map(csv).join(',')}\r\n`).join('');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
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
