package post

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// posts are the requests whose bodies may yet be counted. A node that ends waits for
// them before it hands over what it has counted: what it acknowledges afterwards
// would be with nobody.
type underway struct {
	mu      sync.Mutex
	running map[deadliner]struct{}
	idle    map[deadliner]struct{} // connections between two posts
	none    chan struct{}          // closed when none is running any more; nil unless somebody waits
	ending  bool                   // no connection waits for another post
	closed  bool                   // no body is read any further
	bytes   uint64                 // of bodies, as they came

	context context.Context // ends when they are closed
	cut     context.CancelFunc
}

// A deadliner is where the body of a post comes from.
type deadliner interface{ SetReadDeadline(at time.Time) error }

// lastBodies is how long bodies that are coming may take once the node ends, and
// what came of them to be counted.
const lastBodies = time.Second

func newUnderway() *underway {
	p := &underway{running: make(map[deadliner]struct{}), idle: make(map[deadliner]struct{})}
	p.context, p.cut = context.WithCancel(context.Background())
	return p
}

// begin is the beginning of a post, which the caller ends.
func (p *underway) begin(from deadliner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.idle, from)
	p.running[from] = struct{}{}
}

// end is the end of a post, or of a taken connection.
func (p *underway) end(from deadliner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked(from)
}

func (p *underway) endLocked(from deadliner) {
	delete(p.idle, from)
	delete(p.running, from)
	if len(p.running) == 0 && p.none != nil {
		close(p.none)
		p.none = nil
	}
}

// rest ends the post of a taken connection and has it wait for the next, until a
// deadline if there is one. It reports whether it may.
func (p *underway) rest(conn deadliner, deadline time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked(conn)
	if p.ending || !deadline.IsZero() && conn.SetReadDeadline(deadline) != nil {
		return false
	}
	p.idle[conn] = struct{}{}
	return true
}

// sentBody is the body of a post, as ingesters like it: Whole waits for the first of it
// and reports whether the rest has come too, Gone reports whether its sender is, and
// Interrupt has a Read that waits, and later ones, return.
type sentBody interface {
	io.ReadCloser
	Whole() bool
	Gone() bool
	Interrupt()
}

// serverBody is a body that the server reads. Its request ends with the connection.
type serverBody struct {
	io.ReadCloser
	from deadliner
}

func (serverBody) Whole() bool  { return false }
func (serverBody) Gone() bool   { return false }
func (b serverBody) Interrupt() { _ = b.from.SetReadDeadline(time.Now()) } // not every one has deadlines

// areEnding reports whether the node ends.
func (p *underway) areEnding() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ending
}

// received is how many bytes of bodies have come.
func (p *underway) received() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

// postBody cannot be read any more once posts are closed.
type postBody struct {
	sentBody
	posts *underway
}

func (b postBody) Read(into []byte) (int, error) {
	n, err := b.sentBody.Read(into)
	b.posts.mu.Lock()
	defer b.posts.mu.Unlock()
	b.posts.bytes += uint64(n)
	if b.posts.closed {
		return 0, os.ErrDeadlineExceeded
	}
	return n, err
}

// finish wakes the connections that wait, waits for the posts that run, cuts off
// those whose bodies take too long, which are refused, and reports whether all have
// ended.
func (p *underway) finish(ctx context.Context) bool {
	p.mu.Lock()
	p.ending = true
	for conn := range p.idle {
		_ = conn.SetReadDeadline(time.Now()) // it may be at its end
	}
	p.mu.Unlock()
	if p.wait(ctx) {
		return true
	}
	p.mu.Lock()
	p.closed = true
	p.cut()
	for from := range p.running {
		_ = from.SetReadDeadline(time.Now()) // it may be at its end
	}
	p.mu.Unlock()
	return p.wait(ctx)
}

// close ends connections that post, and what is still read of bodies.
func (p *underway) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.finish(ctx) // it only says whether all had ended by now
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.cut()
	for from := range p.running {
		if conn, ok := from.(net.Conn); ok {
			_ = conn.SetDeadline(time.Now()) // it may be at its end
		}
	}
}

// wait reports whether there was an instant at which no post ran: those that began
// before the end of the node have ended then, and later ones are refused.
func (p *underway) wait(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lastBodies)
	defer cancel()
	p.mu.Lock()
	if len(p.running) == 0 {
		p.mu.Unlock()
		return true
	}
	if p.none == nil {
		p.none = make(chan struct{})
	}
	none := p.none
	p.mu.Unlock()
	select {
	case <-none:
		return true
	case <-ctx.Done():
		return false
	}
}
