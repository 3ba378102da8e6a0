// What a part is after frames, against what it must be.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Part, apply, frozen, joined } from '../static/parts.js';

const meta = (more = {}) => ({ at: 100_000, window_ms: 60_000, step_ms: 1000, ...more });
const keys = (part) => [...part.rows.keys()];

/** The same numbers at every run. */
function dice(seed) {
  return (n) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
}

test('a snapshot is all there is', () => {
  const part = new Part();
  assert.equal(apply(part, { meta: meta(), rows: [{ key: 'a' }, { key: 'b' }] }), 2);
  assert.deepEqual(keys(part), ['a', 'b']);
  assert.equal(apply(part, { meta: meta(), rows: [{ key: 'c' }] }), 1);
  assert.deepEqual(keys(part), ['c']);
  assert.equal(apply(part, { meta: meta(), rows: [] }), 0);
  assert.deepEqual(keys(part), []);
});

test('a delta replaces rows, adds and removes; others stay the same objects', () => {
  const part = new Part();
  apply(part, { meta: meta(), rows: [{ key: 'a', n: 1 }, { key: 'b', n: 1 }, { key: 'c', n: 1 }] });
  const a = part.rows.get('a');
  const said = meta({ at: 100_500 });
  assert.equal(apply(part, { meta: said, upsert: [{ key: 'b', n: 2 }, { key: 'd', n: 2 }], remove: ['c', 'never'] }), 4);
  assert.deepEqual([...part.rows.values()], [
    { key: 'a', n: 1, heard_at: 100_000 }, { key: 'b', n: 2, heard_at: 100_500 }, { key: 'd', n: 2, heard_at: 100_500 },
  ]);
  assert.equal(part.rows.get('a'), a);
  assert.equal(part.meta, said);
  assert.equal(apply(part, { meta: meta({ at: 101_000 }) }), 0);
  assert.equal(part.meta?.at, 101_000);
});

test('rows after any frames are those of a map', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const roll = dice(seed);
    const part = new Part();
    let want = new Map();
    for (let i = 0; i < 60; i++) {
      const some = () => Array.from({ length: roll(5) }, () => ({ key: `k${roll(12)}`, n: roll(1e6) }));
      if (roll(8) === 0 || i === 0) {
        const rows = some();
        want = new Map(rows.map((row) => [row.key, row.n]));
        apply(part, { meta: meta(), rows });
      } else {
        const upsert = some();
        const remove = some().map((row) => row.key);
        for (const row of upsert) want.set(row.key, row.n);
        for (const key of remove) want.delete(key);
        apply(part, { meta: meta(), upsert, remove });
      }
      assert.deepEqual(new Map([...part.rows].map(([key, row]) => [key, row.n])), want, `seed ${seed}, frame ${i}`);
    }
  }
});

test('points are joined at the seam: neither a gap nor a double, and none from before the window', () => {
  assert.deepEqual(joined([[1000, 1], [2000, 2], [3000, 3]], [[3000, 4], [4000, 5]], meta({ at: 4000, window_ms: 2000 })), [[2000, 2], [3000, 4], [4000, 5]]);
  assert.deepEqual(joined([], [[2000, 2], [1000, null]], meta({ at: 2500 })), [[1000, null], [2000, 2]]);
  // The step in which the window begins is part of it.
  assert.deepEqual(joined([[0, 1], [10_000, 2]], [], meta({ at: 75_000, window_ms: 60_000, step_ms: 10_000 })), [[10_000, 2]]);
  assert.deepEqual(joined([[1000, 1]], [], { at: 2000, window_ms: 1000 }), [[1000, 1]]);
});

test('lines go by key and metric, and a key goes with all of its lines', () => {
  const part = new Part();
  const lines = (frame) => apply(part, { meta: meta({ at: 3000 }), ...frame });
  const shown = () => Object.fromEntries([...part.lines].map(([id, line]) => [id, line.points]));
  assert.equal(lines({ series: [{ key: 'a', metric: 'x', points: [[1000, 1]] }, { key: 'a', metric: 'y', points: [[1000, 2]] }, { key: 'b', metric: 'x', points: [] }] }), 3);
  assert.equal(part.kind, 'series');
  assert.equal(lines({ upsert: [{ key: 'a', metric: 'x', points: [[2000, 3]] }, { key: 'c', metric: 'x', points: [[2000, 4]] }] }), 2);
  assert.deepEqual(shown(), { 'a x': [[1000, 1], [2000, 3]], 'a y': [[1000, 2]], 'b x': [], 'c x': [[2000, 4]] });
  assert.equal(lines({ remove: ['a'] }), 0);
  assert.deepEqual(Object.keys(shown()), ['b x', 'c x']);
  lines({ histograms: [{ key: 'a', points: [[1000, [[1, 2, 3]]]] }] });
  assert.equal(part.kind, 'histograms');
  assert.deepEqual(shown(), { a: [[1000, [[1, 2, 3]]]] });
});

test('a feed is newest first, and keeps as many as it may', () => {
  const part = new Part();
  apply(part, { meta: meta(), rows: [{ key: '2', ts: 2 }, { key: '1', ts: 1 }] });
  assert.equal(apply(part, { meta: meta(), append: [{ key: '4', ts: 4 }, { key: '3', ts: 3 }], seen: 9, shown: 2 }), 2);
  assert.deepEqual(part.feed.map((row) => row.key), ['4', '3', '2', '1']);
  assert.deepEqual([part.seen, part.shown], [9, 2]);
  apply(part, { meta: meta(), append: Array.from({ length: 300 }, (_, i) => ({ key: `n${i}`, ts: 10 + i })), seen: 300, shown: 300 });
  assert.equal(part.feed.length, 200);
  assert.deepEqual([part.feed[0].key, part.feed[199].key], ['n299', 'n100']);
  apply(part, { meta: meta(), rows: [] });
  assert.deepEqual([part.feed.length, part.seen, part.shown], [0, 0, 0]);
});

test('what is frozen is not reached by later frames', () => {
  const part = new Part();
  apply(part, { meta: meta(), rows: [{ key: 'a', n: 1 }, { key: 'b', n: 1 }] });
  const copy = frozen(part);
  apply(part, { meta: meta({ at: 101_000 }), upsert: [{ key: 'a', n: 2 }], remove: ['b'] });
  assert.deepEqual([...copy.rows.values()].map((row) => row.n), [1, 1]);
  assert.equal(copy.meta?.at, 100_000);
  assert.deepEqual(keys(part), ['a']);

  const chart = new Part();
  apply(chart, { meta: meta(), series: [{ key: 'a', points: [[99_000, 1]] }] });
  const still = frozen(chart);
  apply(chart, { meta: meta({ at: 101_000 }), upsert: [{ key: 'a', points: [[100_000, 2]] }] });
  assert.deepEqual(still.lines.get('a')?.points, [[99_000, 1]]);
  assert.equal(chart.lines.get('a')?.points.length, 2);
});
