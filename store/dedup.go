package store

import (
	"sync"
	"time"
)

// Identities of events are kept as seeded 64-bit hashes in two generations. A
// generation is written for dedupPeriod and then only read for as long again, so
// every repeat within dedupPeriod is found and an identity is forgotten after
// twice that. When the memory is full before its time, the generations turn
// early and the period is shorter; Usage says what it is.
const (
	dedupPeriod = 120 * time.Second
	dedupShards = 16 // few, so that a batch has many lines to fetch at once in each
	minLines    = 16 // of a shard
)

type dedup struct {
	shards   [dedupShards]dedupShard
	maxLines int // of a shard; a power of two
}

// dedupShard is a hash set whose buckets are cache lines: nearly every event
// costs one line from memory, whichever generation its identity would be in.
// A turn of the generations only counts them; a line forgets what is too old when
// it is next looked at.
type dedupShard struct {
	mu         sync.Mutex
	lines      []line // a power of two of them
	generation uint64 // that is being written
	used       [2]int // identities by parity of their generation
	began      int64  // when the generation was begun, ms
	lastPeriod int64  // for how long the one before was written, ms; 0 before the first turn
	ahead      uint64 // keeps the loads of fetch alive
	_          [32]byte
}

// line holds the identities whose hash leads here, and of lines before it that
// were full, in slots filled from the front. The lowest bit of an identity is the
// parity of its generation, the next is always set, and empty slots are 0. The
// last word holds how many slots are filled, a bit by parity that says that an
// identity of that generation found the line full and went on to the next, and
// above those the generation in which the line was last looked at.
type line [8]uint64

const (
	slotsInLine = 7
	lastWord    = 7
	filledMask  = 0xff
	overflowBit = 1 << 8 // shifted by the parity
	stateBits   = 16     // of the last word, below the generation
)

// has reports whether an identity is in the line. It has no branch that depends
// on what is in the slots: those could not be predicted.
func (l *line) has(identity uint64) bool {
	nearest := l[0]&^1 ^ identity
	for _, other := range l[1:slotsInLine] {
		nearest = min(nearest, other&^1^identity)
	}
	return nearest == 0
}

func newDedup(maxBytes, now int64) *dedup {
	d := &dedup{maxLines: minLines}
	for int64(d.maxLines)*2*64*dedupShards <= maxBytes {
		d.maxLines *= 2
	}
	for i := range d.shards {
		d.shards[i].began = now
		d.shards[i].lines = make([]line, minLines)
	}
	return d
}

func dedupShardOf(identity uint64) int { return int(identity >> 60) }

func (sh *dedupShard) lineOf(identity uint64) int {
	return int(identity >> 2 & uint64(len(sh.lines)-1))
}

// fetch begins to bring the lines of identities into the cache, all before the
// first is looked at, so that the waits overlap.
func (sh *dedupShard) fetch(identities []identity) {
	lines := sh.lines
	mask := uint64(len(lines) - 1)
	ahead := uint64(0)
	for i := range identities {
		ahead ^= lines[identities[i].hash>>2&mask][lastWord]
	}
	sh.ahead = ahead
}

// prepare turns the generations when the current one has had its time. The
// caller holds the shard's mutex.
func (sh *dedupShard) prepare(now int64) {
	age := now - sh.began
	if age < dedupPeriod.Milliseconds() {
		return
	}
	sh.turn(now)
	if age >= 2*dedupPeriod.Milliseconds() { // the one just closed is too old as well
		sh.turn(now)
		sh.lastPeriod = 0
	}
	if len(sh.lines) > minLines && (sh.used[0]+sh.used[1])*16 < len(sh.lines)*slotsInLine {
		sh.resize(len(sh.lines) / 2)
	}
}

// turn begins a new generation, in which the older of the two before it is forgotten.
func (sh *dedupShard) turn(now int64) {
	sh.lastPeriod = max(now-sh.began, 1)
	sh.began = now
	sh.generation++
	sh.used[sh.generation&1] = 0
}

// line returns a line without what is forgotten.
func (sh *dedupShard) line(i int) *line {
	l := &sh.lines[i]
	if l[lastWord]>>stateBits != sh.generation {
		l.forget(sh.generation)
	}
	return l
}

// forget drops what is older than the generation before.
func (l *line) forget(generation uint64) {
	age := generation - l[lastWord]>>stateBits
	if age > 1 {
		*l = line{lastWord: generation << stateBits}
		return
	}
	parity := generation & 1 // of what is forgotten too
	kept := uint64(0)
	for _, identity := range l[:l[lastWord]&filledMask] {
		if identity&1 != parity {
			l[kept] = identity
			kept++
		}
	}
	clear(l[kept:slotsInLine])
	l[lastWord] = generation<<stateBits | l[lastWord]&(overflowBit<<(parity^1)) | kept
}

// seen reports whether an identity was seen before and remembers it. The caller
// holds the shard's mutex and has called prepare.
func (sh *dedupShard) seen(identity uint64, maxLines int, now int64) bool {
	// Half full is as much as lines take without many going on to the next one.
	room := len(sh.lines) * slotsInLine / 2
	switch {
	case len(sh.lines) < maxLines:
		if sh.used[0]+sh.used[1] >= room {
			sh.resize(2 * len(sh.lines))
		}
	case sh.used[sh.generation&1] >= room/2:
		sh.turn(now)
	}
	return sh.insert(identity&^1|2, sh.generation&1)
}

// insert reports whether the identity was there, in either generation, and puts
// it into that of the given parity if not.
func (sh *dedupShard) insert(identity, parity uint64) bool {
	home := sh.lineOf(identity)
	l := sh.line(home)
	if l.has(identity) {
		return true
	}
	if filled := l[lastWord] & (1<<stateBits - 1); filled < slotsInLine { // room, and nothing went on from here
		l[filled] = identity | parity
		l[lastWord]++
		sh.used[parity]++
		return false
	}

	// Slow path: look on until a line from which nothing went on.
	mask := len(sh.lines) - 1
	room := -1
	for i := home; ; i = (i + 1) & mask {
		l := sh.line(i)
		if i != home && l.has(identity) {
			return true
		}
		state := l[lastWord] & (1<<stateBits - 1)
		if room < 0 && state&filledMask < slotsInLine {
			room = i
		}
		if room >= 0 && state <= slotsInLine {
			break
		}
	}
	for i := home; i != room; i = (i + 1) & mask {
		sh.lines[i][lastWord] |= overflowBit << parity
	}
	l = &sh.lines[room]
	l[l[lastWord]&filledMask] = identity | parity
	l[lastWord]++
	sh.used[parity]++
	return false
}

func (sh *dedupShard) resize(lines int) {
	before := sh.lines
	sh.lines = make([]line, lines)
	sh.used = [2]int{}
	for i := range before {
		l := &before[i]
		if l[lastWord]>>stateBits != sh.generation {
			l.forget(sh.generation)
		}
		for _, identity := range l[:l[lastWord]&filledMask] {
			sh.insert(identity&^1, identity&1)
		}
	}
}

// usage adds up what is held. The period is the shortest of the shards': for
// that long every repeat is found.
func (d *dedup) usage() (bytes, identities int64, period time.Duration) {
	period = dedupPeriod
	for i := range d.shards {
		sh := &d.shards[i]
		sh.mu.Lock()
		bytes += int64(len(sh.lines)) * 64
		identities += int64(sh.used[0] + sh.used[1])
		if sh.lastPeriod > 0 {
			period = min(period, time.Duration(sh.lastPeriod)*time.Millisecond)
		}
		sh.mu.Unlock()
	}
	return bytes, identities, period
}
