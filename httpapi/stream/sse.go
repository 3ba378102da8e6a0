package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"remuda/httpapi/value"

	"github.com/r3labs/sse/v2"
)

// Slow path of server-sent events, for HTTP/2, TLS and whatever cannot be taken
// over; the fast one is in taken.go.
//
// The SSE library hands an event to the goroutine of a stream, which hands it to
// each subscriber in turn, waiting for a full one, and it does not look at the
// errors of writes. So that none of this can be felt, every subscriber has a
// stream of its own, and the next event is published only when the last one has
// been flushed: then neither the stream nor the subscriber ever holds more than
// one. A subscriber ends by canceling its request, waiting until the library has
// let go of it, and only then removing its stream: in any other order a goroutine
// is left behind.

var errSlow = errors.New("the reader did not take a frame in time")

// serveSSE runs a stream as server-sent events.
func (s *Streams) serveSSE(w http.ResponseWriter, r *http.Request, f *feeder) {
	id := strconv.FormatUint(rand.Uint64(), 36) + "-" + strconv.FormatUint(f.sub.id, 36)
	s.server.CreateStream(id)
	ctx, cancel := context.WithCancel(r.Context())
	private := r.Clone(ctx)
	private.URL = &url.URL{Path: r.URL.Path, RawQuery: "stream=" + id}
	private.Header.Del("Last-Event-ID") // the library takes only numbers, and has nothing to replay
	writer := &flushWriter{
		ResponseWriter: w, controller: http.NewResponseController(w), timeout: s.options.WriteTimeout,
		flushed: make(chan error, 1),
	}
	out := &sseSink{feeder: f, id: id, ctx: ctx, writer: writer}

	fed := make(chan error, 1)
	go func() {
		defer cancel()
		fed <- f.run(ctx.Done(), out)
	}()
	s.server.ServeHTTP(writer, private)
	cancel()
	err := <-fed
	s.server.RemoveStream(id)
	if errors.Is(err, errSlow) {
		s.noteCut(f.sub)
		panic(http.ErrAbortHandler) // the server is not to end it well
	}
}

// sseSink writes a stream through the library, which says when an event is to be written.
// What is written is what all sinks write of it.
type sseSink struct {
	feeder *feeder
	id     string
	ctx    context.Context // of the request; a field, since the sink lives as long as it
	writer *flushWriter
}

// anEvent is what the library is told: that there is one.
var anEvent = []byte("event")

// publish hands over one event and waits until it is on the wire.
func (s *sseSink) publish(event []byte) error {
	s.writer.event = event
	s.writer.extend()
	s.feeder.streams.server.Publish(s.id, &sse.Event{Data: anEvent})
	return s.wait()
}

func (s *sseSink) wait() error {
	select {
	case err := <-s.writer.flushed:
		return err
	case <-s.ctx.Done():
		// The flush may have failed because of it: say so if it did.
		select {
		case err := <-s.writer.flushed:
			if err != nil {
				return err
			}
		default:
		}
		return s.ctx.Err()
	}
}

func (s *sseSink) hello(lastCursor string) error {
	if err := s.wait(); err != nil { // the headers
		return err
	}
	return s.publish(s.feeder.helloEvent(lastCursor))
}

// helloData is what a node says of itself when a stream begins.
func (s *Streams) helloData(interval time.Duration) []byte {
	return fmt.Appendf(nil, `{"api":"v1","node":%s,"incarnation":%d,"interval_ms":%d,"heartbeat_ms":%d,"server_at":%d}`,
		value.AppendString(nil, s.options.Node), s.options.Incarnation, interval.Milliseconds(), s.options.Heartbeat.Milliseconds(), s.options.Now())
}

// retryMillis is when a reader whose connection breaks may come back: not all at
// the same time.
func retryMillis() []byte { return strconv.AppendInt(nil, int64(2000+rand.IntN(3001)), 10) }

func (s *sseSink) frame(_ string, fr *frame) error { return s.publish(fr.text()) }

func (s *sseSink) beat() error { return s.publish([]byte(heartbeat)) }

func (s *sseSink) bye(reason, cursor string) error { return s.publish(byeEvent(reason, cursor)) }

// flushWriter writes an event when the library flushes what it has made of it, and tells
// the sink, with what the library does not look at: whether that worked.
type flushWriter struct {
	http.ResponseWriter
	controller *http.ResponseController
	timeout    time.Duration
	event      []byte // that is published
	flushed    chan error
	failed     error
}

// extend gives the next write its time.
func (w *flushWriter) extend() {
	_ = w.controller.SetWriteDeadline(time.Now().Add(w.timeout)) // a writer without deadlines has none to miss
}

// Write leaves out what the library has made of an event: the order of its fields is not
// that of the other sinks.
func (w *flushWriter) Write(b []byte) (int, error) { return len(b), w.failed }

// Flush implements http.Flusher.
func (w *flushWriter) Flush() {
	if len(w.event) > 0 && w.failed == nil {
		_, err := w.ResponseWriter.Write(w.event)
		w.event = nil
		w.note(err)
	}
	if w.failed == nil {
		w.note(w.controller.Flush())
		// HTTP/2 resets a stream whose deadline passes, even if nothing is being written.
		_ = w.controller.SetWriteDeadline(time.Time{})
	}
	select {
	case w.flushed <- w.failed:
	default: // nobody waits any more
	}
}

func (w *flushWriter) note(err error) {
	if err != nil && w.failed == nil {
		w.failed = slowOr(err)
	}
}
