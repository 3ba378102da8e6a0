package attention

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"remuda/store"
	"remuda/store/cell"
)

// TestSendersThatAreLate: attention tells of senders whose calls are missing in more
// than a quarter of the window, and by how much.
func TestSendersThatAreLate(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for _, test := range []struct {
		ages   []time.Duration // of the events of a batch
		kind   store.Kind
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
		{ages: []time.Duration{50 * time.Minute}, kind: store.Circuit, window: cell.Window1m},
		{ages: []time.Duration{50 * time.Second}, kind: store.Block, window: cell.Window1m, rule: "sender_clock", amount: "50s"},
	} {
		name := fmt.Sprint(test.ages, test.window, test.kind)
		s, err := store.New(store.Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		var events []store.Event
		for _, age := range test.ages {
			sent := now.Add(-age).UnixMilli()
			events = append(events, store.Event{
				Kind: test.kind, TS: min(sent, now.UnixMilli()), SentTS: sent, Sent: store.FieldTS, Profile: "p", Chain: "c", ProviderID: "x",
				Method: "m", Strategy: "s", SourceNode: "gw", SourceRegion: "r", Weight: 1, Height: 5,
			})
		}
		s.Apply(events)
		_, alarms := New(s, new(Episodes), store.Filter{store.ProfileDim: {"p"}}, test.window).Refresh()
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

// TestCoverage: a member that attention tells of is not among those that report.
// What it said last is unknown only once it has been silent.
func TestCoverage(t *testing.T) {
	s, err := store.New(store.Options{Node: "a"})
	if err != nil {
		t.Fatal(err)
	}
	at := s.Now()
	id := store.OriginID{Node: "b", Incarnation: uint64(at)}
	n := &store.Notes{Circuits: []store.Stamped[store.CircuitReport]{{Stamp: 1, Born: 1, Value: store.CircuitReport{
		Profile: "p", Chain: "c", ProviderID: "x", Region: "r", Sender: "gw", State: store.CircuitOpen, SinceAt: at, LastSeenAt: at,
	}}}, Senders: []store.Stamped[store.Sender]{{Stamp: 1, Value: store.Sender{Profile: "p", SourceNode: "gw", Region: "r", LastSeenAt: at}}}}
	if err := s.MergeNotes(id, n); err != nil {
		t.Fatal(err)
	}
	query := store.Filter{store.ProfileDim: {"p"}}
	for _, test := range []struct {
		b         store.Member
		rule      string
		reporting int
		stale     bool
	}{
		{b: store.Member{State: "alive", Reporting: true}, reporting: 2},
		{b: store.Member{State: "alive", Stale: true}, rule: "node_stale", reporting: 1},
		{b: store.Member{State: "failed"}, rule: "node_failed", reporting: 1},
		{b: store.Member{State: "failed", Stale: true, Silent: true}, rule: "node_failed", reporting: 1, stale: true},
		{b: store.Member{State: "alive", Restarting: true}, rule: "node_restarting", reporting: 1},
	} {
		b := test.b
		b.Name, b.Known, b.Incarnation = "b", true, id.Incarnation
		s.SetMembers([]store.Member{{Name: "a", State: "alive", Known: true, Reporting: true}, b})
		meta, alarms := New(s, new(Episodes), query, cell.Window1m).Refresh()
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
