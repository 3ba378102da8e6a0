package httpapi

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/r3labs/sse/v2"

	"remuda/httpapi/answer"
	"remuda/httpapi/ask"
	"remuda/httpapi/headers"
	"remuda/httpapi/memory"
	"remuda/httpapi/problem"
)

// streams holds the views and the subscribers of a node.
type streams struct {
	api    *API
	server *sse.Server // one private stream per subscriber, see sse.go
	gone   *hangups    // nil where there are none

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

// subscriber is one open stream, as its row in /subscribers shows it.
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

func newStreams(a *API) (*streams, error) {
	s := &streams{
		api: a, server: sse.New(), views: make(map[string]*view), subscribers: make(map[uint64]*subscriber),
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
func (s *streams) seat(id uint64) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub := s.subscribers[id]; sub != nil {
		return sub.seat.Load()
	}
	return nil
}

func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subscribers)
}

func (s *streams) viewCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.views)
}

// list returns the open streams.
func (s *streams) list() []*subscriber {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.subscribers))
}

// enter registers a subscriber and returns the view it reads.
func (s *streams) enter(sub *subscriber, key string, build func(pause func(), l *memory.Lease) source) (*view, error) {
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
	case len(s.subscribers) >= s.api.options.MaxSubscribers:
		return nil, retry("too_many_subscribers", "this node has as many open streams as it may")
	case v == nil && len(s.views) >= s.api.options.MaxViews:
		return nil, retry("too_many_views", "this node streams as many different queries as it may")
	}
	if v == nil {
		l := s.api.memory.Lease()
		v = &view{
			lease: l, frames: memory.Share{Lease: l}, key: key, path: sub.path, query: sub.query, interval: sub.interval,
			instance: rand.Uint64() >> 1, computed: &s.computed, turn: turn{slots: s.turns},
		}
		v.source = build(v.pause, l)
		v.pace = newPace(sub.interval, s.api.options.Heartbeat, v.seats.goRound)
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
func (s *streams) leave(sub *subscriber, v *view) {
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

func (s *streams) drop(v *view) {
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

// shutdown tells every stream to say bye and waits for them.
func (s *streams) shutdown(ctx context.Context) error {
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
func (s *streams) abandon() {
	for _, sub := range s.list() {
		if t := sub.seat.Load(); t != nil {
			_ = t.conn.Close() // whoever writes to it is told by a failed write
		}
	}
}

// close ends what shutdown has not been asked to end.
func (s *streams) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.shutdown(ctx) // it only says whether all had ended by now
	if s.gone != nil {
		s.gone.close()
	}
}

// sink writes a stream in one of its forms. Every call returns when its bytes are
// on the wire, or with an error when the reader is gone or too slow, or when the sink
// does not wait and the socket has no room.
type sink interface {
	frame(event string, fr *frame) error
	beat() error
	bye(reason, cursor string) error
}

// greeter is a sink that begins with a hello.
type greeter interface {
	sink
	hello(lastCursor string) error
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

// stream answers a read with a live stream.
func (a *API) stream(w http.ResponseWriter, r *http.Request, res *answer.Resource, p *ask.Params, format string) {
	zip := headers.TakesGzip(r.Header)
	if r.Method == http.MethodHead {
		streamHead(w.Header(), format, zip)
		return
	}
	sub := &subscriber{
		path: r.URL.Path, query: p.Canonical, format: format, remote: r.RemoteAddr, interval: p.Interval, since: time.Now(),
	}
	key := res.Path + p.Canonical + " " + p.Interval.String()
	sub.acks.attach(r, a.options.WriteTimeout)
	v, err := a.streams.enter(sub, key, func(pause func(), l *memory.Lease) source {
		return a.answers.Content(res, p, pause, l)
	})
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if err := v.prepare(time.Now(), a.store.Incarnation()); err != nil {
		a.streams.leave(sub, v)
		a.fail(w, r, err)
		return
	}
	cursor := r.Header.Get("Last-Event-ID")
	seen, known := v.place(cursor, a.store.Incarnation())
	if !known {
		seen, cursor = 0, ""
	}
	f := &feeder{api: a, sub: sub, view: v, seen: seen, cursor: cursor, left: p.MaxFrames}
	if zip {
		f.zip = new(zipping)
	}
	if format == "sse" {
		if conn := take(w, r); conn != nil {
			// The request's goroutine ends here, and frees what it held.
			a.seatTaken(conn, w.Header().Clone(), f)
			return
		}
	}
	defer a.streams.leave(sub, v)
	switch {
	case zip:
		a.serveZipped(w, r, f)
	case format == "sse":
		a.serveSSE(w, r, f)
	default:
		a.serveLines(w, r, f)
	}
}

// noteCut says that a stream is ended because its reader was too slow.
func (a *API) noteCut(s *subscriber) {
	a.streams.cut.Add(1)
	s.acks.abort()
	a.log.Info("cut a stream whose reader did not take a frame in time", "remote", s.remote, "path", s.path)
}

// feeder is a subscriber's place in its view: a cursor, and no queue.
type feeder struct {
	api    *API
	sub    *subscriber
	view   *view
	seen   uint64 // sequence of the last frame sent
	cursor string // of that frame
	left   int    // frames until max_frames; 0 = as many as there are
	due    []*frame
	zip    *zipping // nil unless the reader takes gzip
}

// errNoMemory ends a stream whose view reads have no memory for any more.
var errNoMemory = errors.New("no memory for the view")

// errDone ends a stream that has had all the frames it asked for.
var errDone = errors.New("done")

// run writes frames until the reader is gone (gone is closed or a write fails), max_frames is reached or the node drains. A reader that was slow skips what it missed: the view is the queue, and
// the latest frame wins.
func (f *feeder) run(gone <-chan struct{}, out greeter) error {
	f.sub.acks.writing()
	if err := out.hello(f.cursor); err != nil {
		return err
	}
	f.sub.acks.written()
	most := framesKept // a reader that comes back may catch up with all that is kept
	for {
		wake := f.view.pace.next()
		if end, err := f.step(out, most, true); end || err != nil {
			return err
		}
		most = maxBehindLive
		select {
		case <-gone:
			if _, err := f.held(time.Now()); err != nil {
				return err // the system has given it up
			}
			return context.Canceled
		case <-wake:
		}
	}
}

// step writes what is due: the bye, which is the end, or what the reader has not seen,
// or, if there is nothing and beat is set, a sign of life.
func (f *feeder) step(out sink, most int, beat bool) (end bool, err error) {
	select {
	case <-f.api.streams.ending:
		return true, out.bye("shutdown", f.cursor)
	default:
	}
	now := time.Now()
	if held, err := f.held(now); held {
		return false, err
	}
	before := f.seen
	if end, err = f.judge(out, f.send(out, now, most)); end || err != nil {
		return end, err
	}
	if beat && f.seen == before {
		return false, f.beat(out)
	}
	return false, nil
}

// beat writes a sign of life.
func (f *feeder) beat(out sink) error {
	f.sub.acks.writing()
	if err := out.beat(); err != nil {
		return err
	}
	f.sub.acks.written()
	return nil
}

// held reports whether the reader has to acknowledge what it was sent before more is
// written; the error is that it had its time. An interval is as long as three halves of
// it: strokes do not come on the dot, and acknowledgements may come a little late.
func (f *feeder) held(now time.Time) (bool, error) {
	switch waited := f.sub.acks.waited(now); {
	case waited > f.api.options.WriteTimeout:
		return true, errSlow
	default:
		return waited > f.view.interval*3/2, nil
	}
}

// judge makes the end of a stream that has had all its frames a good one.
func (f *feeder) judge(out sink, err error) (end bool, _ error) {
	if errors.Is(err, errDone) {
		return true, out.bye("done", f.cursor)
	}
	if errors.Is(err, errNoMemory) {
		return true, out.bye("overloaded", f.cursor)
	}
	return false, err
}

// send writes what the reader has not seen.
func (f *feeder) send(out sink, now time.Time, most int) error {
	var snapshot *frame
	var err error
	if f.due, snapshot, err = f.view.next(f.due[:0], f.seen, most, now, f.api.store.Incarnation()); err != nil {
		return errNoMemory
	}
	if snapshot != nil {
		f.sub.snapshots.Add(1)
		return f.write(out, "snapshot", snapshot)
	}
	defer clear(f.due) // the view alone keeps frames
	for _, d := range f.due {
		if err := f.write(out, "delta", d); err != nil {
			return err
		}
	}
	return nil
}

func (f *feeder) write(out sink, event string, fr *frame) error {
	f.sub.acks.writing()
	if err := out.frame(event, fr); err != nil {
		return err
	}
	return f.sent(fr)
}

// sent notes that a frame is on the wire.
func (f *feeder) sent(fr *frame) error {
	f.sub.acks.written()
	f.sub.lastWrite.Store(f.sub.acks.last / int64(time.Millisecond))
	f.sub.frames.Add(1)
	size := len(fr.data)
	if f.zip != nil {
		size = len(fr.zipped(f.sub.format == "ndjson").blocks())
	}
	f.sub.bytes.Add(uint64(size))
	f.api.streams.written.Add(1)
	f.api.streams.bytes.Add(uint64(size))
	f.seen, f.cursor = fr.sequence, fr.cursor
	if f.left > 0 {
		if f.left--; f.left == 0 {
			return errDone
		}
	}
	return nil
}
