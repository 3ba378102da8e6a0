package rules

import (
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

// A clock is what is known of a run's clock, of which its cells are. It is read from the
// heads: what is on its way for a while makes the clock seem slow, never fast. So the
// fastest reading counts, unless all readings of 5 s are slower; then the fastest of those.
//
// Say a run's clock is 2,000 ms ahead of this node's, and heads take 5 to 60 ms. They say
// 1,950, 1,995, 1,940: ahead becomes 1,950 and then 1,995, and the third is passed over.
// This node is frozen for 90 s, and then reads what waited in its socket, which says
// -88,000: passed over too, since a newer head says 1,990 soon. When the run's clock is
// set back by a minute, all say some -58,000. After 5 s that is believed, and what says
// most of them, -58,005, is what ahead is from then on.
type clock struct {
	sequence uint64 // at which the run last told its clock; 0 when it did not
	ahead    int64  // of this node's clock, in ms

	slowSince time.Duration // since when less has been told; 0 when it is not
	slowAhead int64         // the most of that

	behind int64            // by how many ms its wall clock is behind its clock
	step   *store.ClockStep // when that last changed
}

// setClock takes over what a run's clock said at a sequence.
func (r *Rules) setClock(o *origin, now time.Duration, sequence uint64, wall int64) {
	const patience = 5 * time.Second
	c := &o.clock
	if sequence <= c.sequence {
		return
	}
	first := c.sequence == 0
	c.sequence = sequence
	ahead := wall - r.clock
	switch {
	case first || ahead >= c.ahead:
	case c.slowSince == 0:
		c.slowSince, c.slowAhead = now, ahead
		return
	default:
		c.slowAhead = max(c.slowAhead, ahead)
		if now-c.slowSince < patience {
			return
		}
		ahead = c.slowAhead
	}
	c.ahead, c.slowSince = ahead, 0
	r.do(SetClock{o.id, ahead})
}

// follow takes note of a wall clock that was put back, or forward again.
func (c *clock) follow(h *wire.Head, now int64) {
	if by := c.behind - h.Behind; by != 0 {
		c.behind = h.Behind
		c.step = &store.ClockStep{By: time.Duration(by) * time.Millisecond, At: now}
	}
}
