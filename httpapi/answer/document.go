package answer

import (
	"bytes"
	"hash/maphash"
	"net/http"
	"strconv"
	"sync"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/klauspost/compress/gzip"

	"remuda/httpapi/ask"
	"remuda/httpapi/headers"
	"remuda/httpapi/problem"
	"remuda/store"
)

// bodyCache keeps rendered answers. It may forget any of them at any time: what
// is lost is only work.
type bodyCache struct {
	cache   *ristretto.Cache[string, *Body]
	flights flights
}

// A Body is a rendered answer. It is never changed.
type Body struct {
	plain   []byte
	length  []string // of plain, as the header has it
	zipOnce sync.Once
	zipped  []byte   // made when the first client takes it
	rows    int      // -1 when there are no rows to count
	etag    []string // of what is fleeting, as the header has it
	wide    *wide    // nil unless it is one of very many rows; then there is nothing else
	err     error    // why there is none
}

// NewBody returns a body of what is never changed.
func NewBody(plain []byte) *Body {
	return &Body{plain: plain, length: []string{strconv.Itoa(len(plain))}, rows: -1}
}

func newBodyCache(size int64) (*bodyCache, error) {
	cache, err := ristretto.NewCache(&ristretto.Config[string, *Body]{
		NumCounters: max(size/4096*10, 1000), MaxCost: size, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, err
	}
	return &bodyCache{cache: cache, flights: flights{byKey: make(map[string]*flight)}}, nil
}

func (c *bodyCache) close() { c.cache.Close() }

var etagSeed = maphash.MakeSeed()

// Document answers a read with a document in a format. Of an error nothing has been
// answered yet.
func (a *Answers) Document(w http.ResponseWriter, r *http.Request, res *Resource, q *Asked, format string) error {
	p, h := q.Params, w.Header()
	h["Content-Type"] = headers.ContentTypes[format]
	h["Vary"] = headers.VaryAccept
	h["Cache-Control"] = headers.AskFirst
	if res.Fleeting {
		b := a.rendered(res, p, format)
		if b.err != nil {
			return b.err
		}
		h["Etag"] = b.etag
		if headers.Matches(r.Header, b.etag[0]) || headers.MatchesAny(r.Header) {
			notModified(w)
			return nil
		}
		b.Write(w, r)
		return nil
	}
	tag := a.tagOf(q, res, format)
	h["Etag"] = tag.etag
	star := headers.MatchesAny(r.Header)
	if headers.Matches(r.Header, tag.etag[0]) || star && !res.Named() {
		notModified(w)
		return nil
	}
	b, ok := a.bodies.cache.Get(tag.key)
	if !ok {
		b = a.bodies.flights.do(tag.flight, func() *Body {
			b := a.rendered(res, p, format)
			if b.wide == nil && b.err == nil {
				a.bodies.cache.Set(tag.key, b, int64(len(b.plain)+len(tag.key)))
			}
			return b
		})
	}
	if b.wide != nil {
		defer b.wide.release()
	}
	switch {
	case b.err != nil:
		return b.err
	case b.rows == 0 && (res == providerResource && !a.providerKnown(p) || res == decisionResource):
		return problem.New("not_found", "this node knows of no such "+res.Name())
	case star:
		notModified(w)
	case b.wide != nil:
		a.writeWide(w, r, res, b.wide, format)
	default:
		b.Write(w, r)
	}
	return nil
}

func notModified(w http.ResponseWriter) {
	delete(w.Header(), "Content-Type")
	w.WriteHeader(http.StatusNotModified)
}

// providerKnown reports whether any filter let a provider through.
func (a *Answers) providerKnown(p *ask.Params) bool {
	q := *p
	q.Filter = store.Filter{store.ProfileDim: p.Filter[store.ProfileDim], store.ProviderDim: p.Filter[store.ProviderDim]}
	t := a.store.NewTable(store.Query{Filter: q.Filter, By: byProvider, Window: p.Window, Providers: true})
	t.Refresh()
	return len(t.Rows()) > 0
}

// rendered computes an answer now.
func (a *Answers) rendered(res *Resource, p *ask.Params, format string) (b *Body) {
	l := a.memory.Lease()
	defer func() {
		if b == nil || b.wide == nil { // also when it panics: others wait for what the lease has
			l.End()
		}
	}()
	src := a.leased(res, p, l.Pause, l)
	if t, ok := src.(*tableSource); ok {
		t.once = true
	}
	m := src.refresh()
	out := &Body{rows: -1}
	if t, ok := src.(*tableSource); ok && l.Err == nil && format != "table" {
		if rows := t.arranged(); len(rows) > wideRows {
			out.rows, out.wide = len(rows), newWide(t, rows, l)
			out.wide.readers.Store(1)
			return out
		}
	}
	if l.Err != nil {
		return &Body{err: l.Err}
	}
	if rows, ok := src.(recorder); ok {
		out.rows = len(rows.records())
		if res.Fleeting {
			out.etag = a.contentTag(p, res, format, &m, rows.records())
		}
	}
	if t, ok := src.(*tableSource); ok {
		t.encode()
		m.truncated = t.meta.truncated
	}
	if l.Err != nil {
		return &Body{err: l.Err}
	}
	out.plain = render(res, p, src, &m, format)
	out.length = []string{strconv.Itoa(len(out.plain))}
	return out
}

// zipFrom is the size from which a body is worth compressing.
const zipFrom = 1400

// Write answers with it, compressed for those who take that.
func (b *Body) Write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	content, length := b.plain, b.length
	if len(content) >= zipFrom && headers.TakesGzip(r.Header) {
		b.zipOnce.Do(func() {
			var out bytes.Buffer
			z, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed) // the level is valid
			_, _ = z.Write(b.plain)                           // a bytes.Buffer takes everything
			_ = z.Close()
			b.zipped = out.Bytes()
		})
		content, length = b.zipped, []string{strconv.Itoa(len(b.zipped))}
		h.Set("Content-Encoding", "gzip")
	}
	h["Content-Length"] = length
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(content) // an error here is the client's going away
	}
}

// flights lets requests for the same answer share one computation, but only one
// begun after they arrived: whoever has posted an event sees it in the next read.
type flights struct {
	mu    sync.Mutex
	byKey map[string]*flight
}

// flight is the computation under way for a key, and the one after it.
type flight struct {
	now, next *computation
}

type computation struct {
	done    chan struct{}
	body    *Body
	waiting int32 // who waits for it besides the one that computes
}

func (f *flights) do(key string, compute func() *Body) *Body {
	f.mu.Lock()
	fl := f.byKey[key]
	if fl == nil {
		fl = &flight{now: &computation{done: make(chan struct{})}}
		f.byKey[key] = fl
		own := fl.now
		f.mu.Unlock()
		return f.run(key, fl, own, compute)
	}
	// One is under way that began before this request came.
	if fl.next != nil {
		next := fl.next
		next.waiting++
		f.mu.Unlock()
		<-next.done
		if next.body != nil {
			return next.body
		}
		return compute()
	}
	own := &computation{done: make(chan struct{})}
	fl.next = own
	before := fl.now
	f.mu.Unlock()
	<-before.done
	f.mu.Lock()
	fl.now, fl.next = own, nil
	f.byKey[key] = fl
	f.mu.Unlock()
	return f.run(key, fl, own, compute)
}

// run computes and then clears the way. Should compute panic, those who wait
// compute for themselves.
func (f *flights) run(key string, fl *flight, own *computation, compute func() *Body) *Body {
	defer func() {
		f.mu.Lock()
		if fl.next == nil && f.byKey[key] == fl {
			delete(f.byKey, key)
		}
		if own.body != nil && own.body.wide != nil {
			own.body.wide.readers.Add(own.waiting) // nobody has it yet, and nobody comes
		}
		f.mu.Unlock()
		close(own.done)
	}()
	own.body = compute()
	return own.body
}
