package cluster

import (
	"bytes"
	"container/heap"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"remuda/cluster/disk"
	"remuda/cluster/rules"
	"remuda/cluster/wire"
	"remuda/store"
	"remuda/store/cell"
)

var (
	simSeed    = flag.Uint64("sim.seed", 0, "seed of one simulation to run again")
	simTrace   = flag.Bool("sim.trace", false, "log what happens to every delta")
	simSeconds = flag.Int("sim.seconds", 0, "simulated seconds in all; 0 is a short run")
)

// foundSeeds have found faults: a run that others only spoke of, told of with the
// wrong clock; sums of cells of which some were dropped; a row of which all were;
// rows without a number; last steps of a run that ended, summed of a part;
// cells taken for new that had been dropped before a clock turned out to be slow.
var foundSeeds = []uint64{
	1795604637824359783, 1795611314445561728, 1795611893598207279, 1795604227884438054, 1795612908324992113,
	1795618509487546279,
}

// TestSimulation runs clusters of real stores through faults: messages lost,
// repeated, late and out of order, partitions of gossip and of HTTP that stay or come
// and go, kills with and
// without a checkpoint, frozen processes, clocks an hour off. After each bout of
// faults everything heals, and within ten seconds all nodes must hold the same
// cells of every origin, to the byte. Time, messages and faults come from a seed; but for
// the found ones, clocks are put back in between too.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		simulate(t, *simSeed, max(*simSeconds, 600))
		return
	}
	total := *simSeconds
	if total == 0 {
		total = 2_400
		if testing.Short() {
			total = 1_200
		}
	}
	const each = 600
	seeds := slices.Clone(foundSeeds)
	if raceDetector { // it makes a simulation, which has one goroutine, some ten times slower
		seeds, total = nil, each
	}
	first := uint64(time.Now().UnixNano())
	for i := range max(total/each, 1) {
		seeds = append(seeds, first+uint64(i))
	}
	for _, seed := range seeds {
		ok := t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { simulate(t, seed, each) })
		if !ok {
			t.Logf("again: go test ./cluster -run TestSimulation -sim.seed=%d", seed)
			return
		}
	}
}

// simBase is when simulations begin, in unix ms.
const simBase = 1_800_000_000_000

type simulation struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand // of the faults; nodes and messages have their own, so that little depends on what came before
	steps *rand.Rand // of the steps of clocks; nil for none
	now   time.Duration
	queue simQueue
	order int
	nodes []*simNode

	offsets          map[store.OriginID]time.Duration // of clocks, of every run
	loss, repeat     float64
	slow             time.Duration
	noGossip, noHTTP map[[2]string]bool // from, to
	traffic, cuts    bool
	healed           bool
	payload          int
	parts            float64
	kills, jumps     int
	pulls, gaps      int
	built, again     int // pulls that left something out, and those of which too much
	inline           uint64
}

type rowID struct {
	id  store.OriginID
	key string
}

// A simNode is a node through all of its runs.
type simNode struct {
	name   string
	run    int // tells events of a former run from those of this one
	up     bool
	frozen bool
	offset time.Duration // of its wall clock

	*driver
	publisher  *publisher
	own        wire.Status
	rng        *rand.Rand
	since      time.Duration // when the run began
	mail       [][]byte
	checkpoint []byte
	noted      uint64          // number of the last run, on the disk
	runs       map[uint64]bool // numbers of all
	serial     int
	counted    uint64           // calls of this run: the oracle
	counts     rules.Counts     // at the last check
	lifetimes  map[rowID]uint64 // seen here, to watch that they never go back
}

type simEvent struct {
	at    time.Duration
	order int
	do    func()
}

type simQueue []simEvent

func (q simQueue) Len() int { return len(q) }
func (q simQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(x any)   { *q = append(*q, x.(simEvent)) }
func (q *simQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

func (s *simulation) after(d time.Duration, do func()) {
	s.order++
	heap.Push(&s.queue, simEvent{s.now + d, s.order, do})
}

func (s *simulation) runFor(d time.Duration) {
	end := s.now + d
	for len(s.queue) > 0 && s.queue[0].at <= end {
		e := heap.Pop(&s.queue).(simEvent)
		s.now = e.at
		e.do()
	}
	s.now = end
}

// between is a random time.
func (s *simulation) between(from, to time.Duration) time.Duration { return between(s.rng, from, to) }

func between(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)+1))
}

func (n *simNode) between(from, to time.Duration) time.Duration { return between(n.rng, from, to) }

func simulate(t *testing.T, seed uint64, seconds int) {
	s := &simulation{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), noGossip: make(map[[2]string]bool), noHTTP: make(map[[2]string]bool),
	}
	s.offsets = make(map[store.OriginID]time.Duration)
	if !slices.Contains(foundSeeds, seed) {
		s.steps = rand.New(rand.NewPCG(seed, 9))
	}
	s.payload, s.parts = 200+s.rng.IntN(1200), 1+s.rng.Float64()*2
	for i := range 2 + s.rng.IntN(4) {
		n := &simNode{name: string(rune('a' + i)), runs: make(map[uint64]bool)}
		s.nodes = append(s.nodes, n)
		s.start(n)
	}
	for s.now < time.Duration(seconds)*time.Second {
		s.bout()
		if t.Failed() {
			return
		}
	}
	t.Logf("%d nodes, payload %d B × %.1f: %d kills, %d steps of clocks, %d pulls (%d build on what is there, %d of these were in vain), %d gaps, %d sequences inline",
		len(s.nodes), s.payload, s.parts, s.kills, s.jumps, s.pulls, s.built, s.again, s.gaps, s.inline)
}

// start begins a run of a node.
func (s *simulation) start(n *simNode) {
	n.run++
	n.rng = rand.New(rand.NewPCG(s.seed, uint64(n.name[0])<<32|uint64(n.run)))
	n.up, n.frozen, n.mail, n.since = true, false, nil, s.now
	n.lifetimes, n.counted, n.counts = make(map[rowID]uint64), 0, rules.Counts{}
	if n.run == 1 || n.rng.IntN(4) == 0 {
		offset := []time.Duration{0, 0, 0, time.Hour, -time.Hour, 90 * time.Second}[n.rng.IntN(6)]
		if offset != n.offset { // how old a checkpoint is could not be told
			n.offset, n.checkpoint = offset, nil
		}
	}
	incarnation := max(uint64(s.wall(n).UnixMilli()), n.noted+1)
	for _, m := range s.nodes { // R9: of the first that answers
		if m != n && m.up && !m.frozen {
			for _, st := range m.marks() {
				if st.ID.Node == n.name {
					incarnation = max(incarnation, st.ID.Incarnation+1)
				}
			}
			break
		}
	}
	for n.runs[incarnation] { // without a disk and with nobody who knows it, a run could be taken for another
		incarnation++
	}
	n.runs[incarnation], n.noted = true, incarnation
	st, err := store.New(store.Options{Node: n.name, Incarnation: incarnation, Now: func() time.Time { return s.wall(n) }, DedupBytes: 1 << 20})
	if err != nil {
		s.t.Fatal(err)
	}
	var found disk.Remembered
	if n.checkpoint != nil {
		if found, err = disk.Read(st, n.checkpoint); err != nil {
			found = disk.Remembered{}
		}
	}
	n.driver = newDriver(st, func(int) time.Duration { return 500 * time.Millisecond }, n.rng.Uint64())
	n.publisher = &publisher{store: st, id: store.OriginID{Node: n.name, Incarnation: incarnation}}
	n.closed()
	s.take(n, rules.Remembered{List: found.List, Age: found.Age})
	s.offsets[n.own.ID] = n.offset // and so it stays, of its store's clock
	run := n.run
	s.after(n.between(50*time.Millisecond, 500*time.Millisecond), func() { // the members hear of it
		for _, m := range s.nodes {
			if m.up {
				s.refresh(m)
			}
		}
	})
	s.refresh(n)
	s.every(n, run, 500*time.Millisecond, s.tick)
	s.every(n, run, 100*time.Millisecond, s.look)
}

// closed takes note of the sequence that the store has just closed.
func (n *simNode) closed() {
	sequence := n.store.Sequence()
	n.own = verified(n.publisher.id, sequence, n.store.Digest(n.publisher.id))
}

// marks are what a node tells of all origins, its own first.
func (n *simNode) marks() []wire.Status { return append([]wire.Status{n.own}, n.rules.Statuses()...) }

// status is how much a node has of an origin, and whether it tells others.
func (n *simNode) status(id store.OriginID) (wire.Status, bool) {
	if id == n.own.ID {
		return n.own, true
	}
	return n.rules.Status(id)
}

// take has an event taken, and begins what that wants.
func (s *simulation) take(n *simNode, e rules.Event) {
	for _, effect := range n.step(s.elapsed(n), e) {
		switch do := effect.(type) {
		case rules.Merge:
			s.merge(n, do)
		case rules.Pull:
			s.pull(n, do)
		case rules.Exchange:
			s.exchange(n, do)
		}
	}
}

// merge puts a delta into the store, in two halves, while other things happen.
func (s *simulation) merge(n *simNode, do rules.Merge) {
	m, run := n.merger(do.ID), n.run
	longest := 3 * time.Millisecond
	if !s.healed && n.rng.IntN(30) == 0 {
		longest = 900 * time.Millisecond
	}
	half := len(do.Entries.Rows) / 2
	first := wire.Entries{Notes: do.Entries.Notes, Rows: do.Entries.Rows[:half]}
	rest := wire.Entries{Rows: do.Entries.Rows[half:]}
	s.after(n.between(0, longest), func() {
		if n.run != run || !n.up {
			return
		}
		outcome := m.merge(&first, do.Complete)
		s.after(n.between(0, longest), func() {
			if n.run != run || !n.up {
				return
			}
			outcome.Add(m.merge(&rest, do.Complete))
			s.after(n.between(0, longest), func() {
				if n.run == run && n.up {
					s.take(n, rules.Merged{ID: do.ID, Outcome: outcome})
				}
			})
		})
	})
}

func (s *simulation) wall(n *simNode) time.Time {
	return time.UnixMilli(simBase).Add(s.now + n.offset)
}

// every repeats do while a run lasts; a frozen process does nothing.
func (s *simulation) every(n *simNode, run int, period time.Duration, do func(*simNode)) {
	var again func()
	again = func() {
		if n.run != run || !n.up {
			return
		}
		if !n.frozen {
			do(n)
		}
		s.after(period+n.between(0, 5*time.Millisecond), again)
	}
	s.after(n.between(0, period), again)
}

func (s *simulation) elapsed(n *simNode) time.Duration { return s.now - n.since }

// refresh gives a node serf's view of the others: failures are seen late.
func (s *simulation) refresh(n *simNode) {
	var list []wire.Peer
	for _, m := range s.nodes {
		if m.driver == nil {
			continue
		}
		p := wire.Peer{Name: m.name, HTTPAddr: m.name, Incarnation: m.store.Incarnation(), State: "alive"}
		if !m.up {
			p.State = "failed"
		}
		list = append(list, p)
	}
	s.take(n, rules.Members{List: list})
}

// tick has events come in, closes a sequence and gossips it.
func (s *simulation) tick(n *simNode) {
	if s.traffic {
		events := make([]store.Event, n.rng.IntN(30))
		at := n.store.Now()
		for i := range events {
			n.serial++
			events[i] = store.Event{
				Sent: store.FieldTS, TS: at - int64(n.rng.IntN(400)), SentTS: at, Profile: "default", Chain: "base", Method: []string{"eth_call", "eth_getLogs"}[n.rng.IntN(2)],
				Strategy: "fastest", ProviderID: fmt.Sprint("p", n.rng.IntN(6)), SourceNode: "gw@" + n.name, SourceRegion: "r", Weight: 1,
				DurationMicros: 1000 + n.rng.Uint64N(1<<17), UpstreamMicros: 5000, Result: failedIf(n.rng.IntN(20) == 0),
			}
			e := &events[i]
			switch n.rng.IntN(60) {
			case 0:
				e.TS -= n.rng.Int64N(3_000_000) // late
			case 3, 4, 5:
				e.Result = cell.Cancelled
			case 6, 7:
				e.CallReason, e.Attempts = store.ReasonHedge, []store.Attempt{{ProviderID: fmt.Sprint("p", n.rng.IntN(6)), Result: cell.NotSent}}
			case 1:
				*e = store.Event{Kind: store.Circuit, Sent: store.FieldTS, TS: at, Profile: "default", Chain: "base", ProviderID: "p1", SourceNode: "gw@" + n.name, SourceRegion: "r", To: store.CircuitOpen}
			case 2:
				*e = store.Event{Kind: store.Block, Sent: store.FieldTS, TS: at, Profile: "default", Chain: "base", ProviderID: "p2", SourceNode: "gw@" + n.name, SourceRegion: "r", Height: uint64(n.serial)}
			}
			if e.Result == cell.Failure {
				e.ErrorCategory = "timeout"
			}
		}
		refused := make(map[int]bool)
		for _, f := range n.store.Apply(events).Refusals {
			refused[f.Index] = true
		}
		for i := range events {
			if events[i].Kind == store.Decision && !refused[i] {
				n.counted++
			}
		}
	}
	n.store.Tick()
	n.closed()
	s.take(n, rules.Ticked{})
	n.store.SetMembers(n.rules.Members(s.elapsed(n), n.store))
	for _, event := range n.publisher.publish(budget{s.payload, s.parts}, false) {
		for _, m := range s.nodes {
			if m != n {
				s.gossip(n, m, event)
			}
		}
	}
}

func (s *simulation) gossip(n, m *simNode, event []byte) {
	h, _ := wire.ReadHead(event)
	rng := rand.New(rand.NewPCG(s.seed, uint64(n.name[0])<<56|uint64(m.name[0])<<48|h.Sequence<<8|uint64(h.Part)))
	copies := 1
	if rng.Float64() < s.repeat {
		copies = 2
	}
	for range copies {
		if rng.Float64() < s.loss {
			continue
		}
		run := m.run
		s.after(between(rng, 5*time.Millisecond, 60*time.Millisecond+s.slow), func() {
			if m.up && m.run == run && !s.noGossip[[2]string{n.name, m.name}] {
				const full = 64 // a frozen process has a socket that keeps the oldest, and members that repeat the newest
				if len(m.mail) == full && s.seed%2 == 0 {
					m.mail = m.mail[1:]
				}
				if len(m.mail) < full {
					m.mail = append(m.mail, event)
				}
				if !m.frozen {
					s.read(m)
				}
			}
		})
	}
}

func (s *simulation) read(n *simNode) {
	for _, event := range n.mail {
		s.take(n, rules.Heard{Message: event})
		if *simTrace {
			s.trace(n, event)
		}
	}
	n.mail = nil
}

// look begins what is due.
func (s *simulation) look(n *simNode) {
	s.read(n)
	s.take(n, rules.Due{})
	if _, _, yields := n.rules.Rival(); yields {
		s.t.Errorf("%v: %s thinks that its name is taken", s.now, n.name)
	}
}

func (s *simulation) find(name string) *simNode {
	for _, n := range s.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

func (s *simulation) reaches(from, to *simNode) bool {
	return to.up && !to.frozen && !s.noHTTP[[2]string{from.name, to.name}]
}

// exchange of marks, with a delay either way.
func (s *simulation) exchange(n *simNode, e rules.Exchange) {
	m, run := s.find(e.Member), n.run
	mine := wire.AppendMarks(nil, n.name, n.marks())
	s.after(n.between(time.Millisecond, 40*time.Millisecond), func() {
		var theirs []byte
		if s.reaches(n, m) {
			from, list, err := wire.ReadMarks(mine)
			if err != nil {
				s.t.Fatal(err)
			}
			theirs = wire.AppendMarks(nil, m.name, m.marks())
			s.take(m, rules.Asked{Member: from, Marks: list})
		}
		s.after(n.between(time.Millisecond, 40*time.Millisecond), func() {
			if n.run != run || !n.up {
				return
			}
			if theirs == nil {
				s.take(n, rules.Exchanged{Exchange: e, Err: rules.ErrNoAnswer})
				return
			}
			_, list, err := wire.ReadMarks(theirs)
			if err != nil {
				s.t.Fatal(err)
			}
			s.take(n, rules.Exchanged{Exchange: e, Marks: list})
		})
	})
}

// pull a state: it is read when the request arrives, and merged chunk by chunk.
func (s *simulation) pull(n *simNode, p rules.Pull) {
	m, run := s.find(p.Member), n.run
	s.pulls++
	if p.Builds {
		s.built++
	}
	s.after(n.between(time.Millisecond, 40*time.Millisecond), func() {
		var chunks [][]byte
		missing := wire.ErrDamaged
		if !s.reaches(n, m) {
			missing = rules.ErrNoAnswer
		} else if _, known := m.status(p.ID); known {
			late := m.rng.IntN(8) == 0
			w := wire.StateWriter{Source: m.store, Emit: func(chunk []byte) error {
				chunks = append(chunks, bytes.Clone(chunk))
				if late && len(chunks) == 1 {
					s.tick(m) // while it answers
				}
				return nil
			}}
			if p.ID == m.own.ID {
				w.Name, w.Builds = m.publisher.numbers.answerName, p.Builds
			}
			status := func() wire.Status {
				now, _ := m.status(p.ID)
				return now
			}
			if err := w.Write(p.ID, p.After, m.store.Now()+m.store.Skew(p.ID).Milliseconds(), status); err != nil {
				s.t.Fatal(err)
			}
		}
		cut := s.cuts && n.rng.IntN(12) == 0 && len(chunks) > 0 // the connection breaks
		if cut {
			chunks = chunks[:n.rng.IntN(len(chunks))]
		}
		outcome := rules.Outcome{Whole: true}
		in := wire.StateReader{
			After: p.After,
			Begin: func(st *wire.Status, wall int64) bool {
				s.take(n, rules.Began{Pull: p, Status: *st, Wall: wall})
				return true
			},
			Merge: func(e *wire.Entries) bool {
				more := n.merger(p.ID).merge(e, true)
				outcome.Add(more)
				return more.Whole
			},
		}
		var failed error
		var next func()
		next = func() {
			if n.run != run || !n.up {
				return
			}
			if len(chunks) == 0 {
				if !in.Done && failed == nil {
					failed = missing
				}
				s.take(n, rules.Pulled{Pull: p, Status: in.Status, Exact: in.Exact, Outcome: outcome, Err: failed})
				return
			}
			chunk := chunks[0]
			chunks = chunks[1:]
			if err := in.Take(chunk); err != nil && p.Builds {
				s.again++ // it asks again, for all that was left out
				failed, chunks = err, nil
			} else if err != nil {
				s.t.Errorf("%v: %s cannot take a chunk of %v from %s: %v", s.now, n.name, p.ID, m.name, err)
				failed, chunks = err, nil
			}
			s.after(n.between(time.Millisecond, 30*time.Millisecond), next)
		}
		s.after(n.between(time.Millisecond, 40*time.Millisecond), next)
	})
}

// failedIf is the result of a call.
func failedIf(failed bool) cell.Result {
	if failed {
		return cell.Failure
	}
	return cell.Success
}
