package cluster

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"

	"remuda/cluster/wire"
	"remuda/store"
)

// Two processes may have one name by mistake. The younger one, which has the higher
// incarnation, finds out and ends (R10). What is left of a former run of this node
// must not be taken for a rival: its heads may come long after it was killed, many at
// a time, when networks heal. A rival is a process that lives: it answers at the
// address that it tells the members, or, where that cannot be reached, its heads keep
// coming and its clock goes on with them.

// signs are those of life that an older run of this node's name gives.
type signs struct {
	sequence    uint64        // the latest head's; 0 while there was none
	first, last time.Duration // of the heads that are as new as the first
	ahead       int64         // by how much the clock in the first was ahead of first, in ms
}

const (
	// rivalPeriod is for how long heads of a rival have to come, and rivalSilence the
	// longest time between two: members send each other what was lost every
	// PushPullInterval.
	rivalPeriod  = 30 * time.Second
	rivalSilence = 20 * time.Second

	claimTimeout = 2 * time.Second
)

// watchRival finds out from a head whether an older process uses this node's name.
// Of a run that ended, heads only come that get older and older.
func (p *protocol) watchRival(now time.Duration, o *origin, h *wire.Head) {
	v := &o.signs
	if !o.node.own || o.id.Incarnation >= p.self.Incarnation || h.Sequence <= v.sequence {
		return
	}
	ahead, slack := h.Wall-now.Milliseconds(), p.overdue().Milliseconds()
	switch {
	case v.sequence == 0 || now-v.last > rivalSilence || ahead > v.ahead+slack:
		v.first, v.last, v.ahead = now, now, ahead
	case ahead >= v.ahead-slack:
		v.last = now
		if now-v.first >= rivalPeriod {
			p.rival = o.id
		}
	}
	v.sequence = h.Sequence
}

// answeredBy takes note of who answers at an address that is told under this node's
// name.
func (p *protocol) answeredBy(id store.OriginID) {
	if id.Node == p.self.Node && id.Incarnation < p.self.Incarnation {
		p.rival = id
	}
}

// yields reports whether this node is the younger of two owners of its name, who
// has to go.
func (p *protocol) yields() bool { return p.rival.Node != "" }

// claims hears from memberlist who else says to have this node's name.
type claims struct {
	node string

	mu     sync.Mutex
	own    string // gossip address of this node; empty at first
	latest []byte // tags of the latest that said so; nil once they were taken
}

func (c *claims) begin(own string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own = own
}

// NotifyAlive is called with memberlist's lock held for every word that a member is
// alive, this node included.
func (c *claims) NotifyAlive(n *memberlist.Node) error {
	if n.Name != c.node {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own != "" && n.Address() != c.own {
		c.latest = bytes.Clone(n.Meta)
	}
	return nil
}

// take returns the HTTP address of the latest who said so since the last call, empty
// when nobody did.
func (c *claims) take() (httpAddr string) {
	c.mu.Lock()
	meta := c.latest
	c.latest = nil
	c.mu.Unlock()
	if len(meta) < 2 { // serf's tags are a byte that says so, and a map
		return ""
	}
	tags := make(map[string]string)
	if err := codec.NewDecoderBytes(meta[1:], &codec.MsgpackHandle{}).Decode(&tags); err != nil {
		return ""
	}
	return tags[httpTag]
}

// lookForRival asks who answers where somebody says to be this node, if that is
// elsewhere. What is told of a former run there is nobody at.
func (c *Cluster) lookForRival(ctx context.Context) {
	address := c.claims.take()
	if address == "" {
		return
	}
	c.tasks.Go(func() {
		defer c.mail.wake()
		ctx, cancel := context.WithTimeout(ctx, claimTimeout)
		defer cancel()
		theirs, _, err := c.exchangeAt(ctx, addressee{name: c.options.Node, address: address})
		if err != nil {
			c.log.Debug("nobody answers where this node's name was told", "address", address, "error", err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.protocol.answeredBy(theirs[0].ID)
		if c.protocol.yields() {
			c.protocol.rivalAt = address
		}
	})
}
