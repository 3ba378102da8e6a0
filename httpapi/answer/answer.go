// Package answer makes the answers to what is asked for: what a query has for content, at
// any moment, and the documents that REST answers with, each in all its formats.
package answer

import (
	"remuda/httpapi/ask"
	"remuda/httpapi/memory"
	"remuda/store"
	"remuda/store/attention"
)

// Options configure Answers. All but Own are required.
type Options struct {
	Store  *store.Store
	Memory *memory.Pool // of what reads hold
	Cache  int64        // bytes of rendered documents
	Own    []*Resource  // that are of the node, and not of its store
}

// Answers are what a node answers to those who read. They are safe for concurrent use.
type Answers struct {
	store     *store.Store
	memory    *memory.Pool
	resources []*Resource
	queries   queries
	bodies    *bodyCache
	episodes  attention.Episodes
}

// New returns Answers. Close frees them.
func New(o Options) (*Answers, error) {
	bodies, err := newBodyCache(o.Cache)
	if err != nil {
		return nil, err
	}
	a := &Answers{store: o.Store, memory: o.Memory, bodies: bodies, queries: queries{chains: o.Store.Chains()}}
	a.resources = append(ofStore(), o.Own...)
	stream := &Resource{Resource: ask.Resource{Path: "/stream", Own: []string{"topics", "topic"}, Columns: onlyKey}, source: newTopicSource}
	for _, res := range a.resources {
		stream.Topics = append(stream.Topics, &res.Resource)
	}
	a.resources = append(a.resources, stream)
	return a, nil
}

// Close frees what New made.
func (a *Answers) Close() { a.bodies.close() }

// Resources are all that can be read.
func (a *Answers) Resources() []*Resource { return a.resources }

// Ask reads a query string. Of those that are long, many topics mostly, many may come
// at once: they are read in pieces.
func (a *Answers) Ask(res *Resource, raw string) (*Asked, error) {
	if len(raw) > longestQuery {
		work := a.memory.Pieces()
		work.Begin()
		defer work.End()
		defer work.Rest()
	}
	return a.queries.parse(res, raw)
}

// Content is what a query has for content, as of its last refresh. It belongs to one
// goroutine at a time.
type Content struct {
	source source
	meta   meta
}

// Content returns that of a query, which holds memory by a lease. It calls pause between
// pieces of long computations.
func (a *Answers) Content(res *Resource, p *ask.Params, pause func(), l *memory.Lease) *Content {
	return &Content{source: a.leased(res, p, pause, l)}
}

// Refresh brings it up to date with the store. Should there be no memory for it, the lease
// has the error, and nothing else may be called.
func (c *Content) Refresh() { c.meta = c.source.refresh() }

// AppendMeta appends what the content says of itself: "meta":{…}
func (c *Content) AppendMeta(dst []byte) []byte { return appendMeta(dst, &c.meta) }

// AppendSnapshot appends the members of a document that follow meta, with everything.
func (c *Content) AppendSnapshot(dst []byte) []byte { return c.source.appendSnapshot(dst) }

// AppendDelta appends the members that follow meta in a delta, with what differs between
// the last two refreshes.
func (c *Content) AppendDelta(dst []byte) []byte { return c.source.appendDelta(dst) }

// leased makes the source of a query with its memory on a lease.
func (a *Answers) leased(res *Resource, p *ask.Params, pause func(), l *memory.Lease) source {
	src := res.source(a, p, pause)
	if s, ok := src.(interface{ lease(l *memory.Lease) }); ok {
		s.lease(l)
	}
	return src
}

// resource is the one that is asked for so.
func (a *Answers) resource(is func(res *Resource) bool) *Resource {
	for _, res := range a.resources {
		if is(res) {
			return res
		}
	}
	return nil
}
