package ingest

import (
	"container/list"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// memory is what all bodies may hold together, and what they hold. It counts buffers
// as large as they are, not the bytes in them; while one grows, both.
//
// When there is no room for another buffer, bodies that have been coming for a while
// and are slow make room: what they hold would stay held. It is safe for concurrent
// use.
type memory struct {
	limit int64

	mu     sync.Mutex
	used   int64
	coming list.List // of *coming, in the order they began
}

const (
	// turnMemory is what a body that has a turn may hold whatever others hold. Turns
	// are few, so these few MiB may be on top of the limit; with them bodies that are
	// there are taken while slow ones hold all the rest.
	turnMemory = 1 << 20
	// A body is slow if it has been coming for slowAfter at less than slowRate.
	slowAfter = time.Second
	slowRate  = 64 << 10 // bytes a second
)

// defaultInFlight is a sixth of the memory that the runtime may use, if there is a
// limit to that, and at most 256 MiB: the heap takes up to three times what is held
// before it is collected.
func defaultInFlight() int64 {
	return min(max(debug.SetMemoryLimit(-1)/6, 8<<20), 256<<20) // -1 only asks
}

// coming is a body that is waited for.
type coming struct {
	since     time.Time
	came      atomic.Int64 // bytes
	holds     atomic.Int64 // size of its buffer
	interrupt func()       // has its reader return
	place     *list.Element
	cut       bool // guarded by memory.mu: it had to make room
}

func (c *coming) slow(now time.Time) bool {
	age := now.Sub(c.since)
	return age > slowAfter && float64(c.came.Load()) < slowRate*age.Seconds()
}

// begin is the beginning of a body that is waited for, end its end; after that it is
// not interrupted. end reports whether it was.
func (m *memory) begin(c *coming) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.since = time.Now()
	c.place = m.coming.PushBack(c)
}

func (m *memory) end(c *coming) (cut bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.coming.Remove(c.place) // once more does nothing
	return c.cut
}

// take counts n bytes more, for one that has so many already and may have the allowed
// ones in any case. It is refused when there is no room and none can be made.
func (m *memory) take(n, has, allowed int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used+n > m.limit && has+n > allowed && !m.makeRoom(m.used+n-m.limit) {
		return errFull
	}
	m.used += n
	return nil
}

var errFull = &Error{code: "overloaded", detail: "the bodies that are coming hold all the memory there is for them", retryAfter: time.Second}

func (m *memory) give(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= n
}

// makeRoom ends slow bodies, those before others that came first, which hold so much
// together; none if all of them do not. Until they have ended, a little more than the
// limit is held.
func (m *memory) makeRoom(need int64) bool {
	now := time.Now()
	var slow []*coming
	for e := m.coming.Front(); e != nil && need > 0; e = e.Next() {
		if c := e.Value.(*coming); c.slow(now) {
			slow = append(slow, c)
			need -= c.holds.Load()
		}
	}
	if need > 0 {
		return false
	}
	for _, c := range slow {
		m.coming.Remove(c.place)
		c.cut = true
		c.interrupt()
	}
	return true
}

func (m *memory) inFlight() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}
