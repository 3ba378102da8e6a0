// Package load puts a node or a cluster under a load that is known to the event,
// and checks what comes out of it.
//
// The load is open-loop: every batch has an intended time, and latencies count from
// it whether or not the nodes keep up. Viewers are real connections that check the
// frames they are sent. The generator keeps its own sums, which in the end have to
// be those of every node and every viewer, to the integer.
package load

import (
	"errors"
	"fmt"
	"time"
)

// A Plan is one load. The zero value of an optional field takes its default.
type Plan struct {
	Name         string // of the scenario, for the report
	Start        int    // nodes to start on this machine when URLs is empty
	URLs         []string
	Rate         int  // events a second, over all nodes
	Closed       bool // no rate: each connection posts as soon as it is answered
	Viewers      int  // over all nodes
	Duration     time.Duration
	Batch        int           // events a request; default a tenth of a node's rate, at most 1,000
	Connections  int           // posting to each node; default 2
	Interval     time.Duration // of viewers; default 200 ms
	Views        int           // different queries that the viewers of a node ask; default 1
	Series       int           // of each node; default 30
	Providers    int           // default a third of the series, at most 30
	Regions      int           // default one a node
	ErrorPct     float64       // of events that are errors
	FailoverPct  float64       // of events that have one failed attempt
	HedgePct     float64       // of events that were hedged: one call won, another was cut off
	ConsensusPct float64       // of events that were put to another provider, too
	RepeatPct    float64       // lines sent a second time, besides the events
	InvalidPct   float64       // lines that have to be refused, besides the events
	OutageEvery  time.Duration // how often one provider fails; 0 never
	OutageFor    time.Duration // and for how long
	Profile      string        // default one of this run alone
	Seed         uint64
	WideReaders  int           // that ask for as much as they can, in every second phase; see wideReaders
	WideEvery    time.Duration // length of a phase; default 10 s
	NodeFlags    []string      // more flags of the nodes that are started
}

// maxDuration is how long a run may be: what nodes counted is read over the window
// of an hour.
const maxDuration = 50 * time.Minute

const (
	maxViews = 1000   // as many as nodes stream by default
	maxBatch = 20_000 // of some 400 bytes, in 8 MiB
)

// Scenarios are the loads of the design this replaces, by name.
var Scenarios = map[string]Plan{
	"easy":   {Name: "easy", Start: 3, Viewers: 5, Rate: 3 * 50, Batch: 5, Series: 30},
	"medium": {Name: "medium", Start: 5, Viewers: 15, Rate: 5 * 400, Batch: 40, Series: 60},
	"worst":  {Name: "worst", Start: 7, Viewers: 20, Rate: 7 * 3000, Batch: 100, Series: 200},
}

// nodes is how many nodes the plan has.
func (p *Plan) nodes() int {
	if len(p.URLs) > 0 {
		return len(p.URLs)
	}
	return p.Start
}

// A PlanError says why a plan cannot be.
type PlanError struct{ error }

// complete checks the plan and fills in what was left out.
func (p *Plan) complete() error {
	if len(p.URLs) == 0 && p.Start == 0 {
		p.Start = 1
	}
	switch {
	case p.Start < 0 || p.nodes() > 64:
		return errors.New("between 1 and 64 nodes")
	case p.Rate < 0 || !p.Closed && p.Rate == 0:
		return errors.New("a rate above 0, or a closed loop")
	case p.Duration < time.Second || p.Duration > maxDuration:
		return fmt.Errorf("a duration from 1s to %v", maxDuration)
	case p.Viewers < 0 || p.Views < 0 || p.Series < 0 || p.Providers < 0 || p.Regions < 0 || p.Batch < 0 || p.Connections < 0:
		return errors.New("numbers cannot be negative")
	case p.WideReaders < 0 || p.WideReaders > 0 && p.WideEvery != 0 && p.WideEvery < 2*wideRest:
		return fmt.Errorf("wide readers that come for %v or longer", 2*wideRest)
	case p.Views > maxViews:
		return fmt.Errorf("at most %d different queries", maxViews)
	case p.Batch > maxBatch:
		return fmt.Errorf("at most %d events a request", maxBatch)
	case p.OutageEvery > 0 && (p.OutageFor <= 0 || p.OutageFor > p.OutageEvery):
		return errors.New("an outage that is shorter than what it repeats in")
	}
	for _, pct := range []float64{p.ErrorPct, p.FailoverPct, p.HedgePct, p.ConsensusPct, p.RepeatPct, p.InvalidPct} {
		if pct < 0 || pct > 100 {
			return errors.New("percentages from 0 to 100")
		}
	}
	defaultTo(&p.Series, 30)
	defaultTo(&p.Providers, min(max(p.Series/3, 1), 30))
	defaultTo(&p.Regions, p.nodes())
	defaultTo(&p.Connections, 2)
	defaultTo(&p.Interval, 200*time.Millisecond)
	defaultTo(&p.Views, 1)
	defaultTo(&p.WideEvery, 10*time.Second)
	if p.Batch == 0 {
		p.Batch = min(max(p.Rate/p.nodes()/10, 1), 1000)
		if p.Closed {
			p.Batch = 1000
		}
	}
	if p.Profile == "" {
		p.Profile = fmt.Sprintf("load-%x", time.Now().UnixMilli())
	}
	return nil
}

func defaultTo[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}
