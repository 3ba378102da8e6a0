package stream

import "time"

// A turn is a view's permission to compute a frame. Views compute at the same moments,
// in turns, so that half of the processors are for everybody else. A frame that takes
// long gives its turn to those that wait, and queues for another: none holds the others
// up for longer than longestTurn.
type turn struct {
	slots chan struct{} // of all views; those that wait for room in it are served in their order
	began time.Time
	taken bool
}

// longestTurn is for how long a frame is computed while others wait.
const longestTurn = 25 * time.Millisecond

func (t *turn) take() {
	t.slots <- struct{}{}
	t.began, t.taken = time.Now(), true
}

func (t *turn) give() {
	t.taken = false
	<-t.slots
}

// pause is called between pieces of the computation, with no lock held but the view's.
func (t *turn) pause() {
	if t.taken && time.Since(t.began) > longestTurn {
		t.give()
		t.take()
	}
}
