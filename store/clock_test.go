package store

import (
	"testing"
	"time"

	"remuda/store/cell"
)

// TestClockBelieves: the wall clock is believed when it has differed for a minute. Put
// forward, the store's clock follows; put back, it goes on, and only what is shown
// follows; and when the wall comes back to it, nothing is left of that.
func TestClockBelieves(t *testing.T) {
	base := time.UnixMilli(1_800_000_000_000)
	wall := base
	c := newClock(func() time.Time { return wall })
	differ := func(by time.Duration) { // the wall steps, and monotonic time does not
		wall = wall.Add(by)
		c.ahead.Add(-by.Milliseconds())
	}
	pass := func(d time.Duration) (step int64) {
		for end := wall.Add(d); wall.Before(end); {
			wall = wall.Add(500 * time.Millisecond)
			before := c.now()
			if step = c.check(); step != 0 {
				c.step(step)
				if now := c.now(); now < before {
					t.Errorf("the clock goes back from %d to %d", before, now)
				}
				return step
			}
		}
		return 0
	}
	shown := func() time.Duration { return time.Duration(c.shown(c.now())-wall.UnixMilli()) * time.Millisecond }

	differ(-4 * time.Second) // back, and no more than clocks may differ
	if step := pass(2 * time.Minute); step != 0 {
		t.Errorf("a step of %d ms by 4 s", step)
	}
	differ(4 * time.Second)
	for _, by := range []time.Duration{-time.Hour, -time.Minute, 61 * time.Minute, time.Hour, -time.Hour} {
		own := c.now()
		differ(by)
		if step := pass(59 * time.Second); step != 0 {
			t.Errorf("a step by %v is believed too soon", by)
		}
		if got := shown(); got != -by {
			t.Errorf("before a step by %v is believed, what is shown is %v ahead", by, got)
		}
		if step := pass(3 * time.Second); step != by.Milliseconds() {
			t.Errorf("a step by %v is one by %d ms", by, step)
		}
		if got := shown(); got != 0 {
			t.Errorf("after a step by %v, what is shown is %v ahead", by, got)
		}
		moved := time.Duration(c.now()-own)*time.Millisecond - time.Minute
		if want := by == time.Hour; (moved > 5*time.Minute) != want || moved < -time.Second {
			t.Errorf("a step by %v moves the clock by %v", by, moved)
		}
	}
	if c.steps.Load() != 5 {
		t.Errorf("%d steps", c.steps.Load())
	}
}

// TestClockPutBack: when the wall clock is put back by an hour, and forward before that,
// windows show what is in them and nothing else, on the node itself and on its members.
// Reports that come later are newer, and everything has the time that the wall has.
func TestClockPutBack(t *testing.T) {
	const second = 5 // calls in each
	for _, forward := range []bool{false, true} {
		for _, sudden := range []bool{false, true} { // the wall has no monotonic time
			now := time.UnixMilli(1_800_000_000_000)
			offset := time.Duration(0)
			wall := func() time.Time { return now.Add(offset) }
			s, err := New(Options{Node: "a", Now: wall})
			if err != nil {
				t.Fatal(err)
			}
			other := now
			a, b := &rateNode{s, t, &now}, newRateNode(t, "b", &other)
			circuit := func(to CircuitState) {
				at := s.Now()
				s.Apply([]Event{{
					Kind: Circuit, TS: at, SentTS: at, Sent: FieldTS, Profile: "p", Chain: "c", ProviderID: "x", SourceNode: "gw", SourceRegion: "r", To: to,
				}})
			}
			tell := func() {
				id := OriginID{"a", s.Incarnation()}
				s.Tick()
				b.SetClock(id, s.Clock())
				a.merge(b, id)
			}
			live := func(seconds int) {
				for range seconds {
					now, other = now.Add(time.Second), other.Add(time.Second)
					at := s.Now()
					events := make([]Event, second)
					for i := range events {
						events[i] = Event{
							TS: at, SentTS: at, Sent: FieldTS, Profile: "p", Chain: "c", ProviderID: "x", Method: "m", Strategy: "s",
							SourceNode: "gw", SourceRegion: "r", Weight: 1, UpstreamMicros: 10,
						}
					}
					s.Apply(events)
					tell()
				}
			}
			step := func(by time.Duration) {
				offset += by
				if !sudden {
					s.clock.ahead.Add(-by.Milliseconds())
					live(62) // until it is believed
				}
			}
			calls := func(n *Store, w cell.Window) uint64 {
				table := n.NewTable(Query{Filter: Filter{ProfileDim: {"p"}}, By: []Dim{ProfileDim}, Window: w})
				table.Refresh()
				if len(table.Rows()) == 0 {
					return 0
				}
				return table.Rows()[0].Calls
			}
			want := func(when string, w cell.Window, seconds, spare int) {
				t.Helper()
				for _, n := range []*Store{s, b.Store} {
					if got := calls(n, w); got > uint64(second*(seconds+spare)) || got+second*uint64(spare) < uint64(second*seconds) {
						t.Errorf("%s (forward %v, sudden %v): %s has %d calls in %v, want %d", when, forward, sudden, n.Node(), got, w, second*seconds)
					}
				}
			}
			live(100)
			if forward {
				step(time.Hour)
				live(100)
			}
			circuit(CircuitOpen)
			live(3)
			want("before", cell.Window10s, 11, 1)
			want("before", cell.Window1m, 61, 1)
			step(-time.Hour)
			tell()
			circuit(CircuitClosed)
			for range 30 {
				live(1)
				want("after", cell.Window10s, 11, 2)
				want("after", cell.Window1m, 61, 2)
			}
			query := Filter{ProfileDim: {"p"}}
			if c := s.Circuits(query); len(c) != 1 || c[0].State != CircuitClosed || c[0].LastSeenAt > s.Now() || s.Now()-c[0].LastSeenAt > 40_000 {
				t.Errorf("circuits at %d: %+v", s.Now(), c)
			}
			// What time it is agrees everywhere.
			from := s.Now()
			if behind := s.Clock() - from; behind < 3_599_000 || behind > 3_601_000 {
				t.Errorf("the wall is %d ms behind", behind)
			}
			table := s.NewTable(Query{Filter: query, By: []Dim{ProfileDim}, Window: cell.Window15m})
			table.Refresh()
			if at := table.Rows()[0].LastSeenAt; at != from || table.Meta().At != from {
				t.Errorf("last seen at %d, meta at %d, and it is %d", at, table.Meta().At, from)
			}
			if x := s.Senders(query)[0]; x.LastSeenAt != from || !x.Reporting || x.OffsetMillis != 0 {
				t.Errorf("the sender at %d: %+v", from, x)
			}
			series, length := s.Series(table.query, time.Second)
			last := series[0].Points[len(series[0].Points)-1]
			if last.At%length.Milliseconds() != 0 || last.At > from || last.At <= from-2*length.Milliseconds() {
				t.Errorf("the last step is of %d, and it is %d", last.At, from)
			}
			if d := s.Decisions(DecisionQuery{Filter: query, Limit: 1}).Rows; len(d) != 1 || d[0].TS != from {
				t.Errorf("the newest decision at %d: %+v", from, d)
			}
			meta, alarms := Watch(s)(query, cell.Window1m, nil)
			if len(alarms) != 1 || alarms[0].Rule != "node_clock" || alarms[0].SinceAt > meta.At || meta.At-alarms[0].SinceAt > 35_000 {
				t.Errorf("attention at %d: %+v", meta.At, alarms)
			}
			idle := func(seconds int) {
				for range seconds {
					now, other = now.Add(time.Second), other.Add(time.Second)
					tell()
				}
			}
			idle(12)
			want("when nothing comes", cell.Window10s, 0, 0)
			idle(50)
			want("when nothing comes", cell.Window1m, 0, 0)
			idle(3700)
			want("when nothing comes", cell.Window1h, 0, 0)
			if _, alarms := Watch(s)(query, cell.Window1m, nil); len(alarms) != 0 && alarms[0].Rule == "node_clock" {
				t.Errorf("after an hour attention has %+v", alarms)
			}
		}
	}
}
