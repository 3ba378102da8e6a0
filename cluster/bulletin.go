package cluster

import (
	"remuda/cluster/rules"
	"remuda/cluster/wire"
	"remuda/store"
)

// A bulletin is what others than the goroutine of the rules see of them. It is made anew when
// something was taken, and never changed: who reads it waits for nobody.
//
// It is published before merges begin that a step wants, and anew when they are done. So
// what it says of a run's mark is in the store, and it calls no run verified of which
// something is being merged.
type bulletin struct {
	statuses []wire.Status // of the runs of others
	byID     map[store.OriginID]*wire.Status
	peers    []wire.Peer          // all nodes that are known, by name
	byName   map[string]wire.Peer // the same
	size     int                  // members that are up
	reasons  []string             // why this node should not be asked yet
	yields   bool                 // an older process has this node's name
	rivalAt  string               // where that answers over HTTP, if it does
	pulls    int                  // running
	counts   rules.Counts
}

// nothingYet is what is seen before Run.
var nothingYet = &bulletin{size: 1, reasons: []string{"catching_up"}}

// publish makes a new bulletin. The goroutine of the rules calls it.
func (c *Cluster) publish() {
	r := c.driver.rules
	b := &bulletin{
		statuses: r.Statuses(), byID: make(map[store.OriginID]*wire.Status), peers: r.Peers(), byName: make(map[string]wire.Peer),
		size: r.Size(), reasons: r.Reasons(c.since()), pulls: r.Pulling(), counts: r.Counts(),
	}
	for i := range b.statuses {
		b.byID[b.statuses[i].ID] = &b.statuses[i]
	}
	for _, p := range b.peers {
		b.byName[p.Name] = p
	}
	_, b.rivalAt, b.yields = r.Rival()
	c.latest.Store(b)
}

// bulletin is the latest.
func (c *Cluster) bulletin() *bulletin { return c.latest.Load() }

// others lists the members that are up, but this node.
func (b *bulletin) others(self string) (list []wire.Peer) {
	for _, p := range b.peers {
		if p.Alive() && p.Name != self {
			list = append(list, p)
		}
	}
	return list
}

// Status says how much is here of an origin; false when nothing may be told of it.
func (c *Cluster) Status(id store.OriginID) (s wire.Status, ok bool) {
	own := c.own.Load()
	if own == nil { // not running yet
		return wire.Status{}, false
	}
	if id == own.ID {
		return *own, true
	}
	if s := c.bulletin().byID[id]; s != nil {
		return *s, true
	}
	return wire.Status{ID: id}, false
}

// marks lists how much is here of every origin, this one first; nothing before Run.
func (c *Cluster) marks() []byte {
	own := c.own.Load()
	if own == nil {
		return nil
	}
	list := append([]wire.Status{*own}, c.bulletin().statuses...)
	return wire.AppendMarks(nil, c.options.Node, list)
}
