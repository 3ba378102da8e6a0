package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"remuda/store/cell"
)

// TestSendersThatAreLate: attention tells of senders whose calls are missing in more
// than a quarter of the window, and by how much.
func TestSendersThatAreLate(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for _, test := range []struct {
		ages   []time.Duration // of the events of a batch
		kind   Kind
		window cell.Window
		rule   string
		amount string
	}{
		{ages: []time.Duration{0, 14 * time.Second}, window: cell.Window1m},
		{ages: []time.Duration{0, 16 * time.Second}, window: cell.Window1m, rule: "sender_late", amount: "16s"},
		{ages: []time.Duration{0, 16 * time.Second}, window: cell.Window5m},
		{ages: []time.Duration{0, 3 * time.Second}, window: cell.Window10s, rule: "sender_late", amount: "3s"},
		{ages: []time.Duration{16 * time.Second, 20 * time.Second}, window: cell.Window1m, rule: "sender_clock", amount: "16s"},
		{ages: []time.Duration{16 * time.Minute}, window: cell.Window1h, rule: "sender_clock", amount: "16m0s"},
		{ages: []time.Duration{14 * time.Minute}, window: cell.Window1h},
		{ages: []time.Duration{-4 * time.Second}, window: cell.Window1m},
		{ages: []time.Duration{-4 * time.Second}, window: cell.Window10s, rule: "sender_clock", amount: "4s"},
		{ages: []time.Duration{-7 * time.Second}, window: cell.Window1h, rule: "sender_clock", amount: "7s"},
		{ages: []time.Duration{50 * time.Minute}, kind: Circuit, window: cell.Window1m},
		{ages: []time.Duration{50 * time.Second}, kind: Block, window: cell.Window1m, rule: "sender_clock", amount: "50s"},
	} {
		name := fmt.Sprint(test.ages, test.window, test.kind)
		s, err := New(Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		var events []Event
		for _, age := range test.ages {
			sent := now.Add(-age).UnixMilli()
			events = append(events, Event{
				Kind: test.kind, TS: min(sent, now.UnixMilli()), SentTS: sent, Sent: FieldTS, Profile: "p", Chain: "c", ProviderID: "x",
				Method: "m", Strategy: "s", SourceNode: "gw", SourceRegion: "r", Weight: 1, Height: 5,
			})
		}
		s.Apply(events)
		_, alarms := s.NewAttention(Filter{ProfileDim: {"p"}}, test.window).Refresh()
		rule, detail := "", ""
		for _, a := range alarms {
			if a.Subject == "sender" {
				rule, detail = a.Rule, a.Detail
			}
		}
		if rule != test.rule || !strings.Contains(detail, test.amount) {
			t.Errorf("%s: %q, %q; want %q with %q", name, rule, detail, test.rule, test.amount)
		}
	}
}

// TestLatenessOfABody: it is of all of the last body, however its events come and
// are ordered.
func TestLatenessOfABody(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	n := newRateNode(t, "a", &now)
	var body Body
	part := func(senders ...string) {
		var events []Event
		for i, name := range senders {
			at := now.UnixMilli() - int64(i)*10_000
			events = append(events, Event{
				TS: at, SentTS: at, Sent: FieldTS, Profile: "p", Chain: "c", ProviderID: "x", Method: "m", Strategy: "s",
				SourceNode: name, SourceRegion: "r", Weight: 1,
			})
		}
		n.ApplyPart(events, &body)
	}
	want := func(sender string, lateness, offset int64) {
		t.Helper()
		for _, s := range n.Senders(Filter{}) {
			if s.SourceNode == sender && (s.LatenessMillis != lateness || s.OffsetMillis != offset) {
				t.Errorf("%s is %d ms late, its newest %d; want %d and %d", sender, s.LatenessMillis, s.OffsetMillis, lateness, offset)
			}
		}
	}
	part("one", "other", "one", "other", "one")
	want("one", 40_000, 0)
	want("other", 30_000, 10_000)
	part("other")
	want("one", 40_000, 0)
	want("other", 30_000, 0)
	body.Reset()
	part("none", "one")
	want("one", 10_000, 10_000)
}

// TestCoverage: a member that attention tells of is not among those that report.
// What it said last is unknown only once it has been silent.
func TestCoverage(t *testing.T) {
	s, err := New(Options{Node: "a"})
	if err != nil {
		t.Fatal(err)
	}
	at := s.Now()
	id := OriginID{"b", uint64(at)}
	n := &Notes{Circuits: []Stamped[CircuitReport]{{Stamp: 1, Born: 1, Value: CircuitReport{
		Profile: "p", Chain: "c", ProviderID: "x", Region: "r", Sender: "gw", State: CircuitOpen, SinceAt: at, LastSeenAt: at,
	}}}, Senders: []Stamped[Sender]{{Stamp: 1, Value: Sender{Profile: "p", SourceNode: "gw", Region: "r", LastSeenAt: at}}}}
	if err := s.MergeNotes(id, n); err != nil {
		t.Fatal(err)
	}
	query := Filter{ProfileDim: {"p"}}
	for _, test := range []struct {
		b         Member
		rule      string
		reporting int
		stale     bool
	}{
		{b: Member{State: "alive", Reporting: true}, reporting: 2},
		{b: Member{State: "alive", Stale: true}, rule: "node_stale", reporting: 1},
		{b: Member{State: "failed"}, rule: "node_failed", reporting: 1},
		{b: Member{State: "failed", Stale: true, Silent: true}, rule: "node_failed", reporting: 1, stale: true},
		{b: Member{State: "alive", Restarting: true}, rule: "node_restarting", reporting: 1},
	} {
		b := test.b
		b.Name, b.Known, b.Incarnation = "b", true, id.Incarnation
		s.SetMembers([]Member{{Name: "a", State: "alive", Known: true, Reporting: true}, b})
		meta, alarms := s.NewAttention(query, cell.Window1m).Refresh()
		rule := ""
		for _, a := range alarms {
			if a.Subject == "node" {
				rule = a.Rule
			}
		}
		if rule != test.rule || meta.NodesReporting != test.reporting || meta.NodesKnown != 2 {
			t.Errorf("%+v: rule %q, %d of %d report", test.b, rule, meta.NodesReporting, meta.NodesKnown)
		}
		if c := s.Circuits(query); len(c) != 1 || c[0].Stale != test.stale {
			t.Errorf("%+v: circuits %+v", test.b, c)
		}
	}
}
