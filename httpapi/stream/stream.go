// Package stream sends readers what changes. A view is one query at one interval, with
// the frames that all its subscribers share; a subscriber is a place in a view and one of
// the ways on which frames get to a reader.
package stream

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/r3labs/sse/v2"

	"remuda/httpapi/headers"
	"remuda/httpapi/memory"
	"remuda/httpapi/problem"
)

// Options configure Streams. All are required.
type Options struct {
	Node           string
	Incarnation    uint64
	Now            func() int64 // ms since the epoch
	Memory         *memory.Pool // of what views hold
	Logger         *slog.Logger
	WriteTimeout   time.Duration // for one frame
	Heartbeat      time.Duration // of silence before a comment is sent
	MaxSubscribers int
	MaxViews       int
}

// Streams are the views and the subscribers of a node. They are safe for concurrent use.
type Streams struct {
	options Options
	server  *sse.Server // one private stream per subscriber, see sse.go
	gone    *hangups    // nil where there are none

	computed, written, bytes, cut atomic.Uint64

	mu          sync.Mutex
	turns       chan struct{} // to compute a frame
	views       map[string]*view
	subscribers map[uint64]*subscriber
	nextID      uint64
	ending      chan struct{} // closed when the node drains
	ended       bool
	open        sync.WaitGroup
}

// Query is what a stream is asked for.
type Query struct {
	Key       string // of the view at its interval: the same for all that have the same content
	Text      string // the query in its canonical form, for those who look on
	Format    string // sse or ndjson
	Interval  time.Duration
	MaxFrames int // 0: as many as there are
	// Content makes the content of the view, which holds memory by the lease. It calls
	// pause between pieces of long computations, in Refresh too.
	Content func(pause func(), l *memory.Lease) Source
}

// A Subscriber is one open stream, for those who look on.
type Subscriber struct {
	ID                       uint64
	Path, Query, Format      string
	Remote                   string
	Interval                 time.Duration
	Since                    time.Time
	Frames, Snapshots, Bytes uint64
	Lag                      time.Duration // for how long its reader has kept it waiting
	LastWrite                int64         // ms since the epoch; 0: nothing was written
}

// Figures are what a node has streamed since it started.
type Figures struct {
	Subscribers, Views uint64 // now
	Computed           uint64 // frames
	Written            uint64 // frames, to each subscriber
	Bytes              uint64 // of those
	Cut                uint64 // streams whose readers were too slow
}

// subscriber is one open stream.
type subscriber struct {
	id                       uint64
	path, query, format      string
	remote                   string
	interval                 time.Duration
	since                    time.Time
	frames, snapshots, bytes atomic.Uint64
	lastWrite                atomic.Int64 // ms
	acks                     acks
	seat                     atomic.Pointer[seat] // of a stream that has taken its connection over
}

// refusedFor is for how long a view for which there was no memory is not tried again: to find
// that out takes as much work as to have it.
const refusedFor = 5 * time.Second

// New returns Streams. Close ends them.
func New(o Options) (*Streams, error) {
	s := &Streams{
		options: o, server: sse.New(), views: make(map[string]*view), subscribers: make(map[uint64]*subscriber),
		ending: make(chan struct{}), turns: make(chan struct{}, max(runtime.GOMAXPROCS(0)/2, 1)),
	}
	s.server.AutoReplay, s.server.AutoStream, s.server.BufferSize = false, false, 1
	head := make(http.Header)
	streamHead(head, "sse", false)
	s.server.Headers = make(map[string]string)
	for name := range head {
		s.server.Headers[name] = head.Get(name) // the library sets others unless told
	}
	out := newInstantSink()
	var err error
	s.gone, err = newHangups(func(id uint64) {
		if t := s.seat(id); t != nil {
			t.look(out)
		}
	})
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	return s, nil
}

// seat is that of a subscriber, nil if it has none or has left.
func (s *Streams) seat(id uint64) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub := s.subscribers[id]; sub != nil {
		return sub.seat.Load()
	}
	return nil
}

// Figures returns the figures as of now.
func (s *Streams) Figures() Figures {
	f := Figures{Computed: s.computed.Load(), Written: s.written.Load(), Bytes: s.bytes.Load(), Cut: s.cut.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Subscribers, f.Views = uint64(len(s.subscribers)), uint64(len(s.views))
	return f
}

// list returns the open streams.
func (s *Streams) list() []*subscriber {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.subscribers))
}

// Subscribers returns the open streams, in no order.
func (s *Streams) Subscribers() (list []Subscriber) {
	now := time.Now()
	for _, sub := range s.list() {
		list = append(list, Subscriber{
			ID: sub.id, Path: sub.path, Query: sub.query, Format: sub.format, Remote: sub.remote, Interval: sub.interval, Since: sub.since,
			Frames: sub.frames.Load(), Snapshots: sub.snapshots.Load(), Bytes: sub.bytes.Load(), Lag: sub.acks.lag(now), LastWrite: sub.lastWrite.Load(),
		})
	}
	return list
}

// enter registers a subscriber and returns the view it reads.
func (s *Streams) enter(sub *subscriber, key string, build func(pause func(), l *memory.Lease) Source) (*view, error) {
	retry := func(code, detail string) error { return problem.ToRetry(code, detail, 5*time.Second) }
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.views[key]
	switch {
	case v == nil || v.refused.Load() == 0:
	case time.Since(time.Unix(0, v.refused.Load())) < refusedFor:
		return nil, memory.TooMuch(refusedFor)
	default:
		v = nil // those who read it are told
	}
	switch {
	case s.ended:
		return nil, retry("shutting_down", "this node is shutting down")
	case len(s.subscribers) >= s.options.MaxSubscribers:
		return nil, retry("too_many_subscribers", "this node has as many open streams as it may")
	case v == nil && len(s.views) >= s.options.MaxViews:
		return nil, retry("too_many_views", "this node streams as many different queries as it may")
	}
	if v == nil {
		l := s.options.Memory.Lease()
		v = &view{
			lease: l, frames: memory.Share{Lease: l}, key: key, path: sub.path, query: sub.query, interval: sub.interval,
			instance: rand.Uint64() >> 1, computed: &s.computed, turn: turn{slots: s.turns},
		}
		v.source = build(v.pause, l)
		v.pace = newPace(sub.interval, s.options.Heartbeat, v.seats.goRound)
		s.views[key] = v
	}
	sub.path, sub.query = v.path, v.query // one copy for all
	v.readers++
	v.pace.run(true)
	if v.idle != nil {
		v.idle.Stop()
		v.idle = nil
	}
	s.nextID++
	sub.id = s.nextID
	s.subscribers[sub.id] = sub
	s.open.Add(1)
	return v, nil
}

// leave is the end of a subscriber. The last one of a view starts its end.
func (s *Streams) leave(sub *subscriber, v *view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.subscribers, sub.id)
	if v.readers--; v.readers == 0 {
		v.pace.run(false)
		if !s.ended {
			v.idle = time.AfterFunc(viewKept, func() { s.drop(v) })
		}
	}
	s.open.Done()
}

func (s *Streams) drop(v *view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.readers > 0 {
		return
	}
	if s.views[v.key] == v {
		delete(s.views, v.key)
	}
	v.lease.End()
}

// Shutdown tells every stream to say bye and waits for them.
func (s *Streams) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.ended {
		s.ended = true
		close(s.ending)
	}
	for _, v := range s.views {
		if v.idle != nil {
			v.idle.Stop()
		}
		v.pace.stroke()
		go v.seats.goRound() // it ends with the last of them
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.open.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.abandon()
		return ctx.Err()
	}
}

// abandon closes the connections that the server does not know any more.
func (s *Streams) abandon() {
	for _, sub := range s.list() {
		if t := sub.seat.Load(); t != nil {
			_ = t.conn.Close() // whoever writes to it is told by a failed write
		}
	}
}

// Close ends what Shutdown has not been asked to end.
func (s *Streams) Close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.Shutdown(ctx) // it only says whether all had ended by now
	if s.gone != nil {
		s.gone.close()
	}
}

// streamHead sets the headers of a stream: it is not kept, changed or held back by
// anybody on the way.
func streamHead(h http.Header, format string, zip bool) {
	h["Content-Type"] = headers.ContentTypes[format]
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h["Vary"] = headers.VaryAccept
	if zip {
		h.Set("Content-Encoding", "gzip")
	}
}

// Serve answers a request with a live stream. Of an error nothing has been answered yet.
func (s *Streams) Serve(w http.ResponseWriter, r *http.Request, q Query) error {
	zip := headers.TakesGzip(r.Header)
	if r.Method == http.MethodHead {
		streamHead(w.Header(), q.Format, zip)
		return nil
	}
	sub := &subscriber{
		path: r.URL.Path, query: q.Text, format: q.Format, remote: r.RemoteAddr, interval: q.Interval, since: time.Now(),
	}
	sub.acks.attach(r, s.options.WriteTimeout)
	v, err := s.enter(sub, q.Key+" "+q.Interval.String(), q.Content)
	if err != nil {
		return err
	}
	if err := v.prepare(time.Now(), s.options.Incarnation); err != nil {
		s.leave(sub, v)
		return err
	}
	cursor := r.Header.Get("Last-Event-ID")
	seen, known := v.place(cursor, s.options.Incarnation)
	if !known {
		seen, cursor = 0, ""
	}
	f := &feeder{streams: s, sub: sub, view: v, seen: seen, cursor: cursor, left: q.MaxFrames}
	if zip {
		f.zip = new(zipping)
	}
	if q.Format == "sse" {
		if conn := take(w, r); conn != nil {
			// The request's goroutine ends here, and frees what it held.
			s.seatTaken(conn, w.Header().Clone(), f)
			return nil
		}
	}
	defer s.leave(sub, v)
	switch {
	case zip:
		s.serveZipped(w, r, f)
	case q.Format == "sse":
		s.serveSSE(w, r, f)
	default:
		s.serveLines(w, r, f)
	}
	return nil
}

// noteCut says that a stream is ended because its reader was too slow.
func (s *Streams) noteCut(sub *subscriber) {
	s.cut.Add(1)
	sub.acks.abort()
	s.options.Logger.Info("cut a stream whose reader did not take a frame in time", "remote", sub.remote, "path", sub.path)
}
