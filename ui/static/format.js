// Numbers and times as text. — is no data, 0 is zero, and a figure always has the
// same number of decimals, so that it does not jump.

const formats = [0, 1, 2].map((digits) => new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }));

/** @param {number} digits @returns {(v: number | null | undefined) => string} */
export const fixed = (digits) => (v) => (v === null || v === undefined || Number.isNaN(v) ? '—' : formats[digits].format(v).replace('-', '−'));

export const whole = fixed(0);
export const tenth = fixed(1);
export const hundredth = fixed(2);

/** @param {number | null | undefined} v bytes */
export function bytes(v) {
  if (v === null || v === undefined) return '—';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  for (; v >= 1024 && i < units.length - 1; i++) v /= 1024;
  return `${i ? tenth(v) : whole(v)} ${units[i]}`;
}

/** A length of time in its two largest units. @param {number | null | undefined} ms */
export function span(ms) {
  if (ms === null || ms === undefined) return '—';
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, '0')} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor(s / 60) % 60).padStart(2, '0')} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

/** An age, as coarse as eyes need. @param {number | null | undefined} at @param {number} now */
export function age(at, now) {
  if (!at) return '—';
  const ms = now - at;
  return ms < 2000 ? 'now' : ms < 10_000 ? `${Math.floor(ms / 1000)} s` : ms < 60_000 ? `${Math.floor(ms / 5000) * 5} s` : span(ms);
}

/** Times of day are the reader's own, or UTC. */
const storedZone = 'remuda-zone';
let utc = false;
try {
  utc = localStorage.getItem(storedZone) === 'utc';
} catch { /* storage may be forbidden */ }

/** @type {Record<'clock' | 'moment' | 'date', Intl.DateTimeFormat>} */ let times;

function tell() {
  const timeZone = utc ? 'UTC' : undefined;
  /** @type {Intl.DateTimeFormatOptions} */ const ofDay = { timeZone, hour: '2-digit', minute: '2-digit', second: '2-digit' };
  times = {
    clock: new Intl.DateTimeFormat('en-GB', ofDay),
    moment: new Intl.DateTimeFormat('en-GB', { ...ofDay, fractionalSecondDigits: 3 }),
    date: new Intl.DateTimeFormat('en-GB', { timeZone, dateStyle: 'medium', timeStyle: 'long' }),
  };
}
tell();

/** Whose time of day is shown: UTC, UTC+2, UTC−3:30. */
export function zone() {
  if (utc) return 'UTC';
  const minutes = -new Date().getTimezoneOffset();
  const rest = Math.abs(minutes) % 60;
  return minutes === 0 ? 'UTC+0' : `UTC${minutes < 0 ? '−' : '+'}${Math.floor(Math.abs(minutes) / 60)}${rest ? `:${String(rest).padStart(2, '0')}` : ''}`;
}

/** Between the reader's own time and UTC. */
export function switchZone() {
  utc = !utc;
  tell();
  try {
    if (utc) localStorage.setItem(storedZone, 'utc');
    else localStorage.removeItem(storedZone);
  } catch { /* then it is for this page only */ }
}

/** @param {number | null | undefined} at */
export const clock = (at) => (at ? times.clock.format(at) : '—');
/** To the millisecond. @param {number} at */
export const moment = (at) => times.moment.format(at);
/** @param {number | null | undefined} at */
export const instant = (at) => (at ? times.date.format(at) : 'never');

/** What a status, a circuit or a severity looks like: glyph, word and tone say the same. @type {Record<string, [string, string, string]>} */
const looks = {
  circuit_open: ['✕', 'circuit open', 'bad'], rate_limited: ['◔', 'rate limited', 'bad'], recovering: ['↻', 'recovering', 'warn'],
  failing: ['✕', 'failing', 'bad'], degraded: ['▼', 'degraded', 'warn'], lagging: ['…', 'lagging', 'warn'],
  healthy: ['✓', 'healthy', 'good'], unknown: ['?', 'unknown', 'none'],
  open: ['✕', 'open', 'bad'], half_open: ['↻', 'half open', 'warn'], closed: ['✓', 'closed', 'good'],
  critical: ['✕', 'critical', 'bad'], warning: ['▲', 'warning', 'warn'], notice: ['i', 'notice', 'none'],
  success: ['✓', 'success', 'good'], error: ['✕', 'error', 'bad'], cancelled: ['⊘', 'cut off', 'none'], not_sent: ['·', 'not sent', 'none'],
  alive: ['✓', 'alive', 'good'], leaving: ['→', 'leaving', 'none'], left: ['→', 'left', 'none'], failed: ['✕', 'failed', 'bad'],
  stale: ['◷', 'stale', 'warn'], restarting: ['↻', 'restarting', 'warn'],
};

/** @param {string} word @returns {[string, string, string]} */
export const look = (word) => looks[word] ?? ['?', String(word).replaceAll('_', ' '), 'none'];

/** Tone of a success rate, by the thresholds of the gateways' dashboards. @param {number | null} v */
export const rateTone = (v) => (v === null || v === undefined ? '' : v >= 99 ? 'good' : v >= 95 ? 'warn' : 'bad');

/** Percentiles of fewer calls than this are grey, with n. */
export const fewCalls = 20;

/** Whether what was last heard of so long ago says little about now. @param {number | null} at @param {number} now */
export const stale = (at, now) => at !== null && now - at > 30_000;
