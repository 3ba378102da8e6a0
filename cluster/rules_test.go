package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"

	"remuda/cluster/internal/made"
	"remuda/cluster/rules"
	"remuda/cluster/wire"
	"remuda/store"
	"remuda/store/cell"
)

// How long the rules wait, as docs/design.md says.
const (
	gapPatience  = 300 * time.Millisecond
	maxJitter    = 50 * time.Millisecond
	firstBackOff = 100 * time.Millisecond
	askEvery     = time.Second
	silentAfter  = 60 * time.Second
	supersedes   = 10 * time.Second
	farBehind    = 45 * time.Minute
	aloneFor     = 30 * time.Second
	rivalPeriod  = 30 * time.Second
)

// A world is one node, the one under test, and others that are only a store and a
// publisher. Nothing travels but by the hand of the test.
type world struct {
	*driver
	t     testing.TB
	now   time.Duration
	asked []rules.Effect // pulls and exchanges that were begun, and not yet looked at
}

type teller struct {
	w *world
	*publisher
	name   string
	serial int
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, now: time.Second}
	w.begin(w.newStore("me", 1000))
	return w
}

// begin begins a run with a store.
func (w *world) begin(st *store.Store) {
	w.driver = newDriver(st, func(int) time.Duration { return 500 * time.Millisecond }, 1)
}

// step has an event taken. Merges are made at once.
func (w *world) step(e rules.Event) {
	for _, effect := range w.driver.step(w.now, e) {
		if m, is := effect.(rules.Merge); is {
			w.step(rules.Merged{ID: m.ID, Outcome: w.merger(m.ID).merge(m.Entries, m.Complete)})
			continue
		}
		w.asked = append(w.asked, effect)
	}
}

func (w *world) newStore(name string, incarnation uint64) *store.Store {
	s, err := store.New(store.Options{
		Node: name, Incarnation: incarnation, DedupBytes: 1 << 20,
		Now: func() time.Time { return time.UnixMilli(simBase).Add(w.now) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) node(name string, incarnation uint64) *teller {
	st := w.newStore(name, incarnation)
	return &teller{w: w, name: name, publisher: &publisher{store: st, id: store.OriginID{Node: name, Incarnation: incarnation}}}
}

// verified is the status of somebody who has all of a run up to a sequence.
func verified(id store.OriginID, mark, digest uint64) wire.Status {
	return wire.Status{ID: id, Mark: mark, Ahead: mark, Digest: digest, Verified: true}
}

func (w *world) meet(peers ...wire.Peer) {
	for i := range peers {
		peers[i].State = "alive"
	}
	w.step(rules.Members{List: peers})
}

// see has serf say what has become of members.
func (w *world) see(peers ...wire.Peer) { w.step(rules.Members{List: peers}) }

// exchanged has a member's marks come.
func (w *world) exchanged(member string, err error, marks ...wire.Status) {
	w.step(rules.Exchanged{Exchange: rules.Exchange{Member: member}, Marks: marks, Err: err})
}

// due returns what is to be asked now.
func (w *world) due() (pulls []rules.Pull, exchanges []rules.Exchange) {
	w.step(rules.Due{})
	for _, effect := range w.asked {
		switch ask := effect.(type) {
		case rules.Pull:
			pulls = append(pulls, ask)
		case rules.Exchange:
			exchanges = append(exchanges, ask)
		}
	}
	w.asked = nil
	return pulls, exchanges
}

// tick counts calls, closes a sequence and returns its events.
func (n *teller) tick(calls int, b budget) [][]byte {
	n.w.now += 500 * time.Millisecond
	events := make([]store.Event, calls)
	at := n.store.Now()
	for i := range events {
		n.serial++
		events[i] = made.Call(at, fmt.Sprint("p", n.serial%50), 1000)
	}
	n.store.Apply(events)
	n.store.Tick()
	return n.publish(b, false)
}

var (
	wide   = budget{payload: 1300, parts: 4}
	narrow = budget{payload: 60, parts: 1} // nothing but heads
)

func (w *world) receive(events [][]byte) {
	for _, e := range events {
		w.step(rules.Heard{Message: e})
	}
}

// mark is up to what all of a node's run is here.
func (w *world) mark(n *teller) uint64 {
	s, _ := w.rules.Status(n.id)
	return s.Mark
}

// serve answers a pull from a node's own store.
func (w *world) serve(n *teller, p rules.Pull) {
	w.t.Helper()
	if p.ID != n.id {
		w.t.Fatalf("%+v is not a pull of %v", p, n.id)
	}
	in, outcome := w.reader(p)
	out := wire.StateWriter{Source: n.store, Name: n.numbers.answerName, Builds: p.Builds, Emit: func(chunk []byte) error { return in.Take(bytes.Clone(chunk)) }}
	sequence := n.store.Sequence()
	own := verified(n.id, sequence, n.store.Digest(n.id))
	if err := out.Write(n.id, p.After, n.store.Clock(), func() wire.Status { return own }); err != nil {
		w.t.Fatal(err)
	}
	w.step(rules.Pulled{Pull: p, Status: in.Status, Exact: in.Exact, Outcome: *outcome})
}

// reader takes the answer to a pull.
func (w *world) reader(p rules.Pull) (*wire.StateReader, *rules.Outcome) {
	outcome := &rules.Outcome{Whole: true}
	return &wire.StateReader{
		After: p.After,
		Begin: func(s *wire.Status, wall int64) bool {
			w.step(rules.Began{Pull: p, Status: *s, Wall: wall})
			return true
		},
		Merge: func(e *wire.Entries) bool {
			more := w.merger(p.ID).merge(e, true)
			outcome.Add(more)
			return more.Whole
		},
	}, outcome
}

func (w *world) pulls() []rules.Pull {
	pulls, _ := w.due()
	return pulls
}

func (w *world) calls() (sum uint64) {
	table := w.store.NewTable(store.Query{By: []store.Dim{store.ChainDim}, Window: cell.Window5m})
	table.Refresh()
	for _, r := range table.Rows() {
		sum += r.Calls
	}
	return sum
}

func (w *world) want(what string, got, want any) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func (w *world) member(name string) store.Member {
	i := slices.IndexFunc(w.rules.Members(w.now, w.store), func(m store.Member) bool { return m.Name == name })
	if i < 0 {
		w.t.Fatalf("%s is not listed", name)
	}
	return w.rules.Members(w.now, w.store)[i]
}

// A head of an older incarnation moves no mark; what comes with it and needs nothing
// else is merged.
func TestR1(t *testing.T) {
	w := newWorld(t)
	old, fresh := w.node("a", 1), w.node("a", 2)
	w.receive(old.tick(10, wide))
	w.receive(fresh.tick(3, wide))
	mark := w.mark(old)
	at := old.store.Now()
	old.store.Apply([]store.Event{{
		Kind: store.Block, Sent: store.FieldTS, TS: at, SentTS: at, Profile: "default", Chain: "base", ProviderID: "p", SourceNode: "gw", SourceRegion: "r", Height: 7,
	}})
	w.receive(old.tick(10, wide))
	w.want("mark of the older run", w.mark(old), mark)
	w.want("heights", len(w.store.Blocks(store.Filter{})), 1)
	w.want("current run", w.member("a").Incarnation, uint64(2))
}

// A run whose number is lower because a clock went back is heard once the newer one
// has been silent.
func TestR1AfterAClockWentBack(t *testing.T) {
	w := newWorld(t)
	ended, running := w.node("a", 900), w.node("a", 5)
	w.receive(ended.tick(1, wide))
	w.receive(running.tick(1, wide))
	w.want("mark at first", w.mark(running), uint64(0))
	w.now += supersedes
	w.receive(running.tick(1, wide))
	w.want("mark after the silence", w.mark(running), uint64(2))
	w.want("calls", w.calls(), uint64(3))
}

// A newer incarnation starts empty, and the older one's counts stay. restarting
// lasts until the first head of the new one.
func TestR2(t *testing.T) {
	w := newWorld(t)
	old, fresh := w.node("a", 1), w.node("a", 2)
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	w.receive(old.tick(10, wide))
	w.want("restarting while the first run goes on", w.member("a").Restarting, false)
	w.meet(wire.Peer{Name: "a", Incarnation: 2})
	w.want("restarting once the tag says so", w.member("a").Restarting, true)
	w.want("calls meanwhile", w.calls(), uint64(10))
	w.receive(fresh.tick(3, wide))
	w.want("restarting after the first head", w.member("a").Restarting, false)
	w.want("calls of both", w.calls(), uint64(13))
}

// A sequence that is not newer brings nothing, but is a sign of life.
func TestR3(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	events := a.tick(10, wide)
	w.receive(events)
	digest, revision := w.store.Digest(a.id), w.store.Revision()
	w.now += 900 * time.Millisecond
	w.receive(events)
	w.want("digest", w.store.Digest(a.id), digest)
	w.want("revision", w.store.Revision(), revision)
	w.now += 1400 * time.Millisecond
	w.want("stale, 1.4 s after the second time", w.member("a").Stale, false)
}

// What is next in sequence is merged and moves the mark, without a pull; so does
// what reaches back over an event that was lost.
func TestR4(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	for i := range 5 {
		events := a.tick(4, wide)
		if i != 2 {
			w.receive(events)
			w.want("mark", w.mark(a), uint64(i+1))
		}
	}
	w.want("calls", w.calls(), uint64(20))
	w.want("digest", w.store.Digest(a.id), a.store.Digest(a.id))
	w.now += time.Minute
	w.want("pulls", len(w.pulls()), 0)
}

// A lost event costs nothing, also when a row began in it: the next one reaches back.
func TestR4NewRow(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	for range 2 * tellFor {
		w.receive(a.tick(1, wide))
	}
	a.serial += 20 // another provider
	a.tick(1, wide)
	a.serial--
	w.receive(a.tick(1, wide))
	w.want("mark", w.mark(a), a.store.Sequence())
	w.want("calls", w.calls(), a.store.Sequence())
	w.want("digest", w.store.Digest(a.id), a.store.Digest(a.id))
	w.now += time.Minute
	w.want("pulls", len(w.pulls()), 0)
}

// A gap keeps the mark and is pulled once, after the event had time to come; a head
// that announces what it does not carry is pulled at once. At most four pulls run.
func TestR5(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	w.receive(a.tick(4, wide))
	for range reach {
		a.tick(4, wide)
	}
	w.receive(a.tick(4, wide))
	w.want("mark after a gap", w.mark(a), uint64(1))
	w.want("pulls at once", len(w.pulls()), 0)
	w.now += gapPatience + maxJitter + 500*time.Millisecond
	pulls := w.pulls()
	w.want("pulls after a while", len(pulls), 1)
	w.want("pulls while one runs", len(w.pulls()), 0)
	w.want("pulled from", pulls[0].After, uint64(1))
	w.step(rules.Pulled{Pull: pulls[0], Err: rules.ErrNoMember})
	w.want("pulls just after a failure", len(w.pulls()), 0)
	w.now += firstBackOff + maxJitter
	again := w.pulls()
	w.want("pulls after the back-off", len(again), 1)
	w.serve(a, again[0])
	w.want("mark after the pull", w.mark(a), uint64(5))
	w.want("calls", w.calls(), uint64(20))
	w.want("digest", w.store.Digest(a.id), a.store.Digest(a.id))

	w.receive(a.tick(4, narrow))
	w.want("pulls after a head that announces", len(w.pulls()), 1)

	// Rows that came by others have no number here. The origin is asked at once, and
	// leaves nothing out.
	other := newWorld(t)
	b := other.node("b", 1)
	other.meet(wire.Peer{Name: "b", Incarnation: 1})
	const told = 4 * reach // long enough for the origin to take the key for known
	for range told {
		other.receive(b.tick(4, wide))
	}
	other.want("pulls before", len(other.pulls()), 0)
	other.mergers[b.id] = nil
	other.receive(b.tick(4, wide))
	plain := other.pulls()
	other.want("pulls of rows without a number", len(plain), 1)
	other.want("something may be left out", plain[0].Builds, false)
	other.serve(b, plain[0])
	other.want("calls with those rows", other.calls(), uint64(4*(told+1)))

	crowd := newWorld(t)
	var peers []wire.Peer
	for i := range 10 {
		n := crowd.node(fmt.Sprint("n", i), 1)
		peers = append(peers, wire.Peer{Name: n.name, Incarnation: 1})
		crowd.meet(peers...)
		crowd.receive(n.tick(4, narrow))
	}
	crowd.want("pulls at a time", len(crowd.pulls()), rules.MaxPulls)
}

// While an origin does not answer, what it counted is pulled from those that do. It is
// asked for its marks every second, and its answer ends that.
func TestR5Deaf(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1}, wire.Peer{Name: "b", Incarnation: 1}, wire.Peer{Name: "c", Incarnation: 1})
	asked := false
	tasks := func() []rules.Pull {
		pulls, exchanges := w.due()
		for _, e := range exchanges {
			if e.Member == "a" {
				asked = true
			} else {
				w.exchanged(e.Member, nil)
			}
		}
		return pulls
	}
	next := func(what, from string) rules.Pull {
		t.Helper()
		w.receive(a.tick(4, narrow))
		pulls := tasks()
		w.want("pulls "+what, len(pulls), 1)
		if (pulls[0].Member == "a") != (from == "a") {
			t.Errorf("%s is pulled from %s", what, pulls[0].Member)
		}
		return pulls[0]
	}
	first := next("of the first head", "a")
	w.exchanged("a", nil)
	w.step(rules.Pulled{Pull: first, Err: rules.ErrNoAnswer})
	w.now += 2 * firstBackOff
	second := tasks()
	w.want("pulls after no answer", len(second), 1)
	w.serve(a, second[0])
	for range 10 {
		w.serve(a, next("after no answer", "others"))
		w.now += askEvery
		asked = false
		w.want("pulls of nothing new", len(tasks()), 0)
		w.want("asked for its marks", asked, true)
		w.exchanged("a", rules.ErrNoAnswer)
	}
	w.serve(a, next("after no answer", "others"))
	w.exchanged("a", nil)
	w.serve(a, next("after an answer", "a"))
}

// A pull that brings nothing new makes no mark seem fresh: the member stays stale, and
// once it is far behind all is pulled.
func TestR7AfterVainPulls(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1}, wire.Peer{Name: "b", Incarnation: 1})
	w.receive(a.tick(1, wide))
	mark := w.mark(a)
	pulls, whole, notStale := 0, 0, 0
	for range int((farBehind + time.Minute) / (500 * time.Millisecond)) {
		w.receive(a.tick(1, narrow))
		asked, exchanges := w.due()
		for _, p := range asked {
			if p.Member == "a" {
				w.step(rules.Pulled{Pull: p, Err: rules.ErrNoAnswer})
				continue
			}
			pulls++
			if p.After == 0 {
				whole++
			}
			w.step(rules.Pulled{Pull: p, Status: verified(a.id, mark, 0), Exact: true})
		}
		for _, e := range exchanges {
			if e.Member == "a" {
				w.exchanged("a", rules.ErrNoAnswer)
			} else {
				w.exchanged(e.Member, nil)
			}
		}
		if !w.member("a").Stale {
			notStale++
		}
	}
	if notStale > 10 {
		t.Errorf("it is not stale after %d ticks", notStale)
	}
	if most := int(farBehind / time.Second); pulls > most || whole == 0 || whole > 60 {
		t.Errorf("%d pulls in vain, %d of all in the last minute; want at most %d with the back-off, and 60", pulls, whole, most)
	}
}

// Marks are exchanged: with each member once, with a random one every five seconds,
// every second with one that is silent. What is behind is pulled; another digest of
// the same sequence is counted, and all is pulled.
func TestR6(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	exchanges := func() int {
		_, list := w.due()
		for _, e := range list {
			w.exchanged(e.Member, rules.ErrNoMember)
		}
		return len(list)
	}
	w.want("exchanges with a new member", exchanges(), 1)
	w.now += 400 * time.Millisecond
	w.want("exchanges within a second", exchanges(), 0)
	w.now += askEvery
	w.want("exchanges with a silent member after a second", exchanges(), 1)

	a.tick(10, wide)
	w.exchanged("a", nil, verified(a.id, 1, a.store.Digest(a.id)))
	pulls := w.pulls()
	w.want("pulls of what a member has more", len(pulls), 1)
	w.serve(a, pulls[0])
	w.want("calls", w.calls(), uint64(10))

	w.store.Calibrate(a.id, 42) // as if something had been merged wrongly
	w.receive(a.tick(1, wide))
	w.want("divergences", w.member("a").DivergenceTotal, uint64(1))
	pulls = w.pulls()
	w.want("pulls after a divergence", len(pulls), 1)
	w.want("of everything", pulls[0].After, uint64(0))
	w.serve(a, pulls[0])
	w.want("digest", w.store.Digest(a.id), a.store.Digest(a.id))
	w.receive(a.tick(1, wide))
	w.want("divergences afterwards", w.member("a").DivergenceTotal, uint64(1))
}

// Many members that do not answer leave room to ask those that do.
func TestR6ManyDeaf(t *testing.T) {
	w := newWorld(t)
	var list []wire.Peer
	for i := range 40 {
		list = append(list, wire.Peer{Name: fmt.Sprintf("n%02d", i), Incarnation: 1})
	}
	w.meet(list...)
	deaf := func(name string) bool { return name < "n30" }
	type exchange struct {
		member string
		end    time.Duration
	}
	var running []exchange
	asked, sequence := make(map[string]int), uint64(0)
	const length = 5 * time.Minute
	for began := w.now; w.now < began+length; w.now += lookEvery {
		running = slices.DeleteFunc(running, func(e exchange) bool {
			if w.now < e.end {
				return false
			}
			var err error
			if deaf(e.member) {
				err = rules.ErrNoAnswer
			}
			w.exchanged(e.member, err)
			return true
		})
		for _, p := range list { // gossip goes on
			sequence++
			h := wire.Head{ID: store.OriginID{Node: p.Name, Incarnation: 1}, Sequence: sequence, Whole: true, Parts: 1, Wall: w.store.Clock()}
			w.receive([][]byte{h.Append(nil)})
		}
		pulls, exchanges := w.due()
		w.want("pulls", len(pulls), 0)
		for _, e := range exchanges {
			asked[e.Member]++
			took := lookEvery
			if deaf(e.Member) {
				took = dialTimeout
			}
			running = append(running, exchange{e.Member, w.now + took})
		}
	}
	answered := 0
	for _, p := range list {
		if asked[p.Name] == 0 {
			t.Errorf("%s was not asked", p.Name)
		}
		if !deaf(p.Name) {
			answered += asked[p.Name]
		}
	}
	if least := 10 + int(length/(5*time.Second))/8; answered < least { // when they appear, and a quarter of the random ones
		t.Errorf("those that answer were asked %d times, want %d", answered, least)
	}
}

// A run that is not known yet, or not for long, is pulled whole.
func TestR7(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	for range 9 {
		a.tick(4, wide)
	}
	w.receive(a.tick(4, wide))
	w.now += time.Second
	pulls := w.pulls()
	w.want("pulls", len(pulls), 1)
	w.want("after", pulls[0].After, uint64(0))
	w.serve(a, pulls[0])
	w.want("calls", w.calls(), uint64(40))

	w.now += farBehind + time.Minute
	for range reach + 1 {
		a.tick(4, wide)
	}
	w.receive(a.tick(4, wide))
	w.now += time.Second
	pulls = w.pulls()
	w.want("pulls after a long silence", len(pulls), 1)
	w.want("after", pulls[0].After, uint64(0))
	w.serve(a, pulls[0])
	w.want("divergences", w.member("a").DivergenceTotal, uint64(0))
}

// Staleness is judged by what came and when: silent for three ticks is stale and
// not reporting, as is one that serf says has failed; after a minute it is silent. Counts stay, and a run that is over is forgotten when none
// are left.
func TestR8(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	state := func() string {
		m := w.member("a")
		return fmt.Sprintf("stale %v reporting %v silent %v known %v", m.Stale, m.Reporting, m.Silent, m.Known)
	}
	w.receive(a.tick(10, wide))
	w.want("at once", state(), "stale false reporting true silent false known true")
	w.see(wire.Peer{Name: "a", Incarnation: 1, State: "failed"})
	w.want("failed, as serf says", state(), "stale false reporting false silent false known true")
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	w.now += 1600 * time.Millisecond
	w.want("after three ticks", state(), "stale true reporting false silent false known true")
	w.receive(a.tick(1, narrow)) // a head, and what it announces does not come
	w.want("after a head", state(), "stale true reporting false silent false known true")
	w.now += silentAfter + time.Second
	w.see(wire.Peer{Name: "a", Incarnation: 1, State: "failed"})
	w.want("after a minute", state(), "stale true reporting false silent true known true")
	w.want("calls", w.calls(), uint64(10))
	b := w.node("b", 1)
	w.see(wire.Peer{Name: "a", Incarnation: 1, State: "failed"}, wire.Peer{Name: "b", Incarnation: 1, State: "alive"})
	w.receive(b.tick(0, wide))
	w.see(wire.Peer{Name: "a", Incarnation: 1, State: "failed"}, wire.Peer{Name: "b", Incarnation: 1, State: "failed"})
	w.now += 2 * time.Minute
	w.step(rules.Ticked{})
	w.want("one that failed before it counted anything is known", w.member("b").Known, true)
	w.now += 2 * time.Hour
	w.store.Tick()
	w.step(rules.Ticked{})
	w.want("origins known after two hours", len(w.rules.Statuses()), 0)
	w.want("coverage", w.member("a").Known, false)
}

// What a member tells of a run before serf knows its node is not forgotten under it.
func TestR8BeforeSerf(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "b", Incarnation: 1})
	w.exchanged("b", nil, verified(store.OriginID{Node: "b", Incarnation: 1}, 1, 0), verified(a.id, 1, 0))
	w.step(rules.Ticked{})
	w.meet(wire.Peer{Name: "a", Incarnation: 1}, wire.Peer{Name: "b", Incarnation: 1})
	w.receive(a.tick(10, wide))
	m := w.member("a")
	w.want("stale", m.Stale, false)
	w.want("restarting", m.Restarting, false)
	w.want("sequence", m.Sequence, uint64(1))
}

// Of a run that others only spoke of nothing is told: its clock is not known here.
func TestR6SpokenOf(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1}, wire.Peer{Name: "b", Incarnation: 1})
	w.exchanged("b", nil, verified(store.OriginID{Node: "b", Incarnation: 1}, 1, 0), verified(a.id, 1, 0))
	_, told := w.rules.Status(a.id)
	w.want("told before", told, false)
	w.want("marks before", len(w.rules.Statuses()), 0)
	w.receive(a.tick(10, wide))
	s, told := w.rules.Status(a.id)
	w.want("told after", told, true)
	w.want("mark after", s.Mark, uint64(1))
	w.want("marks after", len(w.rules.Statuses()), 1)
}

// A run is younger than all that the members have seen of its name, whatever the
// clock says.
func TestR9(t *testing.T) {
	future := uint64(time.Now().Add(48 * time.Hour).UnixMilli())
	a := newTestNode(t, testOptions{name: "a"})
	b := newTestNode(t, testOptions{name: "b", join: a.Address(), incarnation: future})
	b.count(10, 1)
	eventually(t, 10*time.Second, "b is heard", func() bool { return a.calls() == 10 })
	address := b.Address()
	b.kill()
	again := newTestNode(t, testOptions{name: "b", join: a.Address()})
	if again.Incarnation() <= future {
		t.Errorf("after a run of %d comes one of %d", future, again.Incarnation())
	}
	if again.Address() == address {
		t.Errorf("the address is the same: %s", address)
	}
	eventually(t, 20*time.Second, "it has what it counted before", func() bool { return again.calls() == 10 })
}

// What notes the number of a run does so before any member hears of it, and keeps
// the run from beginning when it cannot.
func TestR9Begin(t *testing.T) {
	a := newTestNode(t, testOptions{name: "a"})
	seen := func() (string, bool) {
		for _, m := range a.serf.Members() {
			if m.Name == "b" {
				return m.Tags[wire.IncarnationTag], true
			}
		}
		return "", false
	}
	full := errors.New("disk full")
	noted := uint64(0)
	b, err := Join(t.Context(), Options{
		Node: "b", Gossip: "127.0.0.1:0", HTTPAddr: "127.0.0.1:1", Join: []string{a.Address()}, Incarnation: 1_800_000_000_000,
		Logger: slog.New(slog.DiscardHandler), Begin: func(incarnation uint64) error {
			noted = incarnation
			eventually(t, 10*time.Second, "a sees b", func() bool { _, there := seen(); return there })
			return full
		},
	})
	if b != nil || !errors.Is(err, full) {
		t.Errorf("joined: %v, error %v, want that of Begin", b, err)
	}
	if noted < 1_800_000_000_000 {
		t.Errorf("the number noted is %d", noted)
	}
	if told, _ := seen(); told != "" {
		t.Errorf("a has been told the number %s", told)
	}
}

// The mailbox always has room, for the latest of each origin.
func TestR11(t *testing.T) {
	m := newMailbox()
	events, done := make(chan serf.Event), make(chan struct{})
	ended := make(chan struct{})
	go func() { m.run(events, done); close(ended) }()
	for i := range 3 * mailPerOrigin {
		for _, node := range []string{"a", "b"} {
			h := wire.Head{ID: store.OriginID{Node: node, Incarnation: 1}, Sequence: uint64(i + 1), Parts: 1}
			events <- serf.UserEvent{Name: eventName, Payload: h.Append(nil)} // nobody empties the mailbox
		}
	}
	close(done)
	<-ended
	all, _, _ := m.take()
	for id, list := range all {
		if len(list) != mailPerOrigin {
			t.Errorf("%v: %d messages are kept, want %d", id, len(list), mailPerOrigin)
		}
		if h, _ := wire.ReadHead(list[len(list)-1]); h.Sequence != 3*mailPerOrigin {
			t.Errorf("%v: the last kept is %d, want the newest", id, h.Sequence)
		}
	}
}

// When events queue up, only heads are sent, and then nothing.
func TestR12(t *testing.T) {
	for waiting, want := range map[int][2]bool{0: {}, 64: {}, 65: {true, false}, 256: {true, false}, 257: {true, true}} {
		headOnly, skip := backPressure(waiting)
		if got := [2]bool{headOnly, skip}; got != want {
			t.Errorf("%d waiting: head only, skip = %v, want %v", waiting, got, want)
		}
	}
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	a.tick(10, wide)
	events := a.publish(wide, true)
	w.receive(events)
	w.want("events", len(events), 1)
	w.want("calls", w.calls(), uint64(0))
	w.want("pulls", len(w.pulls()), 1)
}

// What cannot be read is counted and does no harm: another version, damage, too
// many runs.
func TestR13(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	event := a.tick(10, wide)[0]
	later := bytes.Clone(event)
	later[0] = wire.Version + 1
	w.receive([][]byte{later})
	w.receive([][]byte{event[:len(event)-3]})
	w.receive([][]byte{nil})
	w.want("ignored", w.rules.Counts().Ignored, uint64(3))
	w.want("calls", w.calls(), uint64(0))
	for i := range wire.MaxOrigins + 5 {
		h := wire.Head{ID: store.OriginID{Node: fmt.Sprint("x", i), Incarnation: 1}, Sequence: 1, Parts: 1, Wall: w.store.Now()}
		w.receive([][]byte{h.Append(nil)})
	}
	w.want("ignored, of too many runs", w.rules.Counts().Ignored, uint64(3+5))
}

// What there is no room for is missing: the member shows as stale, and nothing is
// taken for a divergence.
func TestR8NoRoom(t *testing.T) {
	w := newWorld(t)
	st, err := store.New(store.Options{Node: "me", Incarnation: 1000, MaxSeries: 20, DedupBytes: 1 << 20, Now: func() time.Time { return time.UnixMilli(simBase).Add(w.now) }})
	if err != nil {
		t.Fatal(err)
	}
	w.begin(st)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	w.receive(a.tick(10, wide))
	w.want("stale with room", w.member("a").Stale, false)
	w.receive(a.tick(100, wide))
	w.want("stale without", w.member("a").Stale, true)
	w.want("divergences", w.member("a").DivergenceTotal, uint64(0))
}

// Serf's word of a member wakes the goroutine of the rules, and says so.
func TestMailboxTellsOfMembers(t *testing.T) {
	m := newMailbox()
	events := make(chan serf.Event, 1)
	events <- serf.MemberEvent{Type: serf.EventMemberJoin}
	close(events)
	m.run(events, nil)
	select {
	case <-m.ready:
	default:
		t.Error("nobody is woken")
	}
	for _, want := range []bool{true, false} {
		if _, _, members := m.take(); members != want {
			t.Errorf("members have changed: %v", members)
		}
	}
}
