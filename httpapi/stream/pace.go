package stream

import (
	"sync"
	"time"
)

// pace wakes all readers of a view at once, at the multiples of its interval, and
// in between when they would be silent for too long: one timer a view, and readers
// that wait have nothing but a channel.
type pace struct {
	interval, silence time.Duration
	struck            func() // called after each stroke of the timer

	mu      sync.Mutex
	running bool
	timer   *time.Timer
	strokes chan struct{} // closed by the next stroke
}

func newPace(interval, silence time.Duration, struck func()) *pace {
	p := &pace{interval: interval, silence: silence, struck: struck, strokes: make(chan struct{})}
	p.timer = time.AfterFunc(time.Hour, func() {
		p.stroke()
		p.struck()
	})
	p.timer.Stop()
	return p
}

// next returns a channel that is closed at the next stroke. Who asks before looking
// at the view misses none.
func (p *pace) next() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.strokes
}

// stroke wakes everybody.
func (p *pace) stroke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.strokes)
	p.strokes = make(chan struct{})
	if p.running {
		p.wind()
	}
}

// wind sets the timer for the next multiple of the interval.
func (p *pace) wind() {
	now := time.Now()
	p.timer.Reset(min(now.Truncate(p.interval).Add(p.interval).Sub(now), p.silence))
}

// run starts or stops the strokes. Without readers there are none.
func (p *pace) run(running bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == running {
		return
	}
	if p.running = running; running {
		p.wind()
	} else {
		p.timer.Stop()
	}
}
