package link

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// States are large, so that few are sent at a time, and to one who asks fewer: whoever
// reads slowly, or not at all, leaves room for the others, and is cut.
const (
	maxAnswers     = 16 // states being sent at a time
	maxAnswersEach = 4  // of them to one member: that it pulls at a time
	maxAnswersElse = 2  // of them to one address of somebody else
	turnTimeout    = time.Second

	// AnswerTimeout is what an answer may take, and a member waits for it. Each of its pieces
	// of pieceSize may take pieceTimeout: whoever takes less is cut.
	AnswerTimeout = 30 * time.Second
	pieceSize     = 32 << 10
	pieceTimeout  = 3 * time.Second
)

var errBusy = errors.New("too many states are being sent")

// Turns are given to those who want a state.
type Turns struct {
	mu    sync.Mutex
	given int
	to    map[Asker]int
	freed chan struct{} // closed when one is given back
}

// Take waits for a turn. It is to be given back.
func (t *Turns) Take(ctx context.Context, who Asker) error {
	ctx, cancel := context.WithTimeout(ctx, turnTimeout)
	defer cancel()
	most := maxAnswersElse
	if who.IsMember {
		most = maxAnswersEach
	}
	for {
		t.mu.Lock()
		if t.to == nil {
			t.to, t.freed = make(map[Asker]int), make(chan struct{})
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

// Count is how many are given.
func (t *Turns) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.given
}

// GiveBack gives one back.
func (t *Turns) GiveBack(who Asker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given--
	if t.to[who]--; t.to[who] == 0 {
		delete(t.to, who)
	}
	close(t.freed)
	t.freed = make(chan struct{})
}

// An Asker is who asks: a member by its name, somebody else by the address.
type Asker struct {
	Name     string // the member, or the address of somebody else
	IsMember bool
}

// A PieceWriter counts what it writes, and gives each piece its time.
type PieceWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	deadline time.Time // of all
	n        int
}

// NewPieceWriter returns one for an answer that begins now.
func NewPieceWriter(w http.ResponseWriter) *PieceWriter {
	return &PieceWriter{w: w, control: http.NewResponseController(w), deadline: time.Now().Add(AnswerTimeout)}
}

func (p *PieceWriter) Write(b []byte) (n int, err error) {
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

// Size is how many bytes were written.
func (p *PieceWriter) Size() int { return p.n }

// End sends what is left, and leaves the connection to the server.
func (p *PieceWriter) End() {
	if p.control.Flush() == nil {
		_ = p.control.SetWriteDeadline(time.Time{})
	}
}
