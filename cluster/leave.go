package cluster

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
)

// Leave tells the members the last that was counted here, waits until they have it,
// and says goodbye; but not in a name that is another's. It is called when Run has
// ended, unless with ErrEvicted.
func (c *Cluster) Leave(ctx context.Context) error {
	yields := c.bulletin().yields
	if c.own.Load() != nil { // it was running
		c.tick()
		patience := leaveTimeout
		if yields { // others may have nothing of it yet
			patience = yieldTimeout
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		var following sync.WaitGroup
		if !yields {
			following.Go(func() { c.follow(ctx) })
		}
		handed := c.handedOver(ctx)
		cancel()
		following.Wait()
		if !handed {
			c.log.Warn("some members may not have the last that was counted here")
		}
	}
	if yields {
		return nil
	}
	if err := c.serf.Leave(); err != nil {
		return fmt.Errorf("leave the cluster: %w", err)
	}
	return nil
}

// follow takes what others tell until the context ends: nodes that end at the same time
// wait for each other to have their last.
func (c *Cluster) follow(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-c.mail.ready:
		case <-look.C:
		case <-ctx.Done():
			return
		}
		if c.work(ctx) != nil { // a rival is no reason to hurry, or to stay
			return
		}
	}
}

// handedOver waits until every running member has all of this node's, and the rival
// that it yields to if there is one.
func (c *Cluster) handedOver(ctx context.Context) bool {
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	has := make(map[string]bool) // by address
	for {
		own := c.own.Load()
		missing := c.heirs()
		maps.DeleteFunc(missing, func(address string, _ addressee) bool { return has[address] })
		if len(missing) == 0 {
			return true
		}
		had := len(has)
		var mu sync.Mutex
		var asked sync.WaitGroup
		for address, whom := range missing {
			asked.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
				defer cancel()
				theirs, _, err := c.exchangeAt(ctx, whom)
				mu.Lock()
				defer mu.Unlock()
				for _, s := range theirs {
					if err == nil && s.ID == own.ID && s.Mark >= own.Mark {
						has[address] = true
					}
				}
			})
		}
		asked.Wait()
		if len(has) >= len(missing)+had {
			continue // all that are known; look whether there are more
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return false
		}
	}
}

// heirs lists by address who is to have all of this node's before it ends: the
// members that stay, and a rival.
func (c *Cluster) heirs() map[string]addressee {
	list := make(map[string]addressee)
	for _, p := range peers(c.serf.Members()) {
		if p.Name != c.options.Node && p.State == "alive" && p.HTTPAddr != "" {
			list[p.HTTPAddr] = addressee{p.Name, p.HTTPAddr, p.Incarnation}
		}
	}
	if v := c.bulletin(); v.rivalAt != "" {
		list[v.rivalAt] = addressee{name: c.options.Node, address: v.rivalAt}
	}
	return list
}

// Close ends everything. It is called last.
func (c *Cluster) Close() error {
	if c.gone.Swap(true) {
		return nil
	}
	c.end()
	err := c.serf.Shutdown()
	c.tasks.Wait()
	c.client.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("stop to gossip: %w", err)
	}
	return nil
}
