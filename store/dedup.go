package store

import (
	"sync"
	"sync/atomic"
	"time"
)

// Identities of events are kept as seeded 64-bit hashes in two generations a
// shard. A generation is written for dedupPeriod and then only read for as long
// again, so every repeat within dedupPeriod is found and an identity is
// forgotten after twice that. When a generation is full before its time, the
// generations turn early and the period is shorter; Usage says what it is.
const (
	dedupPeriod    = 120 * time.Second
	dedupShards    = 64
	minIdentities  = 64 // slots of a new generation
	identityBytes  = 8  // a slot
	dedupLoadNum   = 3  // a generation is full at 3/4 of its slots
	dedupLoadDenom = 4
)

type dedup struct {
	shards   [dedupShards]dedupShard
	maxSlots int // of one generation of one shard; a power of two
}

type dedupShard struct {
	mu         sync.Mutex
	current    generation
	old        generation
	began      int64 // when current was begun, ms
	lastPeriod int64 // for how long the old generation was written, ms; 0 before the first turn
	_          [40]byte
}

// generation is an open-addressed set of identities; 0 marks an empty slot.
type generation struct {
	slots []uint64 // a power of two of them
	used  int
}

func newDedup(maxBytes, now int64) *dedup {
	d := &dedup{maxSlots: minIdentities}
	for int64(d.maxSlots)*2*identityBytes*2*dedupShards <= maxBytes {
		d.maxSlots *= 2
	}
	for i := range d.shards {
		d.shards[i].began = now
	}
	return d
}

func dedupShardOf(identity uint64) int { return int(identity >> 58) }

// turn begins a new generation when the current one has had its time. The
// caller holds the shard's mutex.
func (sh *dedupShard) turn(now int64) {
	age := now - sh.began
	if age < dedupPeriod.Milliseconds() {
		return
	}
	sh.begin(now)
	if age >= 2*dedupPeriod.Milliseconds() { // the one just closed is too old as well
		sh.begin(now)
		sh.lastPeriod = 0
	}
}

func (sh *dedupShard) begin(now int64) {
	sh.lastPeriod = max(now-sh.began, 1)
	sh.began = now
	// The memory of the generation that is forgotten serves the next one, unless
	// traffic has become so small that it would be a waste.
	next := sh.old.slots
	if len(next) > minIdentities && len(next) > 8*sh.current.used {
		next = make([]uint64, max(minIdentities, len(next)/4))
	}
	clear(next)
	sh.old = sh.current
	sh.current = generation{slots: next}
}

// seen reports whether an identity was seen before and remembers it. The caller
// holds the shard's mutex and has called turn.
func (sh *dedupShard) seen(identity uint64, maxSlots int, now int64) bool {
	identity |= 1 // 0 is taken; the lowest bit is not used to find a slot
	if sh.old.has(identity) {
		return true
	}
	if (sh.current.used+1)*dedupLoadDenom > len(sh.current.slots)*dedupLoadNum {
		switch {
		case sh.current.has(identity):
			return true
		case len(sh.current.slots) < maxSlots:
			sh.current.grow()
		default:
			sh.begin(now)
			if len(sh.current.slots) == 0 {
				sh.current.grow()
			}
		}
	}
	return sh.current.insert(identity)
}

func (g *generation) slot(identity uint64) int {
	return int(identity >> 1 & uint64(len(g.slots)-1))
}

func (g *generation) has(identity uint64) bool {
	if len(g.slots) == 0 {
		return false
	}
	mask := len(g.slots) - 1
	for i := g.slot(identity); ; i = (i + 1) & mask {
		switch g.slots[i] {
		case identity:
			return true
		case 0:
			return false
		}
	}
}

// insert reports whether the identity was there already.
func (g *generation) insert(identity uint64) bool {
	mask := len(g.slots) - 1
	for i := g.slot(identity); ; i = (i + 1) & mask {
		switch g.slots[i] {
		case identity:
			return true
		case 0:
			g.slots[i] = identity
			g.used++
			return false
		}
	}
}

func (g *generation) grow() {
	before := g.slots
	g.slots = make([]uint64, max(minIdentities, 2*len(before)))
	g.used = 0
	for _, identity := range before {
		if identity != 0 {
			g.insert(identity)
		}
	}
}

// usage adds up what the generations hold. The period is the shortest of the
// shards': for that long every repeat is found.
func (d *dedup) usage(now int64) (bytes, identities int64, period time.Duration) {
	period = dedupPeriod
	for i := range d.shards {
		sh := &d.shards[i]
		sh.mu.Lock()
		bytes += int64(len(sh.current.slots)+len(sh.old.slots)) * identityBytes
		identities += int64(sh.current.used + sh.old.used)
		if sh.lastPeriod > 0 {
			period = min(period, time.Duration(sh.lastPeriod)*time.Millisecond)
		}
		sh.mu.Unlock()
	}
	return bytes, identities, period
}

// dedupCounters are kept beside the sets for exposition.
type dedupCounters struct {
	accepted, duplicate atomic.Uint64
}
