// The colours of lines by what they are of: an id keeps its colour while one looks,
// whoever comes and goes beside it, and through a reload. There are fewer colours than
// ids; two that are drawn together never share one.

import { keep, recall } from './kept.js';

export const lineColors = ['--c1', '--c2', '--c3', '--c4', '--c5', '--c6', '--c7', '--c8'];

/** How many ids are remembered; beyond it those that were drawn longest ago are forgotten. */
const remembered = 200;

/** @type {Map<string, number>} which colour, by id, longest ago first */
const given = new Map(recall('colors', []));

/**
 * A colour for each of the ids that are drawn together, at most as many as there are colours.
 * @param {string[]} ids @returns {Map<string, string>}
 */
export function colorsOf(ids) {
  /** @type {Map<string, number>} */ const drawn = new Map();
  const taken = () => new Set(drawn.values());
  for (const id of ids) {
    const own = given.get(id);
    if (own !== undefined && !taken().has(own)) drawn.set(id, own);
  }
  for (const id of ids) {
    if (drawn.has(id)) continue;
    const used = taken();
    const free = lineColors.findIndex((_, i) => !used.has(i));
    drawn.set(id, free < 0 ? 0 : free);
  }
  const changed = [...drawn].some(([id, color]) => given.get(id) !== color);
  for (const [id, color] of drawn) {
    given.delete(id);
    given.set(id, color);
  }
  for (const id of [...given.keys()].slice(0, Math.max(given.size - remembered, 0))) given.delete(id);
  if (changed) keep('colors', [...given]);
  return new Map([...drawn].map(([id, i]) => [id, lineColors[i]]));
}
