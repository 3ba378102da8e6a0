package stream

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Fast path of server-sent events, for plain HTTP/1.1. The connection is taken over
// from the server and its request let go. What is left of a subscriber is a seat: its
// place in the view and its socket, no goroutine and no buffer. At each stroke of the
// view one goroutine goes round all its seats and gives each socket the bytes that all
// share, without waiting: a socket has room unless its reader is slow. Only a seat whose
// socket has none gets a goroutine, which waits, within the write timeout, until the
// reader has what was due. Slow path, for HTTP/2 and TLS: sse.go.

// take takes over the connection of a request if it may be, with nothing written
// yet; else it returns nil.
func take(w http.ResponseWriter, r *http.Request) net.Conn {
	if r.ProtoMajor != 1 || r.ProtoMinor != 1 || r.TLS != nil || r.ContentLength != 0 {
		return nil
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil // a writer that cannot: a recorder, or some middleware's
	}
	if begun, ok := conn.(interface{ Drained() net.Conn }); ok {
		conn = begun.Drained() // what is written to need not go through it
	}
	return conn
}

// seats are the subscribers of a view whose connections were taken over.
type seats struct {
	mu    sync.Mutex
	list  []*seat
	due   atomic.Int32 // strokes that nobody has gone round for yet
	round []*seat      // those of the round under way
}

// seat is one of them. Whoever has claimed it may use it.
//
// A seat is free, or claimed by one who writes to it, or ended. A stroke claims a free one;
// of one that is claimed it only notes that it was missed:
//
//	free ──claim──▶ claimed ──release──▶ free
//	                │     ▲
//	                │     └── release, when a stroke was missed: once more
//	                └──leave──▶ ended
//
// Say the interval is 500 ms, and a reader's socket has room for 10 KB of a frame of 16 KB.
// The stroke at 0 ms claims its seat, writes 10 KB, notes the rest of 6 KB and the frame as
// pending, and leaves the claim to a goroutine of its own (serve), while the round goes on
// with others. The strokes at 500 and 1,000 ms find the seat claimed: missed. At 1,200 ms the
// reader has made room for the 6 KB: the frame counts as sent, and what is due since then is
// written. The missed strokes have the goroutine look once more; then it releases the seat.
// A reader that takes nothing for the write timeout (10 s) is cut, and its seat ends.
type seat struct {
	feeder
	conn  net.Conn
	raw   syscall.RawConn // nil: cannot be written to without waiting
	index int             // in seats.list, guarded by seats.mu

	rest    []byte // of an event that the socket had no room for
	pending *frame // which that event is, nil when it is no frame

	mu      sync.Mutex
	claimed bool
	missed  bool // there was a stroke, or a sign that its reader is gone, while it was claimed
	ended   bool
}

// errNoRoom means that a socket took less than it was given; the rest is noted.
var errNoRoom = errors.New("no room in the socket")

// seatTaken gives a subscriber whose connection was taken over its seat and begins
// its stream.
func (s *Streams) seatTaken(conn net.Conn, head http.Header, f *feeder) {
	t := &seat{feeder: *f, conn: conn, claimed: true}
	if c, ok := conn.(syscall.Conn); ok {
		t.raw, _ = c.SyscallConn() // nil will do
	}
	t.sub.seat.Store(t)
	if t.raw != nil && s.gone != nil {
		s.gone.add(t.raw, t.sub.id)
	}
	all := &f.view.seats
	all.mu.Lock()
	t.index = len(all.list)
	all.list = append(all.list, t)
	all.mu.Unlock()
	go t.serve(func(out sink) (end bool, err error) {
		if err := out.(*patientSink).head(head, t.cursor); err != nil {
			return true, err
		}
		return t.step(out, framesKept, false) // one that comes back may catch up with all that is kept
	})
}

// lot is how many seats are gone round before others get their turn, and for how
// many a goroutine more is worth it.
const lot = 64

// goRound brings all seats up to date after a stroke. Strokes that come meanwhile
// are one more round.
func (s *seats) goRound() {
	if s.due.Add(1) > 1 {
		return
	}
	for strokes := int32(1); ; {
		s.mu.Lock()
		s.round = append(s.round[:0], s.list...)
		s.mu.Unlock()
		// Half of the processors are for everybody else.
		helpers := min(runtime.GOMAXPROCS(0)/2, len(s.round)/lot) - 1
		var next atomic.Int64
		var group sync.WaitGroup
		for range helpers {
			group.Go(func() { goAlong(s.round, &next) })
		}
		goAlong(s.round, &next)
		group.Wait()
		clear(s.round) // seats that end are not kept
		if s.due.CompareAndSwap(strokes, 0) {
			return
		}
		strokes = s.due.Load()
	}
}

// goAlong writes to seats, lot by lot, until all have been written to.
func goAlong(list []*seat, next *atomic.Int64) {
	out := newInstantSink()
	for {
		from := int(next.Add(lot)) - lot
		if from >= len(list) {
			return
		}
		for _, t := range list[from:min(from+lot, len(list))] {
			if t.claim() {
				t.update(out)
			}
		}
		runtime.Gosched()
	}
}

// claim takes a seat to write to it. One that is claimed already is told that there
// was a stroke.
func (t *seat) claim() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended || t.claimed {
		t.missed = true
		return false
	}
	t.claimed = true
	return true
}

// release gives a seat back unless it has missed a stroke.
func (t *seat) release() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.claimed, t.missed = t.missed, false
	return !t.claimed
}

// update is the fast way of a seat that was claimed: everything due, at once.
func (t *seat) update(out *instantSink) {
	out.seat = t
	for {
		end, err := t.step(out, maxBehindLive, true)
		switch {
		case errors.Is(err, errNoRoom):
			go t.serve(func(sink) (bool, error) { return end, nil })
			return
		case end || err != nil:
			t.leave(err)
			return
		case t.release():
			return
		}
	}
}

// look is what a seat does when its reader may be gone: it says something. Who has only
// closed its own direction reads on; all others answer with an error.
func (t *seat) look(out *instantSink) {
	if !t.claim() {
		return // whoever has it writes
	}
	out.seat = t
	switch err := t.beat(out); {
	case errors.Is(err, errNoRoom):
		go t.serve(func(sink) (bool, error) { return false, nil })
	case err != nil:
		t.leave(err)
	case !t.release():
		t.update(out)
	}
}

// serve is the slow way of a seat that was claimed: a goroutine that waits for its
// socket until everything due is written, beginning with what first writes.
func (t *seat) serve(first func(out sink) (end bool, err error)) {
	out := &patientSink{t}
	end, err := first(out)
	for err == nil {
		if len(t.rest) > 0 {
			if err = out.write(t.rest); err != nil {
				break
			}
			t.rest = nil
			t.sub.acks.written()
			if f := t.pending; f != nil {
				t.pending = nil
				if end, err = t.judge(out, t.sent(f)); err == nil && !end {
					end, err = t.step(out, maxBehindLive, false) // there may have been more than one frame
				}
				continue
			}
		}
		if end {
			break
		}
		if err = t.conn.SetWriteDeadline(time.Time{}); err != nil || t.release() {
			break
		}
		end, err = t.step(out, maxBehindLive, true)
	}
	if end || err != nil {
		t.leave(err)
	}
}

// leave ends a seat that was claimed.
func (t *seat) leave(err error) {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	if errors.Is(err, errSlow) {
		t.streams.noteCut(t.sub)
	}
	_ = t.conn.Close() // all that counts has been written, or cannot be
	s := &t.view.seats
	s.mu.Lock()
	last := len(s.list) - 1
	s.list[t.index] = s.list[last]
	s.list[t.index].index = t.index
	s.list[last] = nil
	s.list = s.list[:last]
	s.mu.Unlock()
	t.streams.leave(t.sub, t.view)
}

// instantSink writes to seats as much as their sockets take at once.
type instantSink struct {
	seat  *seat
	wire  []byte
	err   error
	write func(fd uintptr) bool // put's, made once
}

func newInstantSink() *instantSink {
	s := new(instantSink)
	s.write = func(fd uintptr) bool {
		var n int
		n, s.err = writeNow(fd, s.wire)
		s.wire = s.wire[n:]
		return true
	}
	return s
}

func (s *instantSink) put(wire []byte, f *frame) error {
	s.wire, s.err = wire, nil
	if s.seat.raw != nil {
		if err := s.seat.raw.Write(s.write); err != nil {
			return err
		}
	}
	if s.err == nil && len(s.wire) > 0 {
		s.seat.rest, s.seat.pending = s.wire, f
		s.err = errNoRoom
	}
	s.wire = nil
	return slowOr(s.err)
}

func (s *instantSink) frame(_ string, f *frame) error { return s.put(s.seat.frameChunk(f), f) }
func (s *instantSink) beat() error                    { return s.put(s.seat.beatChunk(), nil) }
func (s *instantSink) bye(reason, cursor string) error {
	return s.put(s.seat.byeChunks(reason, cursor), nil)
}

// patientSink writes to one seat and waits for its socket, within the write timeout.
type patientSink struct{ *seat }

func (s *patientSink) write(wire []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.streams.options.WriteTimeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(wire)
	return slowOr(err)
}

// head writes the headers and the hello.
func (s *patientSink) head(h http.Header, lastCursor string) error {
	streamHead(h, "sse", s.zip != nil)
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	h.Set("Transfer-Encoding", "chunked")
	h.Set("Connection", "close")
	var wire bytes.Buffer
	wire.WriteString("HTTP/1.1 200 OK\r\n")
	_ = h.Write(&wire) // to memory
	wire.WriteString("\r\n")
	s.sub.acks.writing()
	return s.write(appendChunk(wire.Bytes(), func(dst []byte) []byte {
		hello := s.helloEvent(lastCursor)
		if s.zip != nil {
			return append(append(dst, gzipHead...), s.zip.add(stored(hello)).blocks()...)
		}
		return append(dst, hello...)
	}))
}

func (s *patientSink) frame(_ string, f *frame) error  { return s.write(s.frameChunk(f)) }
func (s *patientSink) beat() error                     { return s.write(s.beatChunk()) }
func (s *patientSink) bye(reason, cursor string) error { return s.write(s.byeChunks(reason, cursor)) }

// frameChunk is a frame as the seat's reader takes it. What these return is to be written.
func (t *seat) frameChunk(f *frame) []byte {
	if t.zip != nil {
		return t.zip.add(f.zipped(false)).wire
	}
	return f.wire
}

const heartbeat = ": keep-alive\n\n"

var heartbeatChunk = appendChunk(nil, func(dst []byte) []byte { return append(dst, heartbeat...) })

func (t *seat) beatChunk() []byte {
	if t.zip != nil {
		return t.zip.add(zippedBeat).wire
	}
	return heartbeatChunk
}

// byeChunks are the last event of a stream and the end of its body.
func (t *seat) byeChunks(reason, cursor string) []byte {
	return append(appendChunk(nil, func(dst []byte) []byte {
		bye := byeEvent(reason, cursor)
		if t.zip != nil {
			bye = t.zip.end(stored(bye))
		}
		return append(dst, bye...)
	}), "0\r\n\r\n"...)
}

// helloEvent is the first event of a stream.
func (f *feeder) helloEvent(lastCursor string) []byte {
	dst := append(append([]byte("retry: "), retryMillis()...), '\n')
	return appendEvent(dst, "hello", lastCursor, f.streams.helloData(f.view.interval))
}

func byeEvent(reason, cursor string) []byte {
	return appendEvent(nil, "bye", cursor, []byte(`{"reason":"`+reason+`"}`))
}

// appendEvent appends a server-sent event. Data is one line.
func appendEvent(dst []byte, event, cursor string, data []byte) []byte {
	return append(append(appendEventHead(dst, event, cursor), data...), "\n\n"...)
}

// appendEventHead appends what is before the data of an event.
func appendEventHead(dst []byte, event, cursor string) []byte {
	dst = append(append(append(dst, "event: "...), event...), "\nid: "...)
	return append(append(dst, cursor...), "\ndata: "...)
}

// chunkHead is the length of a chunk as eight digits, so that it can be filled in
// when the chunk is there.
const chunkHead = "00000000\r\n"

// appendChunk appends a chunk with what content appends.
func appendChunk(dst []byte, content func([]byte) []byte) []byte {
	begin := len(dst)
	dst = content(append(dst, chunkHead...))
	closeChunk(dst[begin:])
	return append(dst, "\r\n"...)
}

// closeChunk fills in the length of a chunk that has everything but its end.
func closeChunk(chunk []byte) {
	const digits = "0123456789abcdef"
	for n, i := len(chunk)-len(chunkHead), 7; n > 0; n, i = n>>4, i-1 {
		chunk[i] = digits[n&15]
	}
}
