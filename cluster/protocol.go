package cluster

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"remuda/cluster/disk"
	"remuda/cluster/wire"
	"remuda/store"
)

// protocol is what a node knows of the origins of others, and decides what to ask
// of whom. It does no I/O and reads no clock: messages come in with the instant at
// which they came, and due says what to do. Instants are monotonic, since the
// start. It is not safe for concurrent use.
//
// The rules that the comments name are those of docs/design.md.
type protocol struct {
	store  *store.Store
	self   store.OriginID
	tick   func(members int) time.Duration
	random *rand.Rand

	origins map[store.OriginID]*origin
	nodes   map[string]*node // by name, this one too
	own     wire.Status      // as of the last tick
	pulls   int              // running
	asking  int              // exchanges running

	nextExchange time.Duration
	caughtUp     bool
	seeded       bool           // members were to be joined
	ownSeed      bool           // and they are this node alone
	met          bool           // another member has been here
	rival        store.OriginID // an older process of this node's name that lives, if there is one
	rivalAt      string         // its HTTP address, if it answered there
	ignored      uint64         // messages that could not be read
}

// An origin is what is known of one run of another node.
type origin struct {
	id    store.OriginID
	node  *node
	signs signs

	mark  uint64 // everything stamped up to it is in the store
	ahead uint64 // newest stamp of anything that is
	head  uint64 // newest sequence announced, and its digest
	is    uint64
	clock uint64 // sequence at which the origin last told its clock

	behind int64 // by how many ms its wall clock is behind its clock, and when that last changed
	step   *store.ClockStep

	// By how much its clock is ahead of this node's, in ms; since when less has been
	// told, and the most of that.
	fast, less int64
	slower     time.Duration

	headAt, markAt time.Duration // last sign of life; last advance of the mark

	part struct { // what has come of a delta of several events
		sequence, after uint64
		got             uint8
	}
	rows knownRows

	// unverified says that the digest is not known here, since not all that ever was
	// has come; refused that something did not fit into the store.
	unverified, refused bool

	unions  map[string]union // by member
	wanted  bool             // to pull
	wantAt  time.Duration    // not before
	full    bool             // all of it
	again   bool             // asked for from somebody else while a pull ran
	from    string           // who has more, if not the origin
	at      string           // where the run itself says that it is asked; empty when it did not
	pulling bool
	plain   bool // the next pull is to leave nothing out
	fails   int
}

// A union is what a member had when all of that was taken from it, and the digest
// here when that was last told to it.
type union struct {
	theirs wire.Status
	mine   uint64
}

// A node is a name, and what serf says of it.
type node struct {
	name    string
	peer    peer
	current uint64 // incarnation of the run that is heard of
	own     bool

	asking    bool // an exchange is running
	deaf      bool // the last request to it had no answer
	greeted   uint64
	lastAsked time.Duration
	heardAt   time.Duration // when a head of any of its runs last came

	gaps, pulls, inline, pulled, divergence uint64
	bytesIn, bytesOut                       uint64
}

const (
	// gapPatience is how long a missing event may still be on its way.
	gapPatience = 300 * time.Millisecond
	maxJitter   = 50 * time.Millisecond

	maxPulls     = 4 // at a time
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
)

func newProtocol(st *store.Store, tick func(int) time.Duration, seed uint64) *protocol {
	p := &protocol{
		store: st, self: store.OriginID{Node: st.Node(), Incarnation: st.Incarnation()}, tick: tick,
		random:  rand.New(rand.NewPCG(seed, 0)),
		origins: make(map[store.OriginID]*origin), nodes: make(map[string]*node),
	}
	own := p.node(st.Node())
	own.own, own.current = true, p.self.Incarnation
	p.ticked()
	return p
}

func (p *protocol) node(name string) *node {
	n := p.nodes[name]
	if n == nil {
		n = &node{name: name, lastAsked: never, heardAt: never}
		p.nodes[name] = n
	}
	return n
}

// origin returns the record of a run, nil when there are too many.
func (p *protocol) origin(id store.OriginID, now time.Duration) *origin {
	o := p.origins[id]
	if o == nil {
		if len(p.origins) >= wire.MaxOrigins {
			return nil
		}
		o = &origin{id: id, node: p.node(id.Node), headAt: never, markAt: now}
		p.origins[id] = o
	}
	return o
}

// never is an instant long before the start.
const never = -time.Hour

func (p *protocol) jitter() time.Duration { return time.Duration(p.random.Int64N(int64(maxJitter))) }

// receive takes a user event of a member.
func (p *protocol) receive(now time.Duration, message []byte) {
	h, e, err := wire.ReadDelta(message)
	if err != nil {
		p.ignored++ // R13: damaged, or of a version to come
		return
	}
	if h.ID == p.self {
		return
	}
	o := p.origin(h.ID, now)
	if o == nil {
		p.ignored++
		return
	}
	superseded := p.superseded(o, now)
	p.setClock(o, now, h.Sequence, h.Wall)
	if !superseded {
		o.heard(now)
		o.node.current = h.ID.Incarnation
		if h.Sequence > o.head {
			if h.Whole && h.After > max(o.mark, o.head) {
				o.node.gaps++
			}
			o.head, o.is = h.Sequence, h.Digest
			o.follow(&h, p.store.Clock())
		}
	}
	p.watchRival(now, o, &h)
	whole := p.merge(o, &e, o.mark >= h.After)
	switch {
	case superseded, h.Sequence <= o.mark: // R3
	case !h.Whole:
		p.want(o, now, "")
	case whole && o.mark >= h.After:
		o.gotPart(&h)
		if o.part.got == 1<<h.Parts-1 { // R4
			o.node.inline += h.Sequence - o.mark
			o.advance(now, h.Sequence)
		} else {
			p.want(o, now+p.patience(&h), "")
		}
	case o.mark >= h.After: // nothing under way explains it: the origin has to say it in full
		o.plain = true
		p.want(o, now, "")
	default: // R5: what came without building on what is missing was merged
		p.want(o, now+p.patience(&h), "")
	}
	p.verify(o, now)
}

// superseded reports whether a newer run of the node is there (R1). A run whose
// number is lower because a clock went back is, once the newer one is silent, the
// current one all the same.
func (p *protocol) superseded(o *origin, now time.Duration) bool {
	if o.id.Incarnation >= o.node.current {
		return false
	}
	if o.node.own {
		return true
	}
	newer := p.currentOf(o.node)
	return newer != nil && now-newer.headAt < supersedes
}

// patience is how long to wait for the missing part of a delta. When it reached
// back over several sequences, the next one is likely to bring the part again.
func (p *protocol) patience(h *wire.Head) time.Duration {
	wait := gapPatience + p.jitter()
	if h.Sequence-h.After > 1 {
		wait += p.tick(p.size())
	}
	return wait
}

// merge puts entries into the store and reports whether all could be. complete says
// that what they build on is here; otherwise rows that need it are left out.
func (p *protocol) merge(o *origin, e *wire.Entries, complete bool) (whole bool) {
	whole = true
	if newest := e.Notes.Newest(); newest > 0 || e.Notes.Len() > 0 {
		if err := p.store.MergeNotes(o.id, &e.Notes); err != nil {
			o.refused = true
		}
		o.ahead = max(o.ahead, newest)
	}
	for i := range e.Rows {
		s := &e.Rows[i].State
		if !o.rows.resolve(&e.Rows[i]) || !complete && derived(s) {
			whole = false
			continue
		}
		switch err := p.store.Merge(o.id, s); {
		case err == nil:
			o.ahead = max(o.ahead, s.Stamp)
		case errors.Is(err, store.ErrNoRoom):
			o.refused, o.ahead = true, max(o.ahead, s.Stamp)
		default:
			whole = false
		}
	}
	return whole
}

// derived reports whether something of a row was left out, for the receiver to work
// out from what it has.
func derived(s *store.RowState) bool {
	return s.Even || slices.ContainsFunc(s.Cells, func(c store.CellState) bool { return c.Summed })
}

func (o *origin) heard(now time.Duration) {
	o.headAt = max(o.headAt, now)
	o.node.heardAt = max(o.node.heardAt, now)
}

func (o *origin) gotPart(h *wire.Head) {
	if o.part.sequence != h.Sequence || o.part.after != h.After {
		o.part.sequence, o.part.after, o.part.got = h.Sequence, h.After, 0
	}
	o.part.got |= 1 << h.Part
}

func (o *origin) advance(now time.Duration, sequence uint64) {
	if sequence > o.mark {
		o.mark, o.markAt = sequence, now
	}
	if o.mark >= o.head && !o.full {
		o.wanted = false
	}
}

// verify compares the digest of an origin whose last head is all here (R6).
func (p *protocol) verify(o *origin, now time.Duration) {
	if o.mark != o.head || o.ahead > o.mark || o.pulling || o.refused || o.head == 0 {
		return
	}
	switch mine := p.store.Digest(o.id); {
	case mine == o.is:
		o.unverified = false
	case o.unverified:
		p.store.Calibrate(o.id, o.is)
		o.unverified = false
	case !o.full:
		o.node.divergence++
		o.full = true
		p.want(o, now, "")
	}
}

// setClock takes over what an origin's clock said at a sequence. What was long on
// its way makes the clock seem slow, never fast: the fastest is right, unless the
// clock seems slower for a while. Then the fastest of that while is.
func (p *protocol) setClock(o *origin, now time.Duration, sequence uint64, wall int64) {
	const patience = 5 * time.Second
	if sequence <= o.clock {
		return
	}
	first := o.clock == 0
	o.clock = sequence
	fast := wall - p.store.Clock()
	switch {
	case first || fast >= o.fast:
	case o.slower == 0:
		o.slower, o.less = now, fast
		return
	default:
		o.less = max(o.less, fast)
		if now-o.slower < patience {
			return
		}
		fast = o.less
	}
	o.fast, o.slower = fast, 0
	p.store.SetClock(o.id, p.store.Clock()+fast)
}

// follow takes note of a wall clock that was put back, or forward again.
func (o *origin) follow(h *wire.Head, now int64) {
	if by := o.behind - h.Behind; by != 0 {
		o.behind = h.Behind
		o.step = &store.ClockStep{By: time.Duration(by) * time.Millisecond, At: now}
	}
}

// ticked takes note of the sequence that this node's store has just closed.
func (p *protocol) ticked() {
	sequence := p.store.Sequence()
	p.own = wire.Status{ID: p.self, Mark: sequence, Ahead: sequence, Digest: p.store.Digest(p.self), Verified: true}
}

// alive reports whether an origin is the running one of a member.
func (p *protocol) alive(o *origin) bool {
	return o.id.Incarnation == o.node.current && o.node.peer.alive() &&
		(o.node.peer.incarnation == 0 || o.node.peer.incarnation == o.id.Incarnation)
}

// remember begins with what a checkpoint brought back.
func (p *protocol) remember(now time.Duration, r disk.Remembered) {
	for _, s := range r.List {
		if s.ID == p.self {
			continue
		}
		if o := p.origin(s.ID, now-r.Age); o != nil {
			o.mark, o.ahead, o.unverified = s.Mark, s.Ahead, !s.Verified
		}
	}
}
