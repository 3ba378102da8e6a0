package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Leave tells the members the last that was counted here, waits until they have it,
// and leaves. It is called when Run has ended, unless with an error.
func (c *Cluster) Leave(ctx context.Context) error {
	c.mu.Lock()
	running := c.protocol != nil
	c.mu.Unlock()
	if running {
		c.tick()
		ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
		defer cancel()
		if !c.handedOver(ctx) {
			c.log.Warn("some members may not have the last that was counted here")
		}
	}
	if err := c.serf.Leave(); err != nil {
		return fmt.Errorf("leave the cluster: %w", err)
	}
	return nil
}

// handedOver waits until every running member has all of this node's.
func (c *Cluster) handedOver(ctx context.Context) bool {
	c.mu.Lock()
	self, sequence := c.protocol.self, c.protocol.own.mark
	missing := make(map[string]bool)
	for _, n := range c.protocol.nodes {
		if !n.own && n.peer.state == "alive" {
			missing[n.name] = true
		}
	}
	c.mu.Unlock()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for len(missing) > 0 {
		var mu sync.Mutex
		var asked sync.WaitGroup
		for _, name := range slices.Collect(maps.Keys(missing)) {
			asked.Go(func() {
				theirs, _, err := c.exchange(ctx, name)
				mu.Lock()
				defer mu.Unlock()
				for _, s := range theirs {
					if err == nil && s.id == self && s.mark >= sequence {
						delete(missing, name)
					}
				}
			})
		}
		asked.Wait()
		c.mu.Lock()
		c.refreshLocked()
		for name := range missing { // they may be leaving too
			if n := c.protocol.nodes[name]; n == nil || n.peer.state != "alive" {
				delete(missing, name)
			}
		}
		c.mu.Unlock()
		if len(missing) == 0 {
			break
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// Close ends everything. It is called last.
func (c *Cluster) Close() error {
	c.mu.Lock()
	gone := c.gone
	c.gone = true
	c.mu.Unlock()
	if gone {
		return nil
	}
	close(c.done)
	err := c.serf.Shutdown()
	c.tasks.Wait()
	c.client.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("stop to gossip: %w", err)
	}
	return nil
}
