// The keyboard does everything. Keys are those of the list that ? shows.

export const help = [
  ['/', 'search'], ['g o', 'overview'], ['g p', 'providers'], ['g c', 'chains'], ['g d', 'decisions'], ['g k', 'cluster'], ['g s', 'system'],
  ['j  k', 'next and previous row or alarm'], ['Enter', 'open it'], ['Esc', 'close, or leave the search'], ['p', 'pause and resume'],
  ['w', 'next window'], ['u', 'times in your zone or in UTC'], ['i', 'what the titles of this row or number say'], ['s', 'sort by the next column'], ['t', 'theme: light, dark, as the system'], ['r', 'try the connection again now'], ['?', 'this list'],
];

const screens = /** @type {Record<string, string>} */ ({ o: 'overview', p: 'providers', c: 'chains', d: 'decisions', k: 'cluster', s: 'system' });

/** Where j and k go: links and buttons that stand for a row. */
const rows = 'main tbody :is(a, button).row, .attention li > a, .matrix td a';

let going = -Infinity; // when g was pressed

/**
 * @param {object} actions
 * @param {(view: string) => void} actions.show @param {() => void} actions.search @param {() => void} actions.pause
 * @param {() => void} actions.window @param {() => void} actions.sort @param {() => void} actions.theme
 * @param {() => void} actions.zone @param {() => void} actions.inform @param {() => void} actions.help @param {() => void} actions.escape @param {() => void} actions.retry
 */
export function listen(actions) {
  addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    const target = /** @type {HTMLElement} */ (e.target);
    if (e.key === 'Escape') {
      if (!document.querySelector('dialog[open]')) actions.escape();
      return;
    }
    if (target.closest('input, select, textarea') || document.querySelector('dialog[open]')) return;
    if (performance.now() - going < 1500 && screens[e.key]) {
      going = -Infinity;
      actions.show(screens[e.key]);
    } else if (e.key === 'g') {
      going = performance.now();
    } else if (e.key === 'j' || e.key === 'k') {
      move(e.key === 'j' ? 1 : -1);
    } else {
      const action = /** @type {Record<string, () => void>} */ ({ '/': actions.search, p: actions.pause, w: actions.window, s: actions.sort, t: actions.theme, u: actions.zone, i: actions.inform, r: actions.retry, '?': actions.help })[e.key];
      if (!action) return;
      action();
    }
    e.preventDefault();
  });
}

/** @param {number} by */
function move(by) {
  const all = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(rows)]);
  if (all.length === 0) return;
  const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const row = all[at]?.closest('tr');
  const beside = by > 0 ? row?.nextElementSibling : row?.previousElementSibling;
  if (beside?.classList.contains('gap')) return; // the next row comes with the next drawing
  const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1);
  all[next].focus();
}
