package post

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// front is the listener that the server accepts from. It accepts the connections of
// another, serves those that post itself (posting.go), and lets the server have the
// others, also those that come to be others later.
type front struct {
	net.Listener
	posts   *Posts
	others  chan net.Conn
	failed  chan error // why there are no more connections
	ended   chan struct{}
	begin   sync.Once
	end     sync.Once
	running sync.WaitGroup // Accept of the other listener, and posters
}

// Listener returns the listener that a server is to accept from, which accepts from l. The
// server closes it, and Close waits for its goroutines.
//
// A connection of l with a method Spare() bool that returns true is one beyond a bound: it
// goes to the server as it is.
func (p *Posts) Listener(l net.Listener) net.Listener {
	p.front = &front{Listener: l, posts: p, others: make(chan net.Conn), failed: make(chan error, 1), ended: make(chan struct{})}
	return p.front
}

// IsSpare reports whether a connection is one beyond the bound, see [Posts.Listener].
func IsSpare(conn net.Conn) bool {
	c, ok := conn.(interface{ Spare() bool })
	return ok && c.Spare()
}

func (f *front) acceptAll() {
	const least, most, sayAgain = 5 * time.Millisecond, time.Second, 10 * time.Second
	pause := least
	failures, said := 0, time.Time{}
	for {
		conn, err := f.Listener.Accept()
		switch {
		case err == nil:
			pause = least
			if IsSpare(conn) {
				f.running.Go(func() { f.giveBack(conn, nil) })
				continue
			}
			p := newPoster(f.posts, conn)
			f.running.Go(p.begin)
		case passing(err):
			failures++
			if now := time.Now(); now.Sub(said) >= sayAgain {
				f.posts.options.Logger.Warn("connections cannot be accepted; they wait", "error", err, "failures", failures)
				said = now
			}
			select {
			case <-time.After(pause):
			case <-f.ended:
			}
			pause = min(2*pause, most)
		default:
			f.failed <- err
			return
		}
	}
}

// passing holds for errors of Accept that say nothing of the listener.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Accept returns connections for the server. Nothing is accepted before the first call.
func (f *front) Accept() (net.Conn, error) {
	f.begin.Do(func() { f.running.Go(f.acceptAll) })
	select {
	case conn := <-f.others:
		return conn, nil
	case err := <-f.failed:
		return nil, err
	case <-f.ended:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (f *front) Close() error {
	f.end.Do(func() { close(f.ended) })
	return f.Listener.Close()
}

// giveBack lets the server have a connection, with what was read of it already.
func (f *front) giveBack(conn net.Conn, read []byte) {
	if len(read) > 0 {
		conn = &begunConn{conn, read}
	}
	select {
	case f.others <- conn:
	case <-f.ended:
		_ = conn.Close() // the node ends
	}
}

// begunConn is a connection of which something has been read already.
type begunConn struct {
	net.Conn
	read []byte
}

func (c *begunConn) Read(into []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(into)
	}
	n := copy(into, c.read)
	c.read = c.read[n:]
	return n, nil
}

// NetConn is the connection without what was read.
func (c *begunConn) NetConn() net.Conn { return c.Conn }

// Drained is the connection itself when nothing is left of what had been read.
func (c *begunConn) Drained() net.Conn {
	if len(c.read) == 0 {
		return c.Conn
	}
	return c
}
