// What a title says, for those without a pointer that hovers: a tap on what has one shows
// it, and so does the focus. Of a row, i lists all of them.

const tip = /** @type {HTMLElement} */ (document.getElementById('tip'));

/** @type {HTMLElement | null} */ let about = null;

/** @param {HTMLElement | null} of */
function show(of) {
  about = of;
  tip.hidden = !of?.title || of.title === of.textContent?.trim();
  if (!of || tip.hidden) return;
  tip.textContent = of.title;
  const at = of.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(at.left, innerWidth - tip.offsetWidth - 4))}px`;
  const below = at.bottom + 4;
  tip.style.top = `${below + tip.offsetHeight < innerHeight ? below : Math.max(4, at.top - tip.offsetHeight - 4)}px`;
}

/** Hides it. Returns whether there was one. */
export function hide() {
  const shown = about !== null && !tip.hidden;
  show(null);
  return shown;
}

export function listen() {
  addEventListener('focusin', (e) => {
    const at = /** @type {HTMLElement} */ (e.target);
    show(at.matches(':focus-visible') && !at.closest('dialog') ? at.closest('[title]') : null);
  });
  addEventListener('focusout', () => show(null));
  addEventListener('pointerdown', (e) => {
    const at = /** @type {HTMLElement} */ (e.target);
    // What does something when it is pressed does that; a mouse hovers.
    show(e.pointerType !== 'mouse' && !at.closest('a, button, input, select, summary, r-chart, r-heat') ? at.closest('[title]') : null);
  });
  addEventListener('scroll', () => show(null), { capture: true, passive: true });
}

/**
 * All that titles say of where the focus is: of the row, or of the thing.
 * @returns {{ title: string, facts: [string, string][] } | null}
 */
export function facts() {
  const at = /** @type {HTMLElement | null} */ (document.activeElement);
  const row = at?.closest('tr, li, .tile, .facts > div');
  if (!row) return null;
  const heads = [...(row.closest('table')?.querySelectorAll('thead th') ?? [])].map((h) => h.textContent?.replace(/[▲▼]/g, '').trim() ?? '');
  const cells = row.matches('tr') ? [...row.children] : [row];
  /** @type {[string, string][]} */ const found = [];
  cells.forEach((cell, i) => {
    const titles = [cell, ...cell.querySelectorAll('[title]')].map((x) => /** @type {HTMLElement} */ (x).title).filter(Boolean);
    const name = heads[i] ?? row.querySelector('h2, dt, .what')?.textContent?.trim() ?? '';
    found.push([name, titles.join('. ') || (cell.textContent?.replace(/\s+/g, ' ').trim() ?? '')]);
  });
  const title = /** @type {HTMLElement | null} */ (row.querySelector('th, h2, dt, .what'))?.innerText.replace(/\s+/g, ' ') ?? '';
  return { title, facts: found };
}
