package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// posts are the requests whose bodies may yet be counted. A node that ends waits for
// them before it hands over what it has counted: what it acknowledges afterwards
// would be with nobody.
type posts struct {
	mu      sync.Mutex
	running map[*http.ResponseController]struct{}
	changed chan struct{} // closed and replaced when one has ended
	closed  bool          // no body is read any further
}

// lastBodies is how long bodies that are coming may take once the node ends, and
// what came of them to be counted.
const lastBodies = time.Second

func newPosts() *posts {
	return &posts{running: make(map[*http.ResponseController]struct{}), changed: make(chan struct{})}
}

// handler keeps account of the posts that go to next.
func (p *posts) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/events" {
			next.ServeHTTP(w, r)
			return
		}
		controller := http.NewResponseController(w)
		p.mu.Lock()
		p.running[controller] = struct{}{}
		p.mu.Unlock()
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.running, controller)
			close(p.changed)
			p.changed = make(chan struct{})
		}()
		r.Body = postBody{r.Body, p}
		next.ServeHTTP(w, r)
	})
}

// postBody cannot be read any more once posts are closed.
type postBody struct {
	io.ReadCloser
	posts *posts
}

func (b postBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	b.posts.mu.Lock()
	defer b.posts.mu.Unlock()
	if b.posts.closed {
		return 0, os.ErrDeadlineExceeded
	}
	return n, err
}

// finish waits for the posts, cuts off those whose bodies take too long, which are
// refused, and reports whether all have ended.
func (p *posts) finish(ctx context.Context) bool {
	if p.wait(ctx) {
		return true
	}
	p.mu.Lock()
	p.closed = true
	for controller := range p.running {
		_ = controller.SetReadDeadline(time.Now()) // it may be at its end
	}
	p.mu.Unlock()
	return p.wait(ctx)
}

func (p *posts) wait(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lastBodies)
	defer cancel()
	for {
		p.mu.Lock()
		running, changed := len(p.running), p.changed
		p.mu.Unlock()
		if running == 0 {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
