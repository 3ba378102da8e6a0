package ingest

import (
	"context"
	"runtime"
	"time"
)

// Bodies that have been read are worked on a few at a time: more would only make
// all of them late. Those that wait cost their memory and nothing else; who does
// not get a turn in time is told to come again, and has then been held up for so
// long that refusing takes little of what the node can do.
type turns struct {
	taken    chan struct{}
	patience time.Duration
}

// patience is how long a body waits for its turn.
const patience = time.Second

func newTurns() turns {
	return turns{taken: make(chan struct{}, 2*runtime.GOMAXPROCS(0)), patience: patience}
}

// take waits for a turn, which the caller ends.
func (t *turns) take(ctx context.Context) error {
	select {
	case t.taken <- struct{}{}: // Fast path: a node that is not overloaded has one free
		return nil
	default:
	}
	timer := time.NewTimer(t.patience)
	defer timer.Stop()
	select {
	case t.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &Error{code: "canceled", detail: "the client went away"}
	case <-timer.C:
		return &Error{code: "overloaded", detail: "more events come than this node can take", retryAfter: time.Second}
	}
}

func (t *turns) end() { <-t.taken }
