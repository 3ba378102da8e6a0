package cluster

import (
	"context"
	"net/http"
	"sync"

	"remuda/cluster/wire"
	"remuda/store"
)

// Reasons says why this node should not be asked yet; nil when it may be.
func (c *Cluster) Reasons() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.protocol == nil || c.protocol.catchingUp(c.since()):
		return []string{"catching_up"}
	case c.protocol.yields():
		return []string{"name_taken"}
	case c.protocol.waitsForMembers(c.since()):
		return []string{"node_alone"}
	}
	return nil
}

// Find asks the members for decisions of a request, and merges them into the store.
func (c *Cluster) Find(ctx context.Context, requestID string) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	c.mu.Lock()
	if c.protocol == nil {
		c.mu.Unlock()
		return
	}
	var members []string
	for _, n := range c.protocol.sorted() {
		if !n.own && n.peer.alive() {
			members = append(members, n.name)
		}
	}
	c.mu.Unlock()
	var asked sync.WaitGroup
	for _, name := range members {
		asked.Go(func() {
			query := map[string][]string{"request_id": {requestID}}
			_, err := c.ask(ctx, c.member(name), http.MethodGet, decisionsPath, query, nil, func(frame []byte) error {
				own, decisions, err := wire.ReadDecisions(frame)
				if err != nil || own.ID.Node != name {
					return wire.ErrDamaged
				}
				return c.store.MergeNotes(own.ID, &store.Notes{Decisions: decisions})
			})
			if err != nil {
				c.log.Debug("a member was asked for a decision in vain", "member", name, "error", err)
			}
		})
	}
	asked.Wait()
}

// Figures calls yield with the figures of this node's part in the cluster, with their
// names and what they say. Those whose names end in _total count since the start.
func (c *Cluster) Figures(yield func(name, help string, value float64)) {
	waiting := queued(c.serf)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.protocol == nil {
		return
	}
	var all node
	for _, n := range c.protocol.nodes {
		all.inline += n.inline
		all.pulled += n.pulled
		all.pulls += n.pulls
		all.gaps += n.gaps
		all.divergence += n.divergence
		if !n.own {
			all.bytesIn += n.bytesIn
			all.bytesOut += n.bytesOut
		}
	}
	members := c.protocol.size()
	for _, f := range []struct {
		name, help string
		value      uint64
	}{
		{"members", "Members that are up, this node included.", uint64(members)},
		{"inline_total", "Sequences of other nodes that came whole by gossip.", all.inline},
		{"pulled_total", "Sequences of other nodes that were pulled.", all.pulled},
		{"pulls_total", "Pulls from other nodes.", all.pulls},
		{"gaps_total", "Sequences of other nodes found missing.", all.gaps},
		{"divergence_total", "Times that this node and another had different totals of one sequence: 0 unless there is a fault.", all.divergence},
		{"gossiped_bytes_total", "Bytes of this node's deltas, before gossip repeats them.", c.gossiped.Load()},
		{"gossip_out_bytes_total", "Bytes of gossip sent: deltas with their repetitions, and membership.", c.traffic.sent.Load()},
		{"gossip_in_bytes_total", "Bytes of gossip received: deltas with their repetitions, and membership.", c.traffic.received.Load()},
		{"received_bytes_total", "Bytes of marks and states received from members who were asked.", all.bytesIn},
		{"answered_bytes_total", "Bytes of marks and states sent to members who asked.", all.bytesOut},
		{"heads_only_total", "Sequences of which only the head was gossiped, because of what was waiting.", c.headsOnly.Load()},
		{"skipped_total", "Sequences that were not gossiped at all, because of what was waiting.", c.skipped.Load()},
		{"ignored_total", "Messages of members that could not be read, of another version or dropped.", c.protocol.ignored + c.mail.droppedCount()},
		{"refused_total", "Internal requests refused because they did not come from a member.", c.refused.Load()},
		{"repeated_total", "Internal requests refused because they came again, or were for a former run of this node.", c.repeated.Load()},
		{"queued_events", "Events waiting to be gossiped.", uint64(waiting)},
		{"inline_budget_bytes", "What an event may carry inline.", uint64(c.capacity.budget(members).payload)},
	} {
		yield("remuda_cluster_"+f.name, f.help, float64(f.value))
	}
}
