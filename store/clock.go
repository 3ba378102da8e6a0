package store

import (
	"sync/atomic"
	"time"
)

// The store's clock is the wall clock at the start plus monotonic time, so that
// a step of the wall clock moves no event into another cell. When the wall has
// differed by more than maxDrift for patience, it is believed.
const (
	maxDrift = 5 * time.Second
	patience = time.Minute
)

type clock struct {
	wall     func() time.Time
	start    time.Time
	ahead    atomic.Int64 // ms added since the start to follow the wall
	steps    atomic.Uint64
	differed time.Time // since when the wall has differed; only check touches it
}

func newClock(wall func() time.Time) *clock {
	return &clock{wall: wall, start: wall()}
}

// now is in ms since the epoch. With time.Now the difference is monotonic.
func (c *clock) now() int64 {
	return c.start.UnixMilli() + c.wall().Sub(c.start).Milliseconds() + c.ahead.Load()
}

// check returns by how much the clock is to follow the wall, in ms, mostly 0. It is
// called at every tick, by one goroutine.
func (c *clock) check() (step int64) {
	wall := c.wall()
	drift := wall.UnixMilli() - c.now()
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

func (c *clock) step(by int64) {
	c.ahead.Add(by)
	c.steps.Add(1)
}
