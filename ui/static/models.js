// Charts from what the stream says: lines of points on one axis of time, and marks.

import { look } from './format.js';

/** A step of so long is shown from its tenth part on; a shorter one when it is over. */
const long = 10_000; // ms
/** How long one waits with a step for the numbers of the slowest node. */
const patience = 5000; // ms

/**
 * The steps of some lines, and how many of them are whole: over, and heard of from all
 * nodes. One that is not is lower than it will be, which must not look like a fall.
 * @param {Line[]} lines @param {Meta | null | undefined} meta
 * @returns {{ at: number[], step: number, whole: number }}
 */
export function axis(lines, meta) {
  const { step_ms: step = 0, at: now = 0, oldest_node_age_ms: oldest = 0 } = meta ?? {};
  const last = now - Math.min(oldest, patience) - (step < long ? step : step / 10);
  const all = new Set(lines.flatMap((l) => l.points.map(([at]) => at)));
  const at = [...all].filter((t) => t <= last).sort((a, b) => a - b);
  return { at, step, whole: at.filter((t) => t + step <= now - oldest).length };
}

/** The values of a line at the instants. @param {Line | undefined} line @param {number[]} at @returns {(number | null)[]} */
export function valuesAt(line, at) {
  const by = new Map(line?.points ?? []);
  return at.map((t) => by.get(t) ?? null);
}

/** The lines of a metric. @param {import('./parts.js').Part | undefined} part @param {string} metric */
export const linesOf = (part, metric) => [...(part?.lines.values() ?? [])].filter((l) => l.metric === metric);

/** Several circuits that change together are one mark. */
const together = 2000; // ms

/** Marks of circuit changes and of new runs of nodes. @param {import('./app.js').View} v @param {boolean} named with the provider */
export function marks(v, named) {
  const changes = v.rows('changes').map((c) => {
    const [glyph, word, tone] = look(c.to);
    return { at: c.at, tone, label: `${glyph} ${named ? c.provider_id : `${c.transport} ${word}`}` };
  });
  const marks = [...changes, ...v.restarts].sort((a, b) => a.at - b.at);
  return marks.filter((m, i) => !marks.slice(0, i).some((o) => o.label === m.label && m.at - o.at < together));
}

/**
 * From when on all is known of a window that began at from: a node does not know what was
 * before it ran, but for what others or its checkpoint tell it.
 * @param {Meta | null | undefined} meta @param {number} from
 */
export const knownSince = (meta, from) => (meta && !isCovered(meta) ? Math.max(from, meta.at - meta.covered_ms) : from);

/** Whether all of the window is known. @param {Meta} meta */
export const isCovered = (meta) => meta.covered_ms >= meta.window_ms - 1000;

/**
 * The stretch of time that a chart shows: the window up to now, so that what is
 * not there shows as a gap.
 * @param {Meta | null | undefined} meta @param {number} now @returns {[number, number]}
 */
export function range(meta, now) {
  const length = Math.max(meta?.window_ms ?? 60_000, 10_000);
  return [now - length, now];
}
