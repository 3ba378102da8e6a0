package store

import (
	"fmt"
	"math"
	"testing"
	"time"

	"remuda/store/cell"
)

// A rateNode is a node on a clock that it shares with others.
type rateNode struct {
	*Store
	t   *testing.T
	now *time.Time
}

func newRateNode(t *testing.T, name string, now *time.Time) *rateNode {
	s, err := New(Options{Node: name, Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	return &rateNode{s, t, now}
}

// calls counts one call at each of some ages.
func (n *rateNode) calls(profile string, ages ...time.Duration) {
	var events []Event
	for _, age := range ages {
		at := n.now.Add(-age).UnixMilli()
		events = append(events, Event{
			TS: at, SentTS: at, Sent: FieldTS, Profile: profile, Chain: "c", ProviderID: "x", Method: "m", Strategy: "s",
			SourceNode: "gw", SourceRegion: "r", Weight: 1, UpstreamMicros: 10,
		})
	}
	n.Apply(events)
}

// backlog is the ages of what a gateway kept for a while.
func backlog(every, length time.Duration) (ages []time.Duration) {
	for age := length; age > 0; age -= every {
		ages = append(ages, age)
	}
	return ages
}

// tell has a member know all that this node does.
func (n *rateNode) tell(to *rateNode) {
	n.give(to)
	to.SetMembers([]Member{
		{Name: to.Node(), State: "alive", Known: true, Reporting: true, Incarnation: to.Incarnation()},
		{Name: n.Node(), State: "alive", Known: true, Reporting: true, Incarnation: n.Incarnation()},
	})
}

func (n *rateNode) give(to *rateNode) {
	id := OriginID{n.Node(), n.Incarnation()}
	n.Tick()
	to.SetClock(id, n.Clock())
	n.merge(to, id)
}

func (n *rateNode) merge(to *rateNode, id OriginID) {
	n.Changed(id, 0, AllTiers, func(r *RowState) bool {
		if err := to.Merge(id, r); err != nil {
			n.t.Fatal(err)
		}
		return true
	})
	if err := to.MergeNotes(id, n.ChangedNotes(id, 0)); err != nil {
		n.t.Fatal(err)
	}
}

// rate is the calls a second of a window, and of its series, which must say the same.
// A call more or less makes them differ by one.
func (n *rateNode) rate(profile string, w cell.Window) (rate, one float64) {
	q := Query{Filter: Filter{ProfileDim: {profile}}, By: []Dim{ProfileDim}, Window: w}
	table := n.NewTable(q)
	table.Refresh()
	if len(table.Rows()) == 0 {
		return 0, 1 / w.Length().Seconds()
	}
	row, covered := table.Rows()[0], table.Meta().CoveredMillis
	series, _ := n.Series(q, time.Second)
	calls, length := uint64(0), int64(0)
	for _, p := range series[0].Points {
		if p.Calls > 0 && !p.Known {
			n.t.Errorf("%v: at %d there are %d calls, and it is not known", w, p.At, p.Calls)
		}
		calls += p.Calls
		length += p.CoveredMillis
	}
	if calls != row.Calls || length != covered {
		n.t.Errorf("%v: the row has %d calls in %d ms, its series %d in %d", w, row.Calls, covered, calls, length)
	}
	return float64(row.Calls) * 1000 / float64(covered), 1000 / float64(covered)
}

// senders is the calls a second of the gateways of a profile.
func (n *rateNode) senders(profile string) (rate float64) {
	for _, s := range n.Senders(Filter{ProfileDim: {profile}}) {
		rate += s.CallsPerSecond
	}
	return rate
}

// TestRates: the calls and the seconds of a rate are of the same time, whatever gateways
// had kept for a node that has just started, on every node, and at any time afterwards.
func TestRates(t *testing.T) {
	const steady = -1 // goes on as before the start
	for _, test := range []struct {
		every, length time.Duration // what was kept
		live          float64       // calls a second after the start
		rates         func(w cell.Window, up time.Duration) (least, most float64)
	}{
		{time.Second, 3000 * time.Second, steady, between(0.9, 1.1)},
		{100 * time.Millisecond, 200 * time.Second, steady, between(9.5, 10.5)},
		{10 * time.Second, 3000 * time.Second, steady, between(0.095, 0.105)},
		{50 * time.Second, 3000 * time.Second, steady, between(0.019, 0.021)},
		{20 * time.Millisecond, 300 * time.Millisecond, 50, between(43, 66)}, // no more than the batch under way
		{0, 0, 50, between(45, 51)},
		// One stray event is one step, of at most a minute.
		{time.Second, 0, 50, between(45, 51)},
		{time.Hour, 50 * time.Minute, 50, func(w cell.Window, up time.Duration) (float64, float64) {
			if w < cell.Window1h {
				return 45, 51
			}
			return 45 * up.Seconds() / (up.Seconds() + 60), 51
		}},
		{time.Hour, 8 * time.Minute, 50, func(w cell.Window, up time.Duration) (float64, float64) {
			switch {
			case w < cell.Window15m:
				return 45, 51
			case w == cell.Window15m:
				return 45 * up.Seconds() / (up.Seconds() + 10), 51
			}
			return 45 * up.Seconds() / (up.Seconds() + 60), 51
		}},
	} {
		for _, phase := range []time.Duration{0, 17_700 * time.Millisecond, 59_990 * time.Millisecond} {
			t.Run(fmt.Sprint(test.every, test.length, test.live, phase), func(t *testing.T) {
				now := time.UnixMilli(1_800_000_000_000).Add(phase)
				node := newRateNode(t, "a", &now)
				other := newRateNode(t, "b", &now)
				node.calls("p", backlog(test.every, test.length)...)
				due, up := 0.0, time.Duration(0)
				batch := max(2, test.live/2) // calls that come together
				for _, wait := range []time.Duration{10 * time.Millisecond, 5 * time.Second, 20 * time.Second, time.Minute, 4 * time.Minute} {
					for end := up + wait; up < end; {
						step := min(500*time.Millisecond, end-up)
						now, up = now.Add(step), up+step
						live := test.live
						if live == steady {
							live = 1 / test.every.Seconds()
						}
						for due += live * step.Seconds(); due >= 1; due-- {
							node.calls("p", 0)
						}
						node.tell(other)
					}
					if test.live != steady && up < 3*time.Second {
						continue
					}
					joiner := newRateNode(t, "j", &now)
					node.tell(joiner)
					for w := range cell.NumWindows {
						least, most := test.rates(w, up)
						for _, n := range []*rateNode{node, other, joiner} {
							if rate, one := n.rate("p", w); !(rate >= least-batch*one && rate <= most+batch*one) {
								t.Errorf("up for %v, %s, %v: %.3f calls a second, want %.3f to %.3f", up, n.Node(), w, rate, least, most)
							}
						}
						a, _ := node.rate("p", w)
						if b, _ := other.rate("p", w); math.Abs(a-b) > 0.001*a {
							t.Errorf("up for %v, %v: %.4f calls a second here, %.4f there", up, w, a, b)
						}
					}
					least, most := test.rates(cell.Window1m, up)
					for _, n := range []*rateNode{node, other, joiner} {
						rate := n.senders("p")
						shown, one := n.rate("p", cell.Window1m)
						second := one * max(batch, 1.1*most) // others hear of a sender once a second
						if !(rate >= least-second && rate <= most+second) || math.Abs(rate-shown) > second {
							t.Errorf("up for %v, %s: senders make %.3f calls a second, a window shows %.3f, want %.3f to %.3f", up, n.Node(), rate, shown, least, most)
						}
					}
				}
			})
		}
	}
}

func between(least, most float64) func(cell.Window, time.Duration) (float64, float64) {
	return func(cell.Window, time.Duration) (float64, float64) { return least, most }
}

// TestRatesOfProfiles: what gateways of one profile had kept says nothing of another.
func TestRatesOfProfiles(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	n := newRateNode(t, "a", &now)
	n.calls("kept", backlog(time.Second, 50*time.Minute)...)
	for range 20 {
		now = now.Add(time.Second)
		n.calls("live", make([]time.Duration, 10)...)
	}
	for w := range cell.NumWindows {
		if rate, _ := n.rate("live", w); math.Abs(rate-10) > 1 {
			t.Errorf("%v: %.2f calls a second", w, rate)
		}
	}
	if rate, _ := n.rate("kept", cell.Window1h); math.Abs(rate-1) > 0.05 {
		t.Errorf("%.2f calls a second of what was kept", rate)
	}
}

// TestRatesAfterAStop: the time in which no node ran is not known, and what was before
// and after is. A short one is made good.
func TestRatesAfterAStop(t *testing.T) {
	for _, test := range []struct {
		away, known time.Duration
	}{{50 * time.Second, 10*time.Minute + 50*time.Second}, {15 * time.Minute, 10 * time.Minute}} {
		now := time.UnixMilli(1_800_000_000_000)
		before := newRateNode(t, "a", &now)
		live := func(n *rateNode) {
			for range 300 {
				now = now.Add(time.Second)
				n.calls("p", make([]time.Duration, 5)...)
				n.Tick()
			}
		}
		live(before)
		now = now.Add(test.away)
		after := newRateNode(t, "a", &now)
		before.give(after) // as a checkpoint does
		after.SetMembers([]Member{{Name: "a", State: "alive", Known: true, Reporting: true, Incarnation: after.Incarnation()}})
		live(after)
		q := Query{Filter: Filter{ProfileDim: {"p"}}, Window: cell.Window1h}
		if c := after.Meta([]string{"p"}, q.Window).CoveredMillis; math.Abs(float64(c-test.known.Milliseconds())) > 61_000 {
			t.Errorf("away for %v, and %d ms are known", test.away, c)
		}
		if rate, _ := after.rate("p", cell.Window1h); rate > 5.1 || rate < 4 {
			t.Errorf("away for %v: %.2f calls a second", test.away, rate)
		}
	}
}
