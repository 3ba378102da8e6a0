package cluster

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remuda/store"
)

// everything is a note of each kind, with every field set.
func everything() *store.Notes {
	return &store.Notes{
		Circuits: []store.Stamped[store.CircuitReport]{{Stamp: 9, Born: 4, Value: store.CircuitReport{
			Profile: "default", Chain: "base", ProviderID: "p", Region: "r", Sender: "gw@1", Transport: store.WS, State: store.CircuitOpen,
			Reason: "failure_threshold_exceeded", SinceAt: 1_800_000_000_001, LastSeenAt: 1_800_000_000_002,
		}}},
		Blocks: []store.Stamped[store.BlockReport]{{Stamp: 8, Born: 8, Value: store.BlockReport{
			Profile: "default", Chain: "base", ProviderID: "p", Region: "r", Sender: "gw@1", Source: store.HeightFromHTTP, Height: 19_123_456, LastSeenAt: 1,
		}}},
		Healths: []store.Stamped[store.HealthReport]{{Stamp: 7, Born: 1, Value: store.HealthReport{
			Profile: "default", Chain: "base", ProviderID: "p", Region: "r", Sender: "gw@1", Transport: store.WS, Status: store.Unhealthy,
			HasLatency: true, LatencyMicros: 812_000, ConsecutiveFailures: 3, ConsecutiveSuccesses: 2, Reason: "löst", LastSeenAt: 3,
		}}},
		Changes: []store.Stamped[store.CircuitChange]{{Stamp: 6, Value: store.CircuitChange{
			Profile: "default", Chain: "base", ProviderID: "p", Region: "r", Sender: "gw@1", Transport: store.WS, From: store.CircuitClosed,
			To: store.CircuitOpen, Reason: "x", At: 5, Seq: 77,
		}}},
		Senders: []store.Stamped[store.Sender]{{Stamp: 5, Value: store.Sender{
			Profile: "default", SourceNode: "gw@1", Region: "r", RejectedAt: 1, LastSeenAt: 2, Calls: 3, Rejected: 4, Fault: store.FaultOf("missing", "chain"), HasClock: true,
			LatenessMillis: -5, OffsetMillis: 6,
		}}},
		Tallies: []store.Stamped[store.Tally]{{Stamp: 4, Value: store.Tally{Profile: "default", Seen: 1, Shown: 2, Overflow: 3}}},
		Decisions: []store.Stamped[store.DecisionRecord]{{Stamp: 3, Value: store.DecisionRecord{
			Seq: 1 << 58, TS: 9, RequestID: "req", EventID: "ev", Profile: "default", SourceNode: "gw@1", Region: "r", Chain: "base", Method: "eth_call",
			Strategy: "fastest", ProviderID: "p", ErrorCategory: "timeout", ErrorCode: "-32000", Transport: store.WS, RequestOrigin: store.System,
			Failed: true, HasUpstream: true, FailoverCount: 1, Weight: 10, DurationMicros: 100, UpstreamMicros: 90,
			Attempts: []store.Attempt{{ProviderID: "q", ErrorCategory: "timeout", ErrorCode: "c", Transport: store.WS, DurationMicros: 10}},
		}}},
	}
}

func encode(h *head, n *store.Notes, rows ...store.RowState) []byte {
	b := h.append(nil)
	add := func(entry []byte) bool { b = append(b, entry...); return true }
	eachLatest(n, 0, add)
	eachOther(n, 0, add)
	for i := range n.Decisions {
		b = appendDecision(b, &n.Decisions[i])
	}
	before := ""
	for i := range rows {
		b = appendRow(b, &rows[i], rowName{uint64(i + 1), true}, before, true, h)
		before = rows[i].Key
	}
	return b
}

var testHead = head{
	id: store.OriginID{Node: "iad-1", Incarnation: 1_800_000_000_000}, sequence: 90, after: 87, wall: 1_800_000_045_123, behind: 3_600_000, digest: 1<<63 + 5, rows: true,
	part: 1, parts: 3,
}

func testRows() []store.RowState {
	key := "default\x00base\x00p\x00eth_call\x00fastest\x00r\x00\x00\x00"
	return []store.RowState{
		{Key: key, Born: 3, Stamp: 90, Even: true, Since: 87, Cells: []store.CellState{
			{Tier: 0, Step: 1_800_000_045, Stamp: 90, Packed: []byte{1, 2, 3}},
			{Tier: 0, Step: 1_800_000_020, Stamp: 88, Packed: []byte{4}},
			{Tier: 1, Step: 180_000_003, Stamp: 89, Summed: true},
		}},
		{Key: "other" + key, Born: 60, Stamp: 90, Since: 87, Lifetime: store.Lifetime{1, 2, 3, 4, 5, 6, 7, 1 << 63, 9}, Cells: []store.CellState{
			{Tier: 2, Step: 30_000_001, Stamp: 62, Packed: []byte{7}}, // its newest cells were dropped
		}},
	}
}

// TestRoundTrip: what is written is read again, every field of it.
func TestRoundTrip(t *testing.T) {
	b := encode(&testHead, everything(), testRows()...)
	r := reader{rest: b}
	h, _ := r.head()
	e := r.entries(&h)
	if !r.end() {
		t.Fatal("it cannot be read")
	}
	if h != testHead {
		t.Errorf("head %+v, want %+v", h, testHead)
	}
	allowed := cmp.AllowUnexported(store.DecisionRecord{})
	want := everything()
	want.Decisions[0].Value.Key = e.notes.Decisions[0].Value.Key
	if diff := cmp.Diff(want, &e.notes, allowed); diff != "" {
		t.Error(diff)
	}
	for i, row := range testRows() {
		if diff := cmp.Diff(row, e.rows[i].state); diff != "" {
			t.Error(diff)
		}
	}
	for cut := range len(b) {
		r := reader{rest: b[:cut]}
		h, _ := r.head()
		if !r.bad {
			r.entries(&h)
		}
		if r.bad {
			continue
		}
		again := reader{rest: b[:cut]} // a cut between entries leaves a shorter message
		h, _ = again.head()
		again.entries(&h)
		if !again.end() {
			t.Errorf("cut at %d it is neither read nor refused", cut)
		}
	}
}

// TestRowNumbers: a key goes along for some sequences, then only its number, and a
// row that comes back is another.
func TestRowNumbers(t *testing.T) {
	var n rowNumbers
	name := func(key string, born, sequence uint64, thrifty bool) rowName {
		return n.name(&store.RowState{Key: key, Born: born, Stamp: sequence}, sequence, thrifty)
	}
	first := name("k", 1, 10, false)
	if !first.keyed || !name("k", 1, 10+tellFor-1, false).keyed {
		t.Error("the key is not told long enough")
	}
	if name("k", 1, 11, true).keyed {
		t.Error("the key is told again where room is short")
	}
	if later := name("k", 1, 10+tellFor, false); later.keyed || later.number != first.number {
		t.Errorf("later it is %+v, first %+v", later, first)
	}
	if again := name("k", 20, 30, true); again.number == first.number || !again.keyed {
		t.Errorf("come back it is %+v, before %+v", again, first)
	}
	row := store.RowState{Key: "k", Born: 1, Stamp: 40}
	if known := n.answerName(&row, 40, 10); known != (rowName{first.number, false}) {
		t.Errorf("to who has what the number was told with, it is %+v", known)
	}
	if known := n.answerName(&row, 40, 9); known != (rowName{first.number, true}) {
		t.Errorf("to who has less, it is %+v", known)
	}
	for i := range maxNumbers + 10 {
		name(string(rune('a'+i%26))+string(rune(i)), uint64(i), 40, false)
	}
	if len(n.byKey) > maxNumbers {
		t.Errorf("%d numbers are kept", len(n.byKey))
	}
	if late := name("latecomer", 1, 41, true); !late.keyed {
		t.Error("a row beyond the numbers lost its key")
	}
}

// FuzzDelta: whatever a member sends, the protocol takes it or leaves it, and what
// it took can be asked for.
func FuzzDelta(f *testing.F) {
	f.Add(encode(&testHead, everything(), testRows()...))
	f.Add(encode(&testHead, new(store.Notes)))
	f.Add([]byte{wireVersion})
	f.Fuzz(func(t *testing.T, message []byte) {
		w := newWorld(t)
		w.p.receive(w.now, message)
		w.p.due(w.now + 1e9)
		w.p.members(w.now)
		w.calls()
		w.store.Tick()
	})
}

// FuzzState does the same with the frames of a pull.
func FuzzState(f *testing.F) {
	id := testHead.id
	s := status{id, 90, 90, 5, true}
	begin := appendStatus(append([]byte{frameHeader, wireVersion}, 0x80, 0x01), &s)
	f.Add(begin, append([]byte{frameEntries}, encode(&testHead, everything(), testRows()...)[testHead.size():]...), appendStatus([]byte{frameEnd}, &s))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		w := newWorld(t)
		w.p.origin(id, 0)
		in := stateReader{
			begin: func(s *status, wall int64) { w.p.pulling(w.now, task{id: id}, s, wall) },
			merge: func(e *entries) bool { return w.p.merged(task{id: id}, e) },
		}
		for _, frame := range [][]byte{a, b, c} {
			if in.take(frame) != nil {
				break
			}
		}
		w.calls()
		r := reader{rest: a}
		r.marks()
		_, _ = restore(w.store, append([]byte(checkpointMagic), b...))
		_, _ = (&frameReader{r: bytes.NewReader(c)}).next()
	})
}
