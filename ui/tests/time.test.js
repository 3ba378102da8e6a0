// The node's clock, and how often frames are asked for, by clocks that the test turns.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Clock, timeOf } from '../static/clock.js';
import { Pace } from '../static/pace.js';

/** The page's two clocks: the steady one, and what it takes for the time. */
function clocks(t, wall = 0) {
  const c = { steady: 0, wall };
  t.mock.method(performance, 'now', () => c.steady);
  t.mock.method(Date, 'now', () => c.wall + c.steady);
  return c;
}

test('the time is the node’s, whatever the page’s own clock says', (t) => {
  const c = clocks(t, 77);
  const clock = new Clock();
  assert.equal(clock.now(), 77); // nobody has said anything
  c.steady = 1000;
  clock.said(50_000, 600); // asked at 600, heard at 1000: it was then 800
  assert.equal(clock.now(), 50_200);
  c.steady = 2000;
  assert.equal(clock.now(), 51_200);
});

test('nothing that arrives is from the future, and the least delay counts', (t) => {
  const c = clocks(t);
  const clock = new Clock();
  clock.said(50_000, 0);
  clock.heard(50_300);
  assert.equal(clock.now(), 50_300);
  c.steady = 1000;
  clock.heard(50_900); // late: it says nothing about the clock
  assert.equal(clock.now(), 51_300);
});

test('a node’s clock that was set back is followed', (t) => {
  const c = clocks(t);
  const clock = new Clock();
  clock.heard(50_000);
  c.steady = 500;
  clock.heard(20_500);
  assert.equal(clock.now(), 20_500);
});

test('a sleep, or a clock that was set, is told once', (t) => {
  const c = clocks(t);
  const clock = new Clock();
  c.steady = 3_600_000;
  assert.equal(clock.jumped(), false);
  c.wall = 1999;
  assert.equal(clock.jumped(), false);
  c.wall = 60_000;
  assert.equal(clock.jumped(), true);
  assert.equal(clock.jumped(), false);
  c.wall = -60_000;
  assert.equal(clock.jumped(), true);
});

test('a frame is of the newest time that any of it says', () => {
  assert.equal(timeOf({ meta: { at: 5 }, topics: { a: { meta: { at: 3 } }, b: { meta: { at: 9 } } } }), 9);
  assert.equal(timeOf({ meta: { at: 5 }, topics: {} }), 5);
});

/** Frames of an age come, one every so many ms, until another interval is asked for; the number of them. */
function until(c, pace, age, every, most = 100_000) {
  for (let n = 1; n <= most; n++) {
    c.steady += every;
    if (pace.changes(age)) return n;
  }
  return Infinity;
}

test('frames that stay late are asked for less often, a burst of them is not', (t) => {
  const c = clocks(t);
  const pace = new Pace();
  assert.equal(pace.interval, 500);
  for (let i = 0; i < 8; i++) { // late for 3.5 s
    c.steady += 500;
    assert.equal(pace.changes(1501), false);
  }
  c.steady += 500;
  assert.equal(pace.changes(1500), false); // on time again: it begins anew
  assert.equal(until(c, pace, 1501, 500), 10);
  assert.equal(pace.interval, 1000);
});

test('an interval is chosen that the link can carry', (t) => {
  const c = clocks(t);
  const pace = new Pace();
  until(c, pace, 10_000, 1700);
  assert.equal(pace.interval, 5000); // 1.7 s a frame and a quarter more are more than 2 s
  assert.equal(until(c, pace, 60_000, 60_000, 50), Infinity); // there is none longer
});

test('a shorter one is tried after a minute on time, and later after every failure', (t) => {
  const c = clocks(t);
  const pace = new Pace();
  until(c, pace, 5000, 900);
  const slow = pace.interval;
  assert.ok(slow > 500);
  const tried = [];
  for (let i = 0; i < 9; i++) {
    const from = c.steady;
    until(c, pace, 0, 1000);
    tried.push(c.steady - from);
    until(c, pace, 10_000, 500);
  }
  assert.ok(tried[0] > 60_000);
  for (let i = 1; i < tried.length; i++) assert.ok(tried[i] >= tried[i - 1], `${tried}`);
  assert.ok(Math.abs(tried.at(-1) - 3_600_000) < 10_000, `${tried}`); // an hour at most
});
