package stream

import (
	"testing"
	"time"
)

// TestTurns: a frame that takes for ever gives its turn to all that wait, in between.
func TestTurns(t *testing.T) {
	slots := make(chan struct{}, 1)
	long := &turn{slots: slots}
	long.pause() // without a turn it has none to give
	long.take()
	long.pause() // it is not long yet: nothing to wait for
	served := make(chan struct{})
	const others = 5
	for range others {
		go func() {
			other := &turn{slots: slots}
			other.take()
			other.give()
			served <- struct{}{}
		}()
	}
	for n, deadline := 0, time.After(time.Minute); n < others; {
		long.began = time.Now().Add(-2 * longestTurn)
		long.pause()
		select {
		case <-served:
			n++
		case <-deadline:
			t.Fatalf("%d of %d had a turn", n, others)
		default:
		}
	}
	if !long.taken || len(slots) != 1 {
		t.Error("it lost its turn")
	}
	long.give()
}
