package httpapi

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"time"
)

// Fast path of server-sent events, for plain HTTP/1.1. The connection is taken
// over from the server and its request let go, so that a subscriber is one goroutine
// and a place in its view: no buffers, and every frame is one write of bytes that
// all subscribers share. Slow path, for HTTP/2 and TLS: sse.go.

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
	return withoutBegun(conn)
}

// serveTaken runs a stream over its own connection, to its end.
func (a *API) serveTaken(conn net.Conn, head http.Header, f *feeder) {
	defer func() { _ = conn.Close() }() // all that counts has been written, or cannot be
	out := &takenSink{api: a, conn: conn, head: head, interval: f.view.interval}
	err := f.run(nil, out)
	if err == nil {
		err = out.write([]byte("0\r\n\r\n"))
	}
	if errors.Is(err, errSlow) {
		a.noteCut(f.sub)
	}
}

// takenSink writes a stream in chunks of HTTP/1.1, one an event.
type takenSink struct {
	api      *API
	conn     net.Conn
	head     http.Header // nil once written
	interval time.Duration
	deadline time.Time
}

// write returns when the bytes are the kernel's. A reader that is gone is noticed
// by the second write after that.
func (s *takenSink) write(wire []byte) error {
	// A deadline that is mostly still ahead will do: setting one is a tenth of the
	// work beside the system call.
	timeout := s.api.options.WriteTimeout
	if now := time.Now(); s.deadline.Sub(now) < timeout-timeout/8 {
		s.deadline = now.Add(timeout)
		if err := s.conn.SetWriteDeadline(s.deadline); err != nil {
			return err
		}
	}
	_, err := s.conn.Write(wire)
	return slowOr(err)
}

func (s *takenSink) hello(lastCursor string) error {
	h := s.head
	s.head = nil
	for name, value := range s.api.streams.server.Headers {
		h.Set(name, value)
	}
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	h.Set("Transfer-Encoding", "chunked")
	h.Set("Connection", "close")
	var wire bytes.Buffer
	wire.WriteString("HTTP/1.1 200 OK\r\n")
	_ = h.Write(&wire) // to memory
	wire.WriteString("\r\n")
	return s.write(appendChunk(wire.Bytes(), func(dst []byte) []byte {
		dst = append(append(append(dst, "retry: "...), retryMillis()...), '\n')
		return appendEvent(dst, "hello", lastCursor, s.api.helloData(s.interval))
	}))
}

func (s *takenSink) frame(event string, fr *frame) error { return s.write(fr.wire) }

func (s *takenSink) beat() error { return s.write(heartbeatChunk) }

func (s *takenSink) bye(reason, cursor string) error {
	return s.write(appendChunk(nil, func(dst []byte) []byte {
		return appendEvent(dst, "bye", cursor, []byte(`{"reason":"`+reason+`"}`))
	}))
}

var heartbeatChunk = appendChunk(nil, func(dst []byte) []byte { return append(dst, ": keep-alive\n\n"...) })

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
