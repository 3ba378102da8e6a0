// Numbers and times as text.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age, bytes, clock, hundredth, instant, look, moment, rateTone, span, stale, switchZone, tenth, whole, zone } from '../static/format.js';

/** @param {(v: any) => any} f @param {[any, any][]} table */
function says(f, table) {
  for (const [given, want] of table) assert.equal(f(given), want, String(given));
}

test('no data is not zero, and decimals are always as many', () => {
  says(whole, [[null, '—'], [undefined, '—'], [NaN, '—'], [0, '0'], [-0.4, '−0'], [1234567, '1,234,567'], [-5, '−5']]);
  says(tenth, [[0, '0.0'], [12, '12.0'], [0.05, '0.1'], [-1234.56, '−1,234.6']]);
  says(hundredth, [[100, '100.00'], [99.995, '100.00'], [99.994, '99.99'], [null, '—']]);
});

test('bytes have the unit that keeps them short', () => {
  says(bytes, [[null, '—'], [0, '0 B'], [1023, '1,023 B'], [1024, '1.0 KiB'], [1536, '1.5 KiB'], [1048576, '1.0 MiB'], [2 ** 40, '1.0 TiB'], [2 ** 51, '2,048.0 TiB']]);
});

test('a span is said in its two largest units', () => {
  const s = 1000;
  const min = 60 * s;
  const h = 60 * min;
  says(span, [[null, '—'], [undefined, '—'], [-5, '0 s'], [999, '0 s'], [59_999, '59 s'], [min, '1 min 00 s'], [h - 1, '59 min 59 s'],
    [h, '1 h 00 min'], [24 * h - 1, '23 h 59 min'], [24 * h, '1 d 0 h'], [49 * h, '2 d 1 h']]);
});

test('an age is as coarse as eyes need', () => {
  const now = 1_000_000;
  says((at) => age(at, now), [[null, '—'], [0, '—'], [now + 5000, 'now'], [now - 1999, 'now'], [now - 2000, '2 s'], [now - 9999, '9 s'],
    [now - 10_000, '10 s'], [now - 14_999, '10 s'], [now - 59_999, '55 s'], [now - 60_000, '1 min 00 s']]);
});

test('times are of UTC or of the zone here, as switched', () => {
  const at = Date.UTC(2026, 0, 2, 3, 4, 5, 67);
  assert.match(zone(), /^UTC[+−]\d/);
  const own = clock(at);
  switchZone();
  assert.equal(zone(), 'UTC');
  assert.equal(clock(at), '03:04:05');
  assert.equal(moment(at), '03:04:05.067');
  assert.match(instant(at), /2 Jan 2026.*03:04:05 UTC/);
  says(clock, [[null, '—'], [0, '—']]);
  assert.equal(instant(null), 'never');
  switchZone();
  assert.equal(clock(at), own);
});

test('what nobody has heard of looks unknown, in its own words', () => {
  assert.deepEqual(look('circuit_open'), ['✕', 'circuit open', 'bad']);
  assert.deepEqual(look('of_late'), ['?', 'of late', 'none']);
});

test('tones and staleness begin where they say', () => {
  says(rateTone, [[null, ''], [undefined, ''], [100, 'good'], [99, 'good'], [98.99, 'warn'], [95, 'warn'], [94.99, 'bad'], [0, 'bad']]);
  says((at) => stale(at, 100_000), [[null, false], [70_000, false], [69_999, true]]);
});
