package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"remuda/cmd/remuda/internal/load"
)

type loadCommand struct {
	Scenario    string        `enum:"easy,medium,worst," default:"" help:"Load of the design this replaces: easy, medium or worst (3, 5 or 7 nodes; 150, 2,000 or 21,000 events/s; 5, 15 or 20 viewers)."`
	Ladder      bool          `help:"Run every load that the old design had a threshold for, 10 s each, and print its verdicts beside ours."`
	Times       int           `default:"1" help:"Rate and viewers of the scenario, times this."`
	Nodes       []string      `help:"URLs of nodes; without them nodes are started here, and ended."`
	Start       int           `help:"How many nodes to start (default: the scenario's, or 1)."`
	Rate        *int          `help:"Events a second, over all nodes."`
	Closed      bool          `help:"No rate: every connection posts as soon as it is answered, to see how much goes through."`
	Viewers     *int          `help:"Streams, over all nodes."`
	Duration    time.Duration `help:"How long (default 60s; 10s a rung of the ladder)."`
	Interval    time.Duration `default:"200ms" help:"Interval of the viewers' streams."`
	Views       int           `default:"1" help:"Different queries that the viewers of a node ask."`
	Batch       int           `help:"Events a request (default: a tenth of a node's rate, at most 1000)."`
	Connections int           `default:"2" help:"Connections that post to each node."`
	Series      int           `help:"Series of each node (default: the scenario's, or 30)."`
	Providers   int           `help:"Providers (default: a third of the series, at most 30)."`
	Regions     int           `help:"Regions of the events (default: as many as nodes)."`
	Errors      float64       `default:"3" help:"Percent of the events that are errors."`
	Failovers   float64       `default:"2" help:"Percent of the events that had a failed attempt."`
	Hedges      float64       `default:"2" help:"Percent of the events that were hedged."`
	Consensus   float64       `default:"1" help:"Percent of the events that were put to a second provider, for a consensus."`
	Repeats     float64       `default:"0" help:"Percent of the lines that are sent twice."`
	Invalid     float64       `default:"0" help:"Percent of the lines that must be refused."`
	OutageEvery time.Duration `help:"How often one provider fails altogether (default: never)."`
	OutageFor   time.Duration `default:"5s" help:"For how long it fails."`
	WideReaders int           `default:"0" help:"Readers that ask for answers of thousands of rows and streams of 100 topics, in every second phase: the report tells posts without them from posts beside them."`
	WideEvery   time.Duration `default:"10s" help:"Length of a phase."`
	Profile     string        `help:"Profile of the events (default: one of this run alone)."`
	Seed        uint64        `default:"1" help:"Seed of the events."`
	NodeFlags   []string      `name:"node-flag" sep:"none" help:"A flag for the nodes that are started, such as --node-flag=--tick=200ms."`
	JSON        bool          `name:"json" help:"Print the report as JSON."`
}

// Help is the long help of the command.
func (loadCommand) Help() string {
	return `Examples:
  remuda load --scenario worst
  remuda load --rate 5000 --viewers 100 --duration 30s --nodes http://127.0.0.1:7400

The load is open-loop: latencies count from the time at which an event should have
been sent, whether or not the nodes keep up. Viewers are real streams, and every
frame is checked. In the end every node and every viewer has to have the generator's
own sums, for each provider, to the integer: status 1 if not.`
}

// Run runs the load and prints its report.
func (c *loadCommand) Run(ctx context.Context) error {
	plan, err := c.plan()
	if err != nil {
		return err
	}
	o := load.Options{}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		o.Progress = showProgress
		defer clearProgress()
	}
	if c.Ladder {
		return c.climb(ctx, plan, o)
	}
	report, err := load.Run(ctx, plan, o)
	if err != nil {
		return err
	}
	clearProgress()
	if c.JSON {
		err = printJSON(report)
	} else {
		err = report.Print(os.Stdout)
	}
	if err == nil && !report.OK() {
		err = errReported
	}
	return err
}

// plan is the scenario with what the flags change of it.
func (c *loadCommand) plan() (load.Plan, error) {
	name := c.Scenario
	if name == "" && c.Rate == nil && !c.Closed {
		name = "easy"
	}
	p := load.Scenarios[name]
	if c.Rate != nil && *c.Rate < 1 {
		return p, usagef("--rate must be 1 or more")
	}
	if c.Ladder && (c.Scenario != "" || c.Rate != nil || c.Viewers != nil || len(c.Nodes) > 0) {
		return p, usagef("--ladder has loads of its own")
	}
	if c.Times < 1 {
		return p, usagef("--times must be 1 or more")
	}
	p.Rate *= c.Times
	p.Viewers *= c.Times
	for to, value := range map[*int]int{&p.Start: c.Start, &p.Batch: c.Batch, &p.Series: c.Series} {
		if value != 0 {
			*to = value
		}
	}
	if c.Rate != nil {
		p.Rate = *c.Rate
	}
	if c.Viewers != nil {
		p.Viewers = *c.Viewers
	}
	p.Duration = c.Duration
	if p.Duration == 0 {
		p.Duration = time.Minute
		if c.Ladder {
			p.Duration = 10 * time.Second
		}
	}
	p.URLs, p.Closed, p.Interval, p.Views = c.Nodes, c.Closed, c.Interval, c.Views
	p.Connections, p.Providers, p.Regions = c.Connections, c.Providers, c.Regions
	p.ErrorPct, p.FailoverPct, p.RepeatPct, p.InvalidPct = c.Errors, c.Failovers, c.Repeats, c.Invalid
	p.HedgePct, p.ConsensusPct = c.Hedges, c.Consensus
	p.OutageEvery, p.OutageFor = c.OutageEvery, c.OutageFor
	p.WideReaders, p.WideEvery = c.WideReaders, c.WideEvery
	p.Profile, p.Seed, p.NodeFlags = c.Profile, c.Seed, c.NodeFlags
	return p, nil
}

func (c *loadCommand) climb(ctx context.Context, plan load.Plan, o load.Options) error {
	out := io.Writer(os.Stdout)
	if c.JSON {
		out = os.Stderr
	}
	reports, err := load.Ladder(ctx, plan, o, &aboveProgress{out})
	if err != nil {
		return err
	}
	if c.JSON {
		if err := printJSON(map[string]any{"rungs": reports}); err != nil {
			return err
		}
	}
	for _, r := range reports {
		if !r.Report.OK() {
			return errReported
		}
	}
	return nil
}

func printJSON(v any) error {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// showProgress repaints the one line of the progress.
func showProgress(p load.Progress) {
	text := p.Stage
	if p.Planned > 0 {
		const width = 24
		done := int(min(p.Elapsed, p.Planned) * width / p.Planned)
		text = fmt.Sprintf("%s%s %v of %v  %d accepted, p99 %v", strings.Repeat("━", done), strings.Repeat("╌", width-done),
			p.Elapsed.Round(time.Second), p.Planned, p.Accepted, p.AcceptP99.Round(10*time.Microsecond))
		if p.Rejected > 0 {
			text += fmt.Sprintf(", %d rejected", p.Rejected)
		}
		text += fmt.Sprintf("  %d frames, %d events behind", p.Frames, p.Behind)
	}
	fmt.Fprintf(os.Stderr, "\r\x1b[K%s", text)
}

func clearProgress() {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}

// aboveProgress prints lines where the progress is.
type aboveProgress struct{ w io.Writer }

func (a *aboveProgress) Write(b []byte) (int, error) {
	clearProgress()
	return a.w.Write(b)
}
