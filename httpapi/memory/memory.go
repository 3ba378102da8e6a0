// Package memory accounts for what reads hold: while they are computed and written, and
// for as long as the tables and frames of streams live. Many readers of wide queries would
// otherwise take more than the node has.
package memory

import (
	"sync"
	"time"

	"remuda/httpapi/problem"
)

// A Pool is the memory of all reads.
//
// A read that needs little takes it, and may have the last of it. One that turns out to be
// wide waits for its turn, as few are computed at a time, so that posts hardly notice, and
// for three quarters of the memory at most; streams that run may have seven eighths, so that
// what comes new does not end them. Who has waited for patience, or finds too many waiting, is
// refused and told to come again; so is who would not fit.
type Pool struct {
	limit int64         // bytes
	turns chan struct{} // of wide ones, until they have all they need
	work  chan struct{} // of those that have a turn, and of those that write, for a piece of work; as many as turns
	queue chan struct{} // places of those that wait for their turn, and of who has it

	mu      sync.Mutex
	held    int64
	waiting bool          // somebody keeps what it has and waits for more: no two may
	freed   chan struct{} // closed when something is given back
}

const (
	wideRead  = 1 << 20     // bytes from which a read has to wait for its turn
	readGrain = 16 << 10    // bytes that are taken at a time
	patience  = time.Second // for a turn, and for memory
)

// New returns a pool of so many bytes, in which so many wide reads may be computed at a
// time.
func New(limit int64, turns int) *Pool {
	places := turns + int(limit/8/wideRead) // what they hold already
	return &Pool{limit: limit, turns: make(chan struct{}, turns), work: make(chan struct{}, turns), queue: make(chan struct{}, places), freed: make(chan struct{})}
}

// Held is how many bytes are held, and how many may be.
func (b *Pool) Held() (now, limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held, b.limit
}

// Wide is how many wide reads are computed, and how many may be at a time.
func (b *Pool) Wide() (now, limit int) { return len(b.turns), cap(b.turns) }

// A Lease is what one read holds, or one view. It belongs to one goroutine at a time. Nil
// is one that is not accounted for.
type Lease struct {
	pool    *Pool
	need    int64
	held    int64  // at least need
	turn    bool   // it has one
	work    Pieces // with a turn
	Settled bool   // it needs none any more
	Err     error  // why it was refused; from then on it is
}

// Lease returns a lease of nothing yet.
func (b *Pool) Lease() *Lease { return &Lease{pool: b, work: Pieces{work: b.work}} }

// Pause is called between pieces of a computation.
func (l *Lease) Pause() {
	if l.turn {
		l.work.Pause()
	}
}

// Pieces is work on wide reads, which is done in pieces, by so many at a time as there are
// places: each piece is followed by a rest as long, which is for posts, and then it is
// somebody else's turn.
type Pieces struct {
	work  chan struct{}
	began time.Time
}

// Begin waits for a place to work in.
func (p *Pieces) Begin() {
	p.work <- struct{}{}
	p.began = time.Now()
}

// End gives the place to others.
func (p *Pieces) End() { <-p.work }

// Pause ends a piece that has become long, and begins another.
func (p *Pieces) Pause() {
	if worked := time.Since(p.began); worked > workedAtOnce {
		p.Rest()
		p.End()
		p.Begin()
	}
}

// Rest leaves the processor to others for as long as the piece was worked on.
func (p *Pieces) Rest() { time.Sleep(min(time.Since(p.began), 4*workedAtOnce)) }

// Pieces returns work of which nothing has begun.
func (b *Pool) Pieces() Pieces { return Pieces{work: b.work} }

const workedAtOnce = 5 * time.Millisecond

// A Share is the part of a lease that somebody answers for.
type Share struct {
	Lease *Lease // nil: what is needed is not accounted for
	Size  int64  // bytes, as of the last Need; 0 without a lease
}

// Need says that so many bytes are needed now, and reports whether they may be.
func (s *Share) Need(size int64) bool {
	l := s.Lease
	if l == nil {
		return true
	}
	l.need += size - s.Size
	s.Size = size
	return l.fit()
}

// fit takes what is needed and not held yet.
func (l *Lease) fit() bool {
	if l.Err != nil {
		return false
	}
	if l.need <= l.held {
		return true
	}
	if l.need > wideRead && !l.turn && !l.Settled {
		if l.turn = l.pool.turn(); !l.turn {
			l.Err = problem.ToRetry("overloaded", "wide reads are being answered, as many as may be at a time", time.Second)
			return false
		}
		l.work.Begin()
	}
	more := (l.need-l.held)/readGrain*readGrain + readGrain
	if l.held+more > l.most() || !l.pool.take(more, l.most()) && !(l.turn && l.await(more)) {
		l.Err = TooMuch(time.Second)
		return false
	}
	l.held += more
	return true
}

// await waits for so many bytes, and reports whether it has got them. Others work meanwhile.
func (l *Lease) await(more int64) bool {
	l.work.End()
	defer l.work.Begin()
	return l.pool.await(more, l.most())
}

// most is how much may be held by all together once this one has what it needs.
func (l *Lease) most() int64 {
	switch limit := l.pool.limit; {
	case l.need <= wideRead:
		return limit
	case l.Settled:
		return limit - limit/8
	default:
		return limit - limit/4
	}
}

// turn waits for the turn of a wide read.
func (b *Pool) turn() bool {
	select {
	case b.queue <- struct{}{}:
	default:
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case b.turns <- struct{}{}:
		return true
	case <-timer.C:
		<-b.queue
		return false
	}
}

// Trim gives back what is held and not needed, and the turn.
func (l *Lease) Trim() {
	if l == nil {
		return
	}
	l.Settled = true
	if l.turn {
		l.turn = false
		l.work.End()
		<-l.pool.turns
		<-l.pool.queue
	}
	if spare := (l.held - l.need) / readGrain * readGrain; spare > 0 {
		l.held -= spare
		l.pool.give(spare)
	}
}

// End gives everything back.
func (l *Lease) End() {
	if l == nil {
		return
	}
	l.need = 0
	l.Trim()
	l.pool.give(l.held)
	l.held = 0
}

// take takes so many bytes, and reports whether there were as many.
func (b *Pool) take(bytes, limit int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held+bytes > limit {
		return false
	}
	b.held += bytes
	return true
}

// await is take for who waits for patience. Of those that have some already and need more
// only one may, as the others might wait for it. Streams that run do not: others run in
// turns with them.
func (b *Pool) await(bytes, limit int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting {
		return false
	}
	b.waiting = true
	defer func() { b.waiting = false }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for b.held+bytes > limit {
		freed := b.freed
		b.mu.Unlock()
		select {
		case <-freed:
			b.mu.Lock()
		case <-timer.C:
			b.mu.Lock()
			return false
		}
	}
	b.held += bytes
	return true
}

func (b *Pool) give(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= bytes
	if b.waiting {
		close(b.freed)
		b.freed = make(chan struct{})
	}
}

// TooMuch is why a read is refused for which there is no memory.
func TooMuch(retryAfter time.Duration) error {
	return problem.ToRetry("overloaded", "reads take as much memory as they may (see /api/v1/limits); ask for less, by filters or fewer topics", retryAfter)
}
