package httpapi

import (
	"sync"
	"time"

	"remuda/httpapi/ask"
	"remuda/httpapi/problem"
)

// reads accounts for the memory of reads while they are computed and written, and of the
// tables and frames of streams for as long as they live: many readers of wide
// queries would otherwise take more than the node has.
//
// A read that needs little takes it, and may have the last of it. One that turns out to be
// wide waits for its turn, as few are computed at a time, so that posts hardly notice, and
// for three quarters of the memory at most; streams that run may have seven eighths, so that
// what comes new does not end them. Who has waited for patience, or finds too many waiting, is
// refused and told to come again; so is who would not fit.
type reads struct {
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
	wideRead   = 1 << 20     // bytes from which a read has to wait for its turn
	readGrain  = 16 << 10    // bytes that are taken at a time
	patience   = time.Second // for a turn, and for memory
	recordSize = 2 << 10     // bytes of a row as records hold it, and in the text
)

func newReads(limit int64, turns int) *reads {
	places := turns + int(limit/8/wideRead) // what they hold already
	return &reads{limit: limit, turns: make(chan struct{}, turns), work: make(chan struct{}, turns), queue: make(chan struct{}, places), freed: make(chan struct{})}
}

// use is how many bytes are held.
func (b *reads) use() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// lease is what one read holds, or one view. It belongs to one goroutine at a time. Nil
// is one that is not accounted for.
type lease struct {
	reads   *reads
	need    int64
	held    int64  // at least need
	turn    bool   // it has one
	work    pieces // with a turn
	settled bool   // it needs none any more
	err     error  // why it was refused; from then on it is
}

func (b *reads) lease() *lease { return &lease{reads: b, work: pieces{work: b.work}} }

// pause is called between pieces of a computation.
func (l *lease) pause() {
	if l.turn {
		l.work.pause()
	}
}

// pieces is work on wide reads, which is done in pieces, by so many at a time as there are
// places: each piece is followed by a rest as long, which is for posts, and then it is
// somebody else's turn.
type pieces struct {
	work  chan struct{}
	began time.Time
}

func (p *pieces) begin() {
	p.work <- struct{}{}
	p.began = time.Now()
}

func (p *pieces) end() { <-p.work }

// pause ends a piece that has become long, and begins another.
func (p *pieces) pause() {
	if worked := time.Since(p.began); worked > workedAtOnce {
		p.rest()
		p.end()
		p.begin()
	}
}

// rest leaves the processor to others for as long as the piece was worked on.
func (p *pieces) rest() { time.Sleep(min(time.Since(p.began), 4*workedAtOnce)) }

const workedAtOnce = 5 * time.Millisecond

// share is the part of a lease that somebody answers for.
type share struct {
	lease *lease
	size  int64
}

// is says that so many bytes are needed now, and reports whether they may be.
func (s *share) is(size int64) bool {
	l := s.lease
	if l == nil {
		return true
	}
	l.need += size - s.size
	s.size = size
	return l.fit()
}

// fit takes what is needed and not held yet.
func (l *lease) fit() bool {
	if l.err != nil {
		return false
	}
	if l.need <= l.held {
		return true
	}
	if l.need > wideRead && !l.turn && !l.settled {
		if l.turn = l.reads.turn(); !l.turn {
			l.err = overloadedReads("wide reads are being answered, as many as may be at a time", time.Second)
			return false
		}
		l.work.begin()
	}
	more := (l.need-l.held)/readGrain*readGrain + readGrain
	if l.held+more > l.most() || !l.reads.take(more, l.most()) && !(l.turn && l.await(more)) {
		l.err = overloadedReads(tooMuch, time.Second)
		return false
	}
	l.held += more
	return true
}

// await waits for so many bytes, and reports whether it has got them. Others work meanwhile.
func (l *lease) await(more int64) bool {
	l.work.end()
	defer l.work.begin()
	return l.reads.await(more, l.most())
}

// most is how much may be held by all together once this one has what it needs.
func (l *lease) most() int64 {
	switch limit := l.reads.limit; {
	case l.need <= wideRead:
		return limit
	case l.settled:
		return limit - limit/8
	default:
		return limit - limit/4
	}
}

// turn waits for the turn of a wide read.
func (b *reads) turn() bool {
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

// trim gives back what is held and not needed, and the turn.
func (l *lease) trim() {
	if l == nil {
		return
	}
	l.settled = true
	if l.turn {
		l.turn = false
		l.work.end()
		<-l.reads.turns
		<-l.reads.queue
	}
	if spare := (l.held - l.need) / readGrain * readGrain; spare > 0 {
		l.held -= spare
		l.reads.give(spare)
	}
}

// end gives everything back.
func (l *lease) end() {
	if l == nil {
		return
	}
	l.need = 0
	l.trim()
	l.reads.give(l.held)
	l.held = 0
}

// take takes so many bytes, and reports whether there were as many.
func (b *reads) take(bytes, limit int64) bool {
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
func (b *reads) await(bytes, limit int64) bool {
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

func (b *reads) give(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= bytes
	if b.waiting {
		close(b.freed)
		b.freed = make(chan struct{})
	}
}

const tooMuch = "reads take as much memory as they may (--read-memory); ask for less, by filters or fewer topics"

func overloadedReads(detail string, retryAfter time.Duration) error {
	return problem.ToRetry("overloaded", detail, retryAfter)
}

// leased is a source whose memory is accounted for.
type leased interface{ lease(l *lease) }

// newLeased makes the source of a query with its memory on a lease.
func (a *API) newLeased(res *resource, p *ask.Params, pause func(), l *lease) source {
	src := res.source(a, p, pause)
	if s, ok := src.(leased); ok {
		s.lease(l)
	}
	return src
}
