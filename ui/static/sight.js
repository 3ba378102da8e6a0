// Of a large table only the rows in sight are drawn, with some above and below; where
// the others are there is empty space of their height. On paper all are.

/** A table of more rows is large. */
export const large = 100;
const margin = 10; // rows
/** The stretch that is drawn moves by so many rows. */
const step = 8;
/** Until the first row is there to be measured, px. */
const guess = 27;

let paper = false;
addEventListener('beforeprint', () => { paper = true; });
addEventListener('afterprint', () => { paper = false; });

/** @type {Map<string, { rows: number, on: string }>} what was drawn of each large table */
const drawn = new Map();

/** @param {string} id */
const list = (id) => document.querySelector(`[data-list="${id}"]`);

/** The rows that are in sight, from and up to, and their height. @param {string} id @param {number} rows @returns {[number, number, number]} */
function stretch(id, rows) {
  if (paper || rows <= large) return [0, rows, 0];
  const body = list(id);
  const height = body?.querySelector('[data-key]')?.getBoundingClientRect().height || guess;
  const above = Math.max(-(body?.getBoundingClientRect().top ?? 0), 0) / height;
  const from = Math.floor(above / step) * step - margin;
  const to = from + 2 * margin + step + Math.ceil(innerHeight / height);
  return [Math.max(Math.min(from, rows - margin), 0), Math.min(to, rows), height];
}

/** What a drawing of a table depends on besides its rows. @param {string} id @param {number} rows */
export function sight(id, rows) {
  const on = stretch(id, rows).join(' ');
  if (rows > large) drawn.set(id, { rows, on });
  else drawn.delete(id);
  return on;
}

/**
 * The rows to draw, and between them the height of those that are not. The one that has
 * the focus is always drawn, and those that keys go to from there until the next drawing.
 * @param {string} id @param {Row[]} rows @returns {({ row: Row, index: number } | { gap: number })[]}
 */
export function inSight(id, rows) {
  const [from, to, height] = stretch(id, rows.length);
  const drawing = Array.from({ length: to - from }, (_, i) => from + i);
  const focused = /** @type {HTMLElement | null | undefined} */ (list(id)?.contains(document.activeElement) ? document.activeElement?.closest('[data-key]') : null)?.dataset.key;
  const index = focused === undefined ? -1 : rows.findIndex((row) => row.key === focused);
  for (let i = Math.max(index - margin, 0); index >= 0 && i < Math.min(index + margin, rows.length); i++) {
    if (i < from || i >= to) drawing.push(i);
  }
  drawing.sort((a, b) => a - b);
  /** @type {({ row: Row, index: number } | { gap: number })[]} */ const all = [];
  let next = 0;
  for (const i of drawing) {
    if (i > next) all.push({ gap: (i - next) * height });
    all.push({ row: rows[i], index: i });
    next = i + 1;
  }
  if (next < rows.length) all.push({ gap: (rows.length - next) * height });
  return all;
}

const look = () => {
  for (const [id, was] of drawn) {
    if (list(id) && stretch(id, was.rows).join(' ') !== was.on) dispatchEvent(new Event('remuda-refresh'));
  }
};
addEventListener('scroll', look, { passive: true });
addEventListener('resize', look, { passive: true });
