package answer

import (
	"hash/maphash"
	"strconv"
	"sync"
	"sync/atomic"

	"remuda/httpapi/ask"
	"remuda/store"
)

// Fast path of reads that are asked again and again: a query string need not be
// parsed twice, nor the names under which its answer is cached be made again while the
// store has not changed. Slow path: resource.parse and asked.newTag, which it keeps the
// results of.

// Asked is a query of a resource. It is not changed but for its tag, so that requests
// share it, unless the path is part of it.
type Asked struct {
	*ask.Params
	tag atomic.Pointer[tag] // of the request before
}

// tag is what names the answer to a query in a format at a revision.
type tag struct {
	format           string
	revision, second uint64
	etag             []string // as the header has it
	flight, key      string   // of the computation, of the body
}

// queries remembers what was asked. At its bound it forgets everything: what is
// lost is only work.
type queries struct {
	chains *store.Chains

	mu    sync.RWMutex
	known map[queryKey]*Asked
}

type queryKey struct {
	resource *Resource
	raw      string
}

const (
	queriesKept  = 1024
	longestQuery = 1024 // bytes of those that are kept
	compareMoves = 10   // seconds; what rows are compared with moves even when nothing changes
)

// parse reads a query string, or finds what was read of it before.
func (q *queries) parse(res *Resource, raw string) (*Asked, error) {
	key := queryKey{res, raw}
	q.mu.RLock()
	a := q.known[key]
	q.mu.RUnlock()
	if a != nil {
		return a, nil
	}
	p, err := res.Parse(raw)
	if err != nil {
		return nil, err
	}
	p.CallChains(q.chains)
	a = &Asked{Params: p}
	if res.Named() || len(raw) > longestQuery {
		return a, nil // the path is part of it
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.known == nil || len(q.known) >= queriesKept {
		q.known = make(map[queryKey]*Asked)
	}
	q.known[key] = a
	return a, nil
}

// tagOf names the answer to a query as of now. A body says when it was made, so it is
// good for a second at most, even while the store does not change.
func (a *Answers) tagOf(q *Asked, res *Resource, format string) *tag {
	revision, second := a.store.Revision(), uint64(a.store.Now())/1000
	if t := q.tag.Load(); t != nil && t.revision == revision && t.second == second && t.format == format {
		return t
	}
	t := a.newTag(q.Params, res, format, revision, second)
	q.tag.Store(t)
	return t
}

func (a *Answers) newTag(p *ask.Params, res *Resource, format string, revision, second uint64) *tag {
	query := res.Path + p.Canonical
	if p.Compare {
		query += "\x00" + strconv.FormatUint(second/compareMoves, 10)
	}
	query += "\x00" + format
	return &tag{
		format: format, revision: revision, second: second, flight: query,
		etag: a.etag(revision, maphash.String(etagSeed, query)),
		key:  query + "\x00" + strconv.FormatUint(revision, 36) + "\x00" + strconv.FormatUint(second, 36),
	}
}

// contentTag names an answer by the rows that it has, ages aside.
func (a *Answers) contentTag(p *ask.Params, res *Resource, format string, m *meta, rows []*Record) []string {
	text := []byte(res.Path + p.Canonical + "\x00" + format)
	for _, r := range rows {
		text = r.appendStable(append(text, 0), p.Fields)
	}
	return a.etag(m.Revision, maphash.Bytes(etagSeed, text))
}

// etag is a weak entity tag as the header has it.
func (a *Answers) etag(revision, hash uint64) []string {
	return []string{`W/"` + strconv.FormatUint(a.store.Incarnation(), 36) + "-" + strconv.FormatUint(revision, 36) + "-" + strconv.FormatUint(hash, 36) + `"`}
}
