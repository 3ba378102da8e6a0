package wire

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remuda/store"
	"remuda/store/cell"
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
			Result: cell.Cancelled, CallReason: store.ReasonHedge, HasUpstream: true, FailoverCount: 1, Weight: 10, DurationMicros: 100, UpstreamMicros: 90,
			Attempts: []store.Attempt{{ProviderID: "q", ErrorCategory: "timeout", ErrorCode: "c", Transport: store.WS, DurationMicros: 10, Result: cell.NotSent, Reason: store.ReasonConsensus}},
		}}},
	}
}

func encode(h *Head, n *store.Notes, rows ...store.RowState) []byte {
	b := h.Append(nil)
	add := func(entry []byte) bool { b = append(b, entry...); return true }
	EachLatest(n, 0, add)
	EachOther(n, 0, add)
	for i := range n.Decisions {
		b = AppendDecision(b, &n.Decisions[i])
	}
	before := ""
	for i := range rows {
		b = AppendRow(b, &rows[i], RowName{Number: uint64(i + 1), Keyed: true}, before, true, h)
		before = rows[i].Key
	}
	return b
}

var testHead = Head{
	ID: store.OriginID{Node: "iad-1", Incarnation: 1_800_000_000_000}, Sequence: 90, After: 87, Wall: 1_800_000_045_123, Behind: 3_600_000, Digest: 1<<63 + 5, Whole: true,
	Part: 1, Parts: 3,
}

func testRows() []store.RowState {
	key := "default\x00base\x00p\x00eth_call\x00fastest\x00r\x00\x00\x00"
	return []store.RowState{
		{Key: key, Born: 3, Stamp: 90, Even: true, Since: 87, Cells: []store.CellState{
			{Tier: 0, Step: 1_800_000_045, Stamp: 90, Packed: []byte{1, 2, 3}},
			{Tier: 0, Step: 1_800_000_020, Stamp: 88, Packed: []byte{4}},
			{Tier: 1, Step: 180_000_003, Stamp: 89, Summed: true},
		}},
		{Key: "other" + key, Born: 60, Stamp: 90, Since: 87, Lifetime: cell.Lifetime{1, 2, 3, 4, 5, 6, 7, 1 << 63, 9}, Cells: []store.CellState{
			{Tier: 2, Step: 30_000_001, Stamp: 62, Packed: []byte{7}}, // its newest cells were dropped
		}},
	}
}

// TestRoundTrip: what is written is read again, every field of it.
func TestRoundTrip(t *testing.T) {
	b := encode(&testHead, everything(), testRows()...)
	h, e, err := ReadDelta(b)
	if err != nil {
		t.Fatal(err)
	}
	if h != testHead {
		t.Errorf("head %+v, want %+v", h, testHead)
	}
	allowed := cmp.AllowUnexported(store.DecisionRecord{})
	want := everything()
	want.Decisions[0].Value.Key = e.Notes.Decisions[0].Value.Key
	if diff := cmp.Diff(want, &e.Notes, allowed); diff != "" {
		t.Error(diff)
	}
	for i, row := range testRows() {
		if diff := cmp.Diff(row, e.Rows[i].State); diff != "" {
			t.Error(diff)
		}
	}
	for cut := range len(b) {
		r := reader{rest: b[:cut]}
		if h := r.head(); !r.bad {
			r.entries(&h)
		}
		// A cut between entries leaves a shorter message.
		if _, _, err := ReadDelta(b[:cut]); (err == nil) != (!r.bad && len(r.rest) == 0) || r.bad && len(r.rest) > 0 {
			t.Errorf("cut at %d it is neither read nor refused", cut)
		}
	}
}

// FuzzDelta: whatever a member sends is read or refused, and what was read can be
// written again.
func FuzzDelta(f *testing.F) {
	f.Add(encode(&testHead, everything(), testRows()...))
	f.Add(encode(&testHead, new(store.Notes)))
	f.Add([]byte{Version})
	f.Fuzz(func(t *testing.T, message []byte) {
		h, e, err := ReadDelta(message)
		if err != nil {
			return
		}
		if first, err := ReadHead(message); err != nil || first != h {
			t.Errorf("the head alone is %+v (%v), with the rest %+v", first, err, h)
		}
		again, all, err := ReadDelta(encode(&h, &e.Notes))
		if err != nil || again != h || all.Notes.Len() != e.Notes.Len() {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}

// FuzzState does the same with the chunks of a pull, lists of marks and decisions.
func FuzzState(f *testing.F) {
	s := Status{ID: testHead.ID, Mark: 90, Ahead: 90, Digest: 5, Verified: true}
	begin := appendStatus(append([]byte{chunkHeader, Version}, 0x80, 0x01), &s)
	f.Add(begin, append([]byte{chunkEntries}, encode(&testHead, everything(), testRows()...)[testHead.Size():]...), appendStatus([]byte{chunkEnd}, &s))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		begun := 0
		in := StateReader{Begin: func(*Status, int64) bool { begun++; return true }, Merge: func(*Entries) bool { return begun == 1 }}
		for _, chunk := range [][]byte{a, b, c} {
			if in.Take(chunk) != nil {
				break
			}
		}
		if in.Done && begun != 1 {
			t.Errorf("it begins %d times", begun)
		}
		if member, list, err := ReadMarks(a); err == nil {
			if again, same, err := ReadMarks(AppendMarks(nil, member, list)); err != nil || again != member || !slices.Equal(same, list) {
				t.Errorf("marks are not what was written: %v", err)
			}
		}
		_, _, _ = ReadDecisions(b)
		_, _ = NewChunkReader(bytes.NewReader(c), nil).Next()
	})
}
