package store

import (
	"sync/atomic"
	"time"
)

// The store has a clock of its own: the wall clock at the start plus monotonic time, so
// that a step of the wall moves no event into another cell. When the wall has differed
// by more than maxDrift for patience, it is believed: forward, the clock goes with it;
// backward, it goes on as it was, lest what is in the store stay there until the wall has
// caught up, and only what comes in and what is shown is by the wall. Instants are of the
// store's clock everywhere in the store but at its edges: in what Apply is given, and in
// what readers get. Other nodes are told the store's clock, and know of no step.
const (
	maxDrift = 5 * time.Second
	patience = time.Minute
)

type clock struct {
	wall   func() time.Time
	start  time.Time
	ahead  atomic.Int64 // ms added since the start to follow the wall, or to not go back
	behind atomic.Int64 // by how many ms the wall is behind this clock
	latest atomic.Int64 // what now was at the last check
	steps  atomic.Uint64
	last   atomic.Pointer[ClockStep]

	differed time.Time // since when the wall has differed; only check touches it
}

// A ClockStep is a step of the wall clock that was believed.
type ClockStep struct {
	By time.Duration
	At int64 // when, ms of the store's own clock
}

func newClock(wall func() time.Time) *clock {
	return &clock{wall: wall, start: wall()}
}

// read is the clock in ms since the epoch. With time.Now the difference is monotonic.
func (c *clock) read(wall time.Time) int64 {
	return c.start.UnixMilli() + wall.Sub(c.start).Milliseconds() + c.ahead.Load()
}

// now is in ms since the epoch. It never goes back by more than ticks are apart, also
// when the wall clock has no monotonic time.
func (c *clock) now() int64 { return max(c.read(c.wall()), c.latest.Load()) }

// shown is an instant of this clock as the wall has it; 0, which is none, stays 0.
func (c *clock) shown(at int64) int64 {
	if at == 0 {
		return 0
	}
	return at - c.behind.Load()
}

// check returns by how much the wall has stepped, in ms, mostly 0. It is called at every
// tick, by one goroutine.
func (c *clock) check() (step int64) {
	wall := c.wall()
	now := c.read(wall)
	if lost := c.latest.Load() - now; lost > 0 { // nothing monotonic in it: it is the wall that went back
		c.ahead.Add(lost)
		return -lost
	}
	c.latest.Store(now)
	drift := wall.UnixMilli() - c.shown(now)
	if drift <= maxDrift.Milliseconds() && drift >= -maxDrift.Milliseconds() {
		c.differed = time.Time{}
		return 0
	}
	if c.differed.IsZero() {
		c.differed = wall
		return 0
	}
	if wall.Sub(c.differed) < patience {
		return 0
	}
	c.differed = time.Time{}
	return drift
}

// moves is by how much this clock goes forward when the wall steps: what it is ahead of
// the wall is made up first.
func (c *clock) moves(step int64) int64 { return max(step-c.behind.Load(), 0) }

// step follows the wall.
func (c *clock) step(by int64) {
	forward := c.moves(by)
	c.ahead.Add(forward)
	c.behind.Add(forward - by)
	c.steps.Add(1)
	c.last.Store(&ClockStep{time.Duration(by) * time.Millisecond, c.now()})
}
