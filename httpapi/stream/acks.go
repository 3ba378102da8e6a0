package stream

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"
)

// acks is what the reader of a stream has acknowledged. That a socket took some bytes
// means little: its buffer takes minutes of small frames. While something older than the
// interval is unacknowledged, nothing new is written, so that a reader that goes on gets
// the present; what is unacknowledged for longer than the write timeout ends the stream.
//
// What lies in the buffer of the reader's own system, as far as that goes, counts as
// acknowledged: nobody else sees that it is not read.
//
// All but lag belongs to whoever writes.
type acks struct {
	socket tcpSocket       // nil: unknown, or shared with other streams
	raw    syscall.RawConn // nil: it cannot be asked, and that it takes what is written must do
	begun  atomic.Int64    // when the write under way began, ns; 0 = none is
	since  atomic.Int64    // when the oldest that may be unacknowledged was written, ns; 0 = nothing is
	last   int64           // when the newest was, ns
	mark   uint64          // up to which byte of the connection since is true; 0 = up to the last
}

// A tcpSocket is the connection under a stream.
type tcpSocket interface {
	syscall.Conn
	SetLinger(seconds int) error
	SetWriteBuffer(bytes int) error
}

type socketKey struct{}

// ConnContext lets streams ask the connections of a server what was acknowledged: it is for
// http.Server.ConnContext. Without it what counts is what sockets take.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	for {
		outer, ok := conn.(interface{ NetConn() net.Conn }) // TLS, and connections that went back
		if !ok {
			break
		}
		conn = outer.NetConn()
	}
	if s, ok := conn.(tcpSocket); ok {
		return context.WithValue(ctx, socketKey{}, s)
	}
	return ctx
}

// attach finds the connection of a request and has its system give it up when nothing
// is acknowledged for so long.
func (k *acks) attach(r *http.Request, timeout time.Duration) {
	s, ok := r.Context().Value(socketKey{}).(tcpSocket)
	if !ok {
		return
	}
	if r.ProtoMajor == 1 {
		k.socket = s
	}
	if raw, err := s.SyscallConn(); err == nil && boundSocket(s, raw, timeout) {
		k.raw = raw
	}
}

// writing notes that something is about to be written.
func (k *acks) writing() {
	k.last = time.Now().UnixNano()
	k.begun.Store(k.last)
	if k.raw != nil && k.since.Load() == 0 {
		k.mark = 0
		k.since.Store(k.last)
	}
}

// written notes that all of it was taken.
func (k *acks) written() { k.begun.Store(0) }

// waited is for how long the oldest that is unacknowledged has been, 0 if nothing is.
func (k *acks) waited(now time.Time) time.Duration {
	since := k.since.Load()
	if since == 0 {
		return 0
	}
	queued := unacknowledged(k.raw)
	if queued == 0 {
		k.since.Store(0)
		return 0
	}
	switch acked := acknowledged(k.raw); {
	case k.mark == 0:
		k.mark = acked + queued
	case acked >= k.mark: // what is left was written later
		k.mark = acked + queued
		since = k.last
		k.since.Store(since)
	}
	return now.Sub(time.Unix(0, since))
}

// lag is for how long the reader has kept the stream waiting, for those who look on.
func (k *acks) lag(now time.Time) time.Duration {
	since := k.since.Load()
	if since == 0 || unacknowledged(k.raw) == 0 {
		since = k.begun.Load()
	}
	if since == 0 {
		return 0
	}
	return max(now.Sub(time.Unix(0, since)), 0)
}

// abort has the connection forget what is unacknowledged when it is closed: a reader
// that comes back later is to find an end, not what was due when it stopped.
func (k *acks) abort() {
	if k.socket != nil {
		_ = k.socket.SetLinger(0) // it may be closed already
	}
}
