// Package store is the shared memory of a node: what gateways reported, counted
// and kept so that any number of readers can ask for any window of it at once.
//
// # Concurrency properties
//
// All methods of [Store] are safe for concurrent use but for [Store.Tick], which
// wants one caller. Writers ([Store.Apply]) and readers meet only in the mutex of
// a shard, held for microseconds and never two at a time; no goroutine, channel
// or queue stands between them. A [Table] belongs to one goroutine at a time.
//
// # Consistency
//
// When Apply has returned, every read begun later sees all of its events. A read
// is not one instant: it includes everything up to the revision in its [Meta],
// and may include later changes. Revisions grow with every change, the expiry of
// a cell or a report included, so equal revisions mean equal answers.
//
// # Arithmetic
//
// Everything counted is an integer: durations are whole microseconds, weights
// whole numbers. Sums are the same in whatever order they were made. Latencies
// are kept as counts in base-2 exponential buckets (see package cell), and
// percentiles are within 1.1 % of the exact ones.
package store

import (
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"remuda/store/cell"
	"remuda/store/dedup"
)

// Options configure a store. The zero value of a field takes its default.
type Options struct {
	Node                string            // name of this node; default "node"
	Region              string            // this node's region; default "local"
	Incarnation         uint64            // names this run of the node; default the start in unix ms
	MaxSeries           int               // default 100,000; beyond it series lose their method, then everything but their profile
	MaxSeriesPerProfile int               // default MaxSeries
	MaxLatestValues     int               // default 100,000; beyond it reports with a new key are refused
	DedupBytes          int64             // memory for identities, default 64 MiB
	TotalBytes          int64             // memory for sums of windows between their readers, default 512 MiB; beyond it each reader makes them
	ChainAliases        map[string]string // names of chains by EIP-155 number, besides the built-in ones
	Now                 func() time.Time  // default time.Now
}

const (
	maxProfiles = 1000
	maxSenders  = 10_000 // per profile; beyond it senders are counted as one

	// keepTotals is for how many seconds the totals of a window outlive its last reader.
	keepTotals = 120
)

// A Store holds the live numbers of a node. See the package documentation.
type Store struct {
	options    Options
	clock      *clock
	began      int64 // ms
	seed       maphash.Seed
	categories *cell.Categories
	chains     *Chains

	revision atomic.Uint64
	advanced atomic.Int64 // the second everything is settled up to
	settling sync.Mutex   // held by who settles it
	shards   [numShards]shard
	lastRead [cell.NumWindows]atomic.Int64 // second

	self         *origin
	sequence     atomic.Uint64 // of the last tick
	urgent       chan struct{}
	members      atomic.Pointer[members]
	dedup        *dedup.Set
	accepted     atomic.Uint64 // events
	duplicates   atomic.Uint64
	bodies       atomic.Uint64
	overflow     atomic.Uint64
	feedSequence atomic.Uint64
	seriesCount  atomic.Int64
	latestCount  atomic.Int64
	placesTaken  atomic.Int64 // of latest values, by batches that have not put theirs yet
	totalBytes   atomic.Int64
	headMarks    atomic.Int64 // kept of all chains, see maxHeadMarks
	senderCount  atomic.Int64
	skews        atomic.Uint64 // how often an origin's skew has changed
	applyScratch sync.Pool
	holdEnded    func(*shard) // of tests: called when a walk has given a shard away
	retired      retired
	checkpoints  checkpoints

	originsMu sync.Mutex
	origins   map[OriginID]*origin

	profilesMu sync.RWMutex
	profiles   map[string]*profile
}

// New returns an empty store.
func New(o Options) (*Store, error) {
	if o.Node == "" {
		o.Node = "node"
	}
	if o.Region == "" {
		o.Region = "local"
	}
	if o.MaxSeries == 0 {
		o.MaxSeries = 100_000
	}
	if o.MaxSeriesPerProfile == 0 {
		o.MaxSeriesPerProfile = o.MaxSeries
	}
	if o.MaxLatestValues == 0 {
		o.MaxLatestValues = 100_000
	}
	if o.DedupBytes == 0 {
		o.DedupBytes = 64 << 20
	}
	if o.TotalBytes == 0 {
		o.TotalBytes = 512 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxSeries < 0 || o.MaxSeriesPerProfile < 0 || o.MaxLatestValues < 0 || o.DedupBytes < 0 || o.TotalBytes < 0 {
		return nil, errors.New("limits of the store cannot be negative")
	}
	chains, err := newChains(o.ChainAliases)
	if err != nil {
		return nil, err
	}
	s := &Store{
		options:    o,
		chains:     chains,
		clock:      newClock(o.Now),
		seed:       maphash.MakeSeed(),
		categories: cell.NewCategories(),
		profiles:   make(map[string]*profile),
		origins:    make(map[OriginID]*origin),
	}
	s.retired = retired{sums: make(counters), foldAt: maxRetired}
	s.began = s.clock.now()
	s.urgent = make(chan struct{}, 1)
	if s.options.Incarnation == 0 {
		s.options.Incarnation = uint64(s.began)
	}
	s.advanced.Store(s.began / 1000)
	s.revision.Store(1)
	s.dedup = dedup.New(o.DedupBytes, s.began)
	s.applyScratch.New = func() any { return new(batch) }
	s.self = s.origin(OriginID{o.Node, s.options.Incarnation})
	s.self.began = s.began
	s.feedSequence.Store(firstNumber(s.options.Incarnation))
	for i := range s.shards {
		sh := &s.shards[i]
		sh.store = s
		sh.series = make(map[uint64]*series)
		sh.parts = []*originPart{{origin: s.self, shard: sh, now: s.began / 1000, latest: s.began / 1000}}
	}
	return s, nil
}

// Node is the name of this node.
func (s *Store) Node() string { return s.options.Node }

// Region is the region of this node.
func (s *Store) Region() string { return s.options.Region }

// Chains says what chains are called.
func (s *Store) Chains() *Chains { return s.chains }

// Incarnation names this run of the node.
func (s *Store) Incarnation() uint64 { return s.options.Incarnation }

// Now is what time it is, in ms since the epoch, as events and readers have it. It
// jumps with the wall clock once that is believed, see clock.go.
func (s *Store) Now() int64 { return s.clock.shown(s.clock.now()) }

// Clock is the store's own clock in ms since the epoch, which does not go back. Cells
// are of its steps, and other nodes are told it.
func (s *Store) Clock() int64 { return s.clock.now() }

// shown is an instant of an origin's clock as readers have it; 0, which is none, stays.
func (s *Store) shown(o *origin, at int64) int64 {
	if at == 0 {
		return 0
	}
	return s.clock.shown(o.Local(at))
}

// Behind is by how many ms the wall clock is behind Clock.
func (s *Store) Behind() int64 { return s.clock.behind.Load() }

// ClockStep returns the last step of the wall clock that was believed, nil when there
// was none.
func (s *Store) ClockStep() *ClockStep { return s.clock.last.Load() }

// Revision is the number of the store's last change. Whatever has fallen due by
// now, such as the expiry of a cell, is done first and counts as a change. The
// call is cheap unless a second has ended since the one before.
func (s *Store) Revision() uint64 {
	s.advance(s.clock.now() / 1000)
	return s.revision.Load()
}

// advance settles all shards up to a second. One caller does it while the others wait:
// many readers that come with a new second would otherwise queue at every shard, and
// posts behind them.
func (s *Store) advance(second int64) {
	if s.advanced.Load() >= second {
		return
	}
	s.settling.Lock()
	defer s.settling.Unlock()
	if s.advanced.Load() >= second {
		return
	}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.advance(second)
		sh.mu.Unlock()
	}
	for _, p := range s.allProfiles() {
		p.expire(second * 1000)
		if p.users.Load() == 0 && p.empty() {
			s.dropProfile(p)
		}
	}
	s.advanced.Store(second)
}

// Tick closes a sequence: cells that changed are packed and stamped with it,
// closed steps are summed into coarser ones, what has aged out is dropped. It
// wants to be called every half second, by one goroutine; reads do not depend on it. It
// returns the step of the wall clock that has just been believed, mostly nil.
func (s *Store) Tick() (stepped *ClockStep) {
	if step := s.clock.check(); step != 0 {
		s.stepClock(step)
		stepped = s.ClockStep()
	}
	at := s.clock.now()
	s.advance(at / 1000)
	sequence := s.sequence.Load() + 1
	var w walk
	for i := range s.shards {
		sh := &s.shards[i]
		w.begin(sh)
		sh.advance(at / 1000)
		sh.local().tick(&w, uint32(sequence), at)
		w.end()
	}
	s.collectRetired()
	s.closeNotes(uint32(sequence), at)
	s.sequence.Store(sequence)
	return stepped
}

// stepClock has the clock follow the wall by some ms. The clocks of other nodes have
// not moved, and must not seem to be ahead for a moment: their cells would age out. All
// that readers see has other times.
func (s *Store) stepClock(step int64) {
	if forward := s.clock.moves(step); forward > 0 {
		s.originsMu.Lock()
		for _, o := range s.origins {
			if o != s.self {
				o.skew.Add(-forward / 1000)
			}
		}
		s.skews.Add(1)
		s.originsMu.Unlock()
	}
	s.clock.step(step)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for m := sh.oldest; m != nil; {
			next := m.next
			sh.touch(m) // which may put it at the end, where it is left alone the next time
			m = next
		}
		sh.mu.Unlock()
	}
	for _, p := range s.allProfiles() {
		p.reportsRevision.Store(s.revision.Add(1))
	}
}

// allProfiles lists the profiles in no order.
func (s *Store) allProfiles() []*profile {
	s.profilesMu.RLock()
	defer s.profilesMu.RUnlock()
	list := make([]*profile, 0, len(s.profiles))
	for _, p := range s.profiles {
		list = append(list, p)
	}
	return list
}

// acquireProfile returns a profile, a new one if there is room, nil when there
// is none. It stays until release.
func (s *Store) acquireProfile(name string) *profile {
	s.profilesMu.RLock()
	p := s.profiles[name]
	if p != nil {
		p.users.Add(1)
	}
	s.profilesMu.RUnlock()
	if p != nil {
		return p
	}
	s.profilesMu.Lock()
	defer s.profilesMu.Unlock()
	p = s.profiles[name]
	if p == nil {
		if len(s.profiles) >= maxProfiles {
			return nil
		}
		p = newProfile(s, strings.Clone(name))
		s.profiles[p.name] = p
		s.revision.Add(1)
	}
	p.users.Add(1)
	return p
}

// dropProfile forgets a profile that holds nothing, unless somebody is about to
// write to it.
func (s *Store) dropProfile(p *profile) {
	s.profilesMu.Lock()
	gone := p.users.Load() == 0 && p.empty() && s.profiles[p.name] == p
	if gone {
		delete(s.profiles, p.name)
		s.revision.Add(1)
	}
	s.profilesMu.Unlock()
	if gone {
		s.forgetEarly(p)
	}
}
