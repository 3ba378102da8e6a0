// Package rules decides what a node of a cluster asks of whom, and what of what it hears
// counts: the rules R1 to R10 of docs/design.md. It is pure. [Rules.Step] takes one event
// and the instant at which it came, and returns what is to be done; whoever does it tells
// what came of it by further events. Nothing here has a store, reads a clock, waits or
// locks, so that a seed decides all and a simulation can drive the real thing.
//
// # What may be reordered
//
// What is to be done takes its time, and other events come meanwhile. These hold:
//
//  1. A mark moves when the merge of what it stands for is done, not when it is begun. So
//     whoever is told of a mark finds all of it in the store.
//  2. Of a run, one delta is merged at a time, in the order of coming. Those that come
//     meanwhile wait here, at most maxWaiting. What they say of the run's head and clock,
//     and that it lives, counts at once.
//  3. A pull of that run may be merged at the same time: states of rows can be merged in
//     any order. What builds on a mark is taken for complete by the mark at the instant
//     at which its merge is asked for, and marks only grow.
//  4. Digests are compared, and taken over, only while nothing of that run is merged, by
//     what is told of the digest with the end of the last merge.
//  5. A run is told to others as verified only while nothing of it is merged.
//  6. The clock of a run is set before anything of it is merged that was told with it.
//  7. A run is not forgotten while something of it is merged or waits.
//
// So effects are to be carried out in their order, the ones that set something before
// the next event; what is told of statuses is to be brought up to date after a step and
// before its merges begin.
package rules

import (
	"math/rand/v2"
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

// Rules are what a node knows of the runs of others. They belong to one goroutine.
type Rules struct {
	self   store.OriginID
	tick   func(members int) time.Duration
	random *rand.Rand

	origins map[store.OriginID]*origin
	nodes   map[string]*node // by name, this one too
	pulls   int              // running
	asking  int              // exchanges running

	nextExchange time.Duration
	caughtUp     bool
	seeded       bool           // members were to be joined
	ownSeed      bool           // and they are this node alone
	met          bool           // another member has been here
	rival        store.OriginID // an older process of this node's name that lives, if there is one
	rivalAddress string         // where it answered over HTTP, if it did
	ignored      uint64         // messages that could not be read, or for which there was no room

	clock   int64 // of this node, of the event that is being taken
	effects []Effect
}

// New returns the rules of a run. tick is how long a tick is in a cluster of a size, and
// seed decides what is left to chance.
func New(self store.OriginID, tick func(members int) time.Duration, seed uint64) *Rules {
	r := &Rules{
		self: self, tick: tick, random: rand.New(rand.NewPCG(seed, 0)),
		origins: make(map[store.OriginID]*origin), nodes: make(map[string]*node),
	}
	own := r.node(self.Node)
	own.own, own.current = true, self.Incarnation
	return r
}

// An Event is something that has happened.
type Event interface{ event() }

// The events. Lists belong to the rules from then on.
type (
	// Remembered is what a checkpoint brought back, which was away for Age.
	Remembered struct {
		List []wire.Status
		Age  time.Duration
	}
	// Members is what serf knows: all members, whether any were to be joined, and whether
	// those are this node alone.
	Members struct {
		List    []wire.Peer
		Seeded  bool
		OwnSeed bool
	}
	// Heard is a user event of a member.
	Heard struct{ Message []byte }
	// Merged is the end of a [Merge].
	Merged struct {
		ID      store.OriginID
		Outcome Outcome
		Digest  uint64 // of the run, in the store now
	}
	// Due asks what is to be asked now.
	Due struct{}
	// Exchanged is the end of an [Exchange]: the marks of the member.
	Exchanged struct {
		Exchange Exchange
		Marks    []wire.Status
		Err      error
	}
	// Asked says that a member asked for marks, with its own, and told the HTTP address
	// at which its own run is asked.
	Asked struct {
		Member  string
		Marks   []wire.Status
		Address string
	}
	// Began is the begin of the answer to a [Pull]: what the member asked has, and the
	// run's clock. Nothing of it may be merged before the step is done.
	Began struct {
		Pull   Pull
		Status wire.Status
		Wall   int64
	}
	// Pulled is the end of a [Pull].
	Pulled struct {
		Pull    Pull
		Status  wire.Status // that the answer began with
		Exact   bool        // and ended with
		Outcome Outcome     // of all that was merged, also when it failed
		Digest  uint64      // of the run, in the store now
		Err     error
	}
	// Met says who answers where somebody says to have this node's name.
	Met struct {
		ID      store.OriginID
		Address string
	}
	// Ticked says that this node has closed a sequence, and of which runs the store has
	// cells.
	Ticked struct{ Held map[store.OriginID]bool }
)

func (Remembered) event() {}
func (Members) event()    {}
func (Heard) event()      {}
func (Merged) event()     {}
func (Due) event()        {}
func (Exchanged) event()  {}
func (Asked) event()      {}
func (Began) event()      {}
func (Pulled) event()     {}
func (Met) event()        {}
func (Ticked) event()     {}

// An Outcome is what came of merging.
type Outcome struct {
	Whole   bool   // all could be merged, or there was no room for it
	Ahead   uint64 // newest stamp of what was
	Refused bool   // there was no room for something
}

// Add adds what came of merging more.
func (o *Outcome) Add(more Outcome) {
	o.Whole = o.Whole && more.Whole
	o.Ahead = max(o.Ahead, more.Ahead)
	o.Refused = o.Refused || more.Refused
}

// An Effect is something to be done.
type Effect interface{ effect() }

// The effects. Merges, pulls and exchanges are begun, and end with an event.
type (
	// SetClock sets the clock of a run: by how many ms it is ahead of this node's.
	SetClock struct {
		ID    store.OriginID
		Ahead int64
	}
	// Calibrate sets the digest of a run.
	Calibrate struct {
		ID     store.OriginID
		Digest uint64
	}
	// Forget drops all of a run.
	Forget struct{ ID store.OriginID }
	// Merge puts what a delta carried into the store. Complete says that what it builds on
	// is there; otherwise rows that need it are to be left out.
	Merge struct {
		ID       store.OriginID
		Entries  *wire.Entries
		Complete bool
	}
	// Pull asks a member for what is stamped after a sequence of a run, and merges it.
	Pull struct {
		ID      store.OriginID
		Member  string
		Address string // HTTP, if it is not that of the member
		After   uint64
		Builds  bool // the answer may leave out what follows from all up to After
	}
	// Exchange asks a member for its marks, and tells it this node's.
	Exchange struct{ Member string }
)

func (SetClock) effect()  {}
func (Calibrate) effect() {}
func (Forget) effect()    {}
func (Merge) effect()     {}
func (Pull) effect()      {}
func (Exchange) effect()  {}

// Step takes an event, and returns what is to be done in answer, in this order. now is
// monotonic, since the start; clock is that of this node's store, in ms.
func (r *Rules) Step(now time.Duration, clock int64, e Event) []Effect {
	r.clock, r.effects = clock, nil
	switch e := e.(type) {
	case Remembered:
		r.remember(now, e)
	case Members:
		r.setMembers(e)
	case Heard:
		r.heard(now, e.Message)
	case Merged:
		r.merged(now, e)
	case Due:
		r.due(now)
	case Exchanged:
		r.exchanged(now, e)
	case Asked:
		if r.nodes[e.Member] != nil {
			r.compare(now, e.Member, e.Marks, false)
			r.toldAddress(e)
		}
	case Began:
		r.began(now, e)
	case Pulled:
		r.pulled(now, e)
	case Met:
		r.answeredBy(e)
	case Ticked:
		r.forget(now, e.Held)
	}
	return r.effects
}

func (r *Rules) do(e Effect) { r.effects = append(r.effects, e) }

// Errors that events bring.
type askError string

func (e askError) Error() string { return string(e) }

const (
	// ErrNoAnswer says that a request did not come through, or nothing came back.
	ErrNoAnswer askError = "no answer"
	// ErrNoMember says that nobody was asked.
	ErrNoMember askError = "no such member"
)

const (
	// gapPatience is how long a missing event may still be on its way.
	gapPatience = 300 * time.Millisecond
	maxJitter   = 50 * time.Millisecond

	// MaxPulls is how many pulls run at a time.
	MaxPulls     = 4
	maxExchanges = 8
	firstBackOff = 100 * time.Millisecond
	maxBackOff   = 3 * time.Second

	exchangeEvery = 5 * time.Second
	askEvery      = time.Second
	staleTicks    = 3
	silentAfter   = 60 * time.Second
	supersedes    = 10 * time.Second // of silence until an older run may be the current one

	// farBehind is how old a mark may be for what came after it to be asked for.
	// Older, something may have aged out at the origin meanwhile.
	farBehind = 45 * time.Minute

	// buildsFor is how old a mark may be for a pull to build on what is here. What it
	// builds on is kept for 80 s at least.
	buildsFor = 20 * time.Second

	// maxWaiting bounds the deltas of a run that wait to be merged. Of more the oldest are
	// dropped, and pulled: the marks show that they are missing.
	maxWaiting = 64
)

// never is an instant long before the start.
const never = -time.Hour

func (r *Rules) jitter() time.Duration { return time.Duration(r.random.Int64N(int64(maxJitter))) }
