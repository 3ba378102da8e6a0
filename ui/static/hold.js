// What one points at stays there: rows keep their places while the pointer or the focus
// is on one of them, and while a dialog is open that was opened from there. Without a
// hold they are drawn in any order, and the focus goes with its row.

/** A hold lasts for so long after the last sign of somebody: a pointer may lie about. */
const presence = 60_000; // ms

let sign = 0;
for (const event of ['pointermove', 'pointerdown', 'wheel', 'keydown']) addEventListener(event, () => { sign = performance.now(); }, { capture: true, passive: true });

/** @type {Map<string, { on: string, rows: Row[], held: boolean }>} what each list shows, by name */
const lists = new Map();

/** @param {string} id */
const find = (id) => document.querySelector(`[data-list="${id}"]`);

/** @param {string} id @param {boolean} before */
function isHeld(id, before) {
  if (document.querySelector('dialog[open]')) return before;
  const list = find(id);
  return !!list && performance.now() - sign < presence && (list.matches(':hover') || list.contains(document.activeElement));
}

/**
 * The rows of a list in the order they are to be shown. While it is held, those that
 * have gone stay (`gone` has their keys), and new ones come last or, in a feed, wait.
 * @param {string} id @param {string} on what was asked for: for something else there is no hold
 * @param {Row[]} rows @param {boolean} [feed]
 */
export function places(id, on, rows, feed = false) {
  const before = lists.get(id);
  const held = before?.on === on && isHeld(id, before.held);
  /** @type {Set<string>} */ const gone = new Set();
  let shown = rows;
  let waiting = 0;
  if (before && held) {
    const now = new Map(rows.map((row) => [row.key, row]));
    shown = before.rows.map((row) => now.get(row.key) ?? (gone.add(row.key), row));
    const known = new Set(before.rows.map((row) => row.key));
    const late = rows.filter((row) => !known.has(row.key));
    if (feed) waiting = late.length;
    else shown.push(...late);
  }
  lists.set(id, { on, rows: shown, held });
  return { rows: shown, gone, waiting };
}

/** Draws, and gives the focus back to the row that had it if the drawing put another in its place. @param {() => void} draw */
export function keepingFocus(draw) {
  const active = /** @type {HTMLElement} */ (document.activeElement);
  const row = /** @type {HTMLElement | null} */ (active?.closest('[data-list] [data-key]'));
  if (!row) {
    draw();
    return;
  }
  const { key = '' } = row.dataset;
  const { list = '' } = /** @type {HTMLElement} */ (row.closest('[data-list]')).dataset;
  const nth = [...row.querySelectorAll('a, button')].indexOf(active);
  draw();
  if (active.isConnected && active.closest('[data-key]') === row && row.dataset.key === key && document.activeElement === active) return;
  /** @type {HTMLElement | undefined} */ (find(list)?.querySelector(`[data-key="${CSS.escape(key)}"]`)?.querySelectorAll('a, button')[nth])?.focus({ preventScroll: true });
}
