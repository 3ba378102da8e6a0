package cluster

import (
	"context"
	"time"

	"remuda/cluster/rules"
)

// tickUntil ticks until the context ends: at multiples of the length of a tick, so that a
// second is closed at its end, and at once when something urgent has changed.
func (c *Cluster) tickUntil(ctx context.Context) {
	tick := time.NewTimer(c.untilTick())
	defer tick.Stop()
	var lastTick time.Time
	urgent := c.store.Urgent()
	for {
		select {
		case <-tick.C:
			lastTick = time.Now()
			c.tick()
			tick.Reset(c.untilTick())
			urgent = c.store.Urgent()
		case <-urgent:
			if wait := urgentEvery - time.Since(lastTick); wait > 0 {
				urgent = nil // the next tick, which is now nearer, brings it
				tick.Reset(min(wait, c.untilTick()))
				continue
			}
			lastTick = time.Now()
			c.tick()
		case <-ctx.Done():
			return
		}
	}
}

// untilTick is how long it is to the next tick.
func (c *Cluster) untilTick() time.Duration {
	length := c.capacity.tickOf(c.bulletin().size)
	return length - time.Duration(c.store.Clock())*time.Millisecond%length
}

// tick closes a sequence and tells the members. One goroutine at a time calls it.
func (c *Cluster) tick() {
	if step := c.store.Tick(); step != nil {
		c.log.Warn("the wall clock stepped", "by", step.By)
	}
	c.closed() // who hears of it may ask at once
	c.mail.post(rules.Ticked{})
	v := c.bulletin()
	if c.gone.Load() || v.yields {
		return
	}
	headOnly, skip := backPressure(queued(c.serf))
	if skip {
		c.skipped.Add(1)
		return
	}
	events := c.publisher.publish(c.capacity.budget(v.size), headOnly)
	if headOnly {
		c.headsOnly.Add(1)
	}
	for _, event := range events {
		if err := c.serf.UserEvent(eventName, event, false); err != nil {
			c.log.Warn("a delta could not be gossiped", "error", err, "bytes", len(event))
		}
		c.gossiped.Add(uint64(len(event)))
	}
}

// backPressure says what to leave out when so many events wait (R12).
func backPressure(waiting int) (headOnly, skip bool) {
	return waiting > maxQueued, waiting > maxQueuedHeads
}
