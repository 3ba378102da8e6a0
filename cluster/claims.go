package cluster

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"

	"remuda/cluster/rules"
	"remuda/cluster/wire"
)

// claimTimeout is what somebody has for answering who says to have this node's name. What
// follows from the answer is in rules/rival.go.
const claimTimeout = 2 * time.Second

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
	return tags[wire.HTTPTag]
}

// lookForRival asks who answers where somebody says to be this node, if that is
// elsewhere. What is told of a former run there is nobody at.
func (c *Cluster) lookForRival(ctx context.Context) {
	address := c.claims.take()
	if address == "" {
		return
	}
	c.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, claimTimeout)
		defer cancel()
		theirs, _, err := c.exchangeAt(ctx, addressee{name: c.options.Node, address: address})
		if err != nil {
			c.log.Debug("nobody answers where this node's name was told", "address", address, "error", err)
			return
		}
		c.mail.post(rules.Met{ID: theirs[0].ID, Address: address})
	})
}
