// Charts and the heat map, of what the stream says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axis, isCovered, knownSince, linesOf, marks, range, valuesAt } from '../static/models.js';
import { heatFloor, heatModel, heatRow, latencies, short, tickOf } from '../static/octaves.js';

const line = (...at) => ({ key: 'a', points: at.map((t) => [t, t]) });

test('short steps are shown when they are over, and are whole when all nodes have told of them', () => {
  const steps = (meta) => axis([line(1000, 3000, 2000), line(2000, 4000)], { step_ms: 1000, ...meta });
  assert.deepEqual(steps({ at: 5000, oldest_node_age_ms: 0 }), { at: [1000, 2000, 3000, 4000], step: 1000, whole: 4 });
  assert.deepEqual(steps({ at: 4999, oldest_node_age_ms: 0 }), { at: [1000, 2000, 3000], step: 1000, whole: 3 });
  // A slow node is waited for, but not forever.
  assert.deepEqual(steps({ at: 6000, oldest_node_age_ms: 2000 }), { at: [1000, 2000, 3000], step: 1000, whole: 3 });
  assert.deepEqual(steps({ at: 10_000, oldest_node_age_ms: 8000 }), { at: [1000, 2000, 3000, 4000], step: 1000, whole: 1 });
  assert.deepEqual(axis([], null), { at: [], step: 0, whole: 0 });
});

test('a long step is shown from its tenth part on, and is not whole before its end', () => {
  const meta = (at) => ({ step_ms: 10_000, at, oldest_node_age_ms: 0 });
  assert.deepEqual(axis([line(10_000, 20_000)], meta(20_999)).at, [10_000]);
  assert.deepEqual(axis([line(10_000, 20_000)], meta(21_000)), { at: [10_000, 20_000], step: 10_000, whole: 1 });
});

test('a line has a value or nothing at each instant', () => {
  assert.deepEqual(valuesAt({ key: 'a', points: [[1, 0], [3, 5]] }, [1, 2, 3]), [0, null, 5]);
  assert.deepEqual(valuesAt(undefined, [1]), [null]);
  const part = { lines: new Map([['a x', { metric: 'x' }], ['a y', { metric: 'y' }], ['b x', { metric: 'x' }]]) };
  assert.equal(linesOf(part, 'x').length, 2);
  assert.deepEqual(linesOf(undefined, 'x'), []);
});

test('circuits that change together are one mark; restarts are others', () => {
  const change = (at, provider_id) => ({ at, provider_id, to: 'open', transport: 'http' });
  const changes = [change(4998, 'a'), change(1000, 'a'), change(2999, 'a'), change(1200, 'b'), change(6998, 'a')];
  const v = { restarts: [{ at: 1500, label: 'n1', tone: 'none' }], rows: () => changes };
  // 4998 is near 2999, which is near 1000; 6998 is 2 s after the last.
  assert.deepEqual(marks(v, true).map((m) => [m.at, m.label]), [[1000, '✕ a'], [1200, '✕ b'], [1500, 'n1'], [6998, '✕ a']]);
  assert.deepEqual(marks({ ...v, restarts: [] }, false).map((m) => m.label), ['✕ http open', '✕ http open']);
});

test('what a node does not know of a window is said', () => {
  const meta = { at: 100_000, window_ms: 60_000, covered_ms: 20_000 };
  assert.equal(isCovered(meta), false);
  assert.equal(isCovered({ ...meta, covered_ms: 59_000 }), true);
  assert.equal(knownSince(meta, 40_000), 80_000);
  assert.equal(knownSince({ ...meta, covered_ms: 60_000 }, 40_000), 40_000);
  assert.equal(knownSince(null, 40_000), 40_000);
});

test('a chart shows the window up to now', () => {
  assert.deepEqual(range({ window_ms: 300_000 }, 1_000_000), [700_000, 1_000_000]);
  assert.deepEqual(range({ window_ms: 1000 }, 1_000_000), [990_000, 1_000_000]);
  assert.deepEqual(range(undefined, 1_000_000), [940_000, 1_000_000]);
});

test('rows of the heat map are half octaves', () => {
  for (let row = -39; row <= 32; row++) {
    const least = heatFloor(row);
    assert.equal(heatRow(least * 1.0001), row);
    assert.equal(heatRow(least * Math.SQRT2 * 0.9999), row);
  }
  assert.equal(heatRow(0), heatRow(0.001));
});

test('buckets fall into rows by their middle, and calls of a row add up', () => {
  const meta = { at: 16_200, window_ms: 60_000, step_ms: 1000, oldest_node_age_ms: 6000 };
  const m = heatModel([[10_000, [[1, 1.2, 3, 0], [1.2, 1.4, 4, 2], [100, 110, 5, 0], [600, 620, 0, 3]]], [11_000, [[8, 9, 1, 0]]], [12_000, [[8, 9, 1, 0]]]], 16_300, meta);
  assert.deepEqual(m.at, [10_000]);
  assert.deepEqual(m.cells, [new Map([[-20, 7], [-7, 5]])]);
  assert.deepEqual(m.cuts, [new Map([[-20, 2], [-2, 3]])]);
  assert.deepEqual([m.whole, m.step, m.low, m.high], [0, 1000, -21, -1]);
  assert.deepEqual(m.range, [-43_700, 16_300]);
  const none = heatModel([], 1000, null);
  assert.deepEqual([none.low, none.high, none.cells.length], [-13, -7, 0]);
});

test('there are no more marks than there is room for', () => {
  for (const width of [3, 5, 8, 20]) {
    for (const length of [10_000, 60_000, 300_000, 900_000, 3_600_000]) {
      const tick = tickOf([0, length], width);
      assert.ok(length / tick <= width, `${length} ms, room for ${width}: ${tick}`);
    }
  }
  assert.equal(tickOf([0, 60_000], 6), 10_000);
  assert.equal(tickOf([0, 60_000], 5.9), 30_000);
  assert.equal(tickOf([0, 86_400_000], 3), 1_800_000);
});

test('latencies are short words', () => {
  for (const [ms, want] of [[0.001, '0.001 ms'], [0.0567, '0.057 ms'], [1, '1 ms'], [2.345, '2.3 ms'], [10, '10 ms'], [999, '999 ms'], [1000, '1 s'], [1250, '1.3 s'], [500_000, '500 s']]) {
    assert.equal(short(ms), want);
  }
  assert.deepEqual(latencies, latencies.toSorted((a, b) => a - b));
});
