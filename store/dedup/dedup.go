// Package dedup remembers the identities of events, so that what is sent twice counts once.
//
// Identities are kept as seeded 64-bit hashes in two generations. A generation is written
// for two minutes and then only read for as long again, so every repeat within two minutes
// is found and an identity is forgotten after twice that. When the memory is full before
// its time, the generations turn early and the period is shorter; [Set.Usage] says what it
// is.
package dedup

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	fullPeriod = 120 * time.Second
	numShards  = 16 // few, so that a batch has many lines to fetch at once in each
	minLines   = 16 // of a shard
)

// A Set holds identities. Safe for concurrent use: each of its shards has a lock, and none
// is held while another is taken.
type Set struct {
	shards   [numShards]shard
	maxLines int       // of a shard; a power of two
	secret   [2]uint64 // what identities are mixed with
}

// An Identity is the hash of what makes an event itself, and where the event is in its
// batch.
type Identity struct {
	Hash  uint64
	Event int32
}

// A Batch is the identities of some events, which are looked up together. The zero value
// is empty. It belongs to one goroutine.
type Batch struct {
	list    []Identity
	byShard []Identity // the same, see Set.See
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.list = b.list[:0] }

// Add adds the identity of an event.
func (b *Batch) Add(hash uint64, event int32) { b.list = append(b.list, Identity{hash, event}) }

// Identities are those of the batch, in the order in which they were added. The slice is
// valid until the next Reset.
func (b *Batch) Identities() []Identity { return b.list }

// shard is a hash set whose buckets are cache lines: nearly every event
// costs one line from memory, whichever generation its identity would be in.
// A turn of the generations only counts them; a line forgets what is too old when
// it is next looked at.
type shard struct {
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

// New returns an empty set that takes so many bytes at most, as of now (ms).
func New(maxBytes, now int64) *Set {
	s := &Set{maxLines: minLines, secret: [2]uint64{rand.Uint64(), rand.Uint64()}}
	for int64(s.maxLines)*2*64*numShards <= maxBytes {
		s.maxLines *= 2
	}
	for i := range s.shards {
		s.shards[i].began = now
		s.shards[i].lines = make([]line, minLines)
	}
	return s
}

// Fold mixes two numbers into one that cannot be told in advance, as identities are made.
// What it gives depends on their order. What the numbers are folded with are the hashes of
// nothing: a number that is equal to one would cancel it out.
func (s *Set) Fold(x, y uint64) uint64 {
	high, low := bits.Mul64(x^s.secret[0], y^s.secret[1])
	return high ^ low
}

// See looks the identities of a batch up and remembers them. It calls repeated for each
// event whose identity was there before, in this batch or an earlier one, and returns how
// many those are. Each lock is taken once at most, and repeated is called under it.
func (s *Set) See(b *Batch, now int64, repeated func(event int32)) (repeats int) {
	var at [numShards + 1]int32 // where the identities of a shard end in byShard
	for i := range b.list {
		at[shardOf(b.list[i].Hash)+1]++
	}
	for n := range numShards {
		at[n+1] += at[n]
	}
	b.byShard = slices.Grow(b.byShard[:0], len(b.list))[:len(b.list)]
	for _, id := range b.list {
		next := &at[shardOf(id.Hash)]
		b.byShard[*next] = id
		*next++
	}
	from := int32(0)
	for n, end := range at[:numShards] {
		identities := b.byShard[from:end]
		from = end
		if len(identities) == 0 {
			continue
		}
		sh := &s.shards[n]
		sh.mu.Lock()
		sh.prepare(now)
		sh.fetch(identities)
		for _, id := range identities {
			if sh.seen(id.Hash, s.maxLines, now) {
				repeated(id.Event)
				repeats++
			}
		}
		sh.mu.Unlock()
	}
	return repeats
}

// SeeOne looks one identity up and remembers it. It reports whether it was there before.
func (s *Set) SeeOne(hash uint64, now int64) bool {
	sh := &s.shards[shardOf(hash)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.prepare(now)
	return sh.seen(hash, s.maxLines, now)
}

func shardOf(hash uint64) int { return int(hash >> 60) }

func (sh *shard) lineOf(identity uint64) int {
	return int(identity >> 2 & uint64(len(sh.lines)-1))
}

// fetch begins to bring the lines of identities into the cache, all before the
// first is looked at, so that the waits overlap.
func (sh *shard) fetch(identities []Identity) {
	lines := sh.lines
	mask := uint64(len(lines) - 1)
	ahead := uint64(0)
	for i := range identities {
		ahead ^= lines[identities[i].Hash>>2&mask][lastWord]
	}
	sh.ahead = ahead
}

// prepare turns the generations when the current one has had its time. The
// caller holds the shard's mutex.
func (sh *shard) prepare(now int64) {
	age := now - sh.began
	if age < fullPeriod.Milliseconds() {
		return
	}
	sh.turn(now)
	if age >= 2*fullPeriod.Milliseconds() { // the one just closed is too old as well
		sh.turn(now)
		sh.lastPeriod = 0
	}
	if len(sh.lines) > minLines && (sh.used[0]+sh.used[1])*16 < len(sh.lines)*slotsInLine {
		sh.resize(len(sh.lines) / 2)
	}
}

// turn begins a new generation, in which the older of the two before it is forgotten.
func (sh *shard) turn(now int64) {
	sh.lastPeriod = max(now-sh.began, 1)
	sh.began = now
	sh.generation++
	sh.used[sh.generation&1] = 0
}

// line returns a line without what is forgotten.
func (sh *shard) line(i int) *line {
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
func (sh *shard) seen(identity uint64, maxLines int, now int64) bool {
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
func (sh *shard) insert(identity, parity uint64) bool {
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

func (sh *shard) resize(lines int) {
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

// Usage adds up what is held. The period is the shortest of the shards': for
// that long every repeat is found.
func (s *Set) Usage() (bytes, identities int64, period time.Duration) {
	period = fullPeriod
	for i := range s.shards {
		sh := &s.shards[i]
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
