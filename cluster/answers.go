package cluster

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"remuda/cluster/rules"
)

// States are large, so that few are sent at a time, and to one who asks fewer: whoever
// reads slowly, or not at all, leaves room for the others, and is cut.
const (
	maxAnswers     = 16             // states being sent at a time
	maxAnswersEach = rules.MaxPulls // of them to one member
	maxAnswersElse = 2              // of them to one address of somebody else
	turnTimeout    = time.Second

	// An answer may take answerTimeout, which is what a member waits for it, and each of
	// its pieces of pieceSize pieceTimeout: whoever takes less is cut.
	answerTimeout = pullTimeout
	pieceSize     = 32 << 10
	pieceTimeout  = 3 * time.Second
)

var errBusy = errors.New("too many states are being sent")

// turns are given to those who want a state.
type turns struct {
	mu    sync.Mutex
	given int
	to    map[asker]int
	freed chan struct{} // closed when one is given back
}

// take waits for a turn. It is to be given back.
func (t *turns) take(ctx context.Context, who asker) error {
	ctx, cancel := context.WithTimeout(ctx, turnTimeout)
	defer cancel()
	most := maxAnswersElse
	if who.member {
		most = maxAnswersEach
	}
	for {
		t.mu.Lock()
		if t.to == nil {
			t.to, t.freed = make(map[asker]int), make(chan struct{})
		}
		if t.given < maxAnswers && t.to[who] < most {
			t.given++
			t.to[who]++
			t.mu.Unlock()
			return nil
		}
		freed := t.freed
		t.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return errBusy
		}
	}
}

func (t *turns) giveBack(who asker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given--
	if t.to[who]--; t.to[who] == 0 {
		delete(t.to, who)
	}
	close(t.freed)
	t.freed = make(chan struct{})
}

// An asker is who asks: a member by its name, somebody else by the address.
type asker struct {
	name   string
	member bool
}

// asker says who asks. Without a secret anybody on this machine may say that it is a
// member, and there is no more than these.
func (c *Cluster) asker(r *http.Request) asker {
	if from, ok := callOf(r); ok {
		if _, known := c.view().byName[from.from]; known {
			return asker{from.from, true}
		}
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr) // it came over TCP
	return asker{host, false}
}

// A pieceWriter counts what it writes, and gives each piece its time.
type pieceWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	deadline time.Time // of all
	n        int
}

func newPieceWriter(w http.ResponseWriter) *pieceWriter {
	return &pieceWriter{w: w, control: http.NewResponseController(w), deadline: time.Now().Add(answerTimeout)}
}

func (p *pieceWriter) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		at := time.Now().Add(pieceTimeout)
		if at.After(p.deadline) {
			at = p.deadline
		}
		_ = p.control.SetWriteDeadline(at) // a server that has none still bounds the size
		var wrote int
		wrote, err = p.w.Write(b[:min(len(b), pieceSize)])
		n, b = n+wrote, b[wrote:]
	}
	p.n += n
	return n, err
}

// end sends what is left, and leaves the connection to the server.
func (p *pieceWriter) end() {
	if p.control.Flush() == nil {
		_ = p.control.SetWriteDeadline(time.Time{})
	}
}
