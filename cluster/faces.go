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
	return c.bulletin().reasons
}

// Find asks the members for decisions of a request, and merges them into the store.
func (c *Cluster) Find(ctx context.Context, requestID string) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	if c.own.Load() == nil {
		return
	}
	var asked sync.WaitGroup
	for _, p := range c.bulletin().others(c.options.Node) {
		asked.Go(func() {
			query := map[string][]string{"request_id": {requestID}}
			_, err := c.ask(ctx, addressee{p.Name, p.HTTPAddr, p.Incarnation}, http.MethodGet, decisionsPath, query, nil, func(chunk []byte) error {
				own, decisions, err := wire.ReadDecisions(chunk)
				if err != nil || own.ID.Node != p.Name {
					return wire.ErrDamaged
				}
				return c.store.MergeNotes(own.ID, &store.Notes{Decisions: decisions})
			})
			if err != nil {
				c.log.Debug("a member was asked for a decision in vain", "member", p.Name, "error", err)
			}
		})
	}
	asked.Wait()
}

// Figures calls yield with the figures of this node's part in the cluster, with their
// names and what they say. Those whose names end in _total count since the start.
func (c *Cluster) Figures(yield func(name, help string, value float64)) {
	if c.own.Load() == nil {
		return
	}
	waiting, v := queued(c.serf), c.bulletin()
	all := &v.counts
	bytesIn, bytesOut := c.exchanged.total()
	for _, f := range []struct {
		name, help string
		value      uint64
	}{
		{"members", "Members that are up, this node included.", uint64(v.size)},
		{"inline_total", "Sequences of other nodes that came whole by gossip.", all.Inline},
		{"pulled_total", "Sequences of other nodes that were pulled.", all.Pulled},
		{"pulls_total", "Pulls from other nodes.", all.Pulls},
		{"gaps_total", "Sequences of other nodes found missing.", all.Gaps},
		{"divergence_total", "Times that this node and another had different totals of one sequence: 0 unless there is a fault.", all.Divergence},
		{"gossiped_bytes_total", "Bytes of this node's deltas, before gossip repeats them.", c.gossiped.Load()},
		{"gossip_out_bytes_total", "Bytes of gossip sent: deltas with their repetitions, and membership.", c.traffic.Sent.Load()},
		{"gossip_in_bytes_total", "Bytes of gossip received: deltas with their repetitions, and membership.", c.traffic.Received.Load()},
		{"received_bytes_total", "Bytes of marks and states received from members who were asked.", bytesIn},
		{"answered_bytes_total", "Bytes of marks and states sent to members who asked.", bytesOut},
		{"heads_only_total", "Sequences of which only the head was gossiped, because of what was waiting.", c.headsOnly.Load()},
		{"skipped_total", "Sequences that were not gossiped at all, because of what was waiting.", c.skipped.Load()},
		{"ignored_total", "Messages of members that could not be read, of another version or dropped.", all.Ignored + c.mail.droppedCount()},
		{"refused_total", "Internal requests refused because they did not come from a member.", c.refused.Load()},
		{"repeated_total", "Internal requests refused because they came again, or were for a former run of this node.", c.repeated.Load()},
		{"queued_events", "Events waiting to be gossiped.", uint64(waiting)},
		{"inline_budget_bytes", "What an event may carry inline.", uint64(c.capacity.budget(v.size).payload)},
	} {
		yield("remuda_cluster_"+f.name, f.help, float64(f.value))
	}
}
