package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what came out of a run. Its JSON names are a promise.
type Report struct {
	Scenario        string  `json:"scenario"`
	Seed            uint64  `json:"seed"`
	DurationSeconds float64 `json:"duration_seconds"`
	Batch           int     `json:"batch"`
	Series          int     `json:"series_per_node"`

	IntendedRate float64 `json:"intended_events_per_second"` // 0 in a closed loop
	AchievedRate float64 `json:"achieved_events_per_second"` // accepted, from the first batch to the last answer

	AcceptP50 float64 `json:"accept_p50_ms"`
	AcceptP90 float64 `json:"accept_p90_ms"`
	AcceptP99 float64 `json:"accept_p99_ms"`
	AcceptMax float64 `json:"accept_max_ms"`

	// With wide readers: of posts without them and beside them, and what they were answered.
	Wide *WideReport `json:"wide_readers,omitempty"`

	Viewers         int      `json:"viewers"`
	ViewerP50       *float64 `json:"viewer_p50_ms"` // null without viewers
	ViewerP90       *float64 `json:"viewer_p90_ms"`
	ViewerP99       *float64 `json:"viewer_p99_ms"`
	ViewerMax       *float64 `json:"viewer_max_ms"`
	Frames          uint64   `json:"viewer_frames"`
	FrameBytes      uint64   `json:"viewer_bytes"`
	Deliveries      uint64   `json:"viewer_deliveries"` // events that were shown, times viewers
	Missed          uint64   `json:"viewer_missed"`     // events that were not shown, times viewers
	Snapshots       uint64   `json:"viewer_snapshots"`
	Reconnects      uint64   `json:"viewer_reconnects"`
	Faults          uint64   `json:"viewer_faults"` // frames that were wrong
	WrongViewers    uint64   `json:"viewers_wrong"` // viewers that were not shown, in the end, what their node had counted for each provider
	LastViewerFault string   `json:"viewer_last_fault,omitempty"`

	Sent         uint64 `json:"sent"` // lines
	Accepted     uint64 `json:"accepted"`
	Rejected     uint64 `json:"rejected"`
	RefusedWhole uint64 `json:"rejected_in_refused_bodies"`
	Duplicates   uint64 `json:"duplicates"`
	Unanswered   uint64 `json:"unanswered"`
	Unsent       uint64 `json:"unsent"`
	Surprises    uint64 `json:"unexpected_answers"`
	AccountingOK bool   `json:"accounting_ok"`
	ViewersOK    bool   `json:"viewers_ok"`

	Nodes []NodeReport `json:"nodes"`

	accept, wait histogram
	took         time.Duration
}

// WideReport is what became of wide readers, and of posts beside them.
type WideReport struct {
	Readers    int               `json:"readers"`
	WithoutP50 float64           `json:"accept_without_p50_ms"`
	WithoutP99 float64           `json:"accept_without_p99_ms"`
	BesideP50  float64           `json:"accept_beside_p50_ms"`
	BesideP99  float64           `json:"accept_beside_p99_ms"`
	Answers    map[string]uint64 `json:"answers"` // by kind and status
}

// NodeReport is one node's part of a report.
type NodeReport struct {
	Name          string   `json:"name"`
	URL           string   `json:"url"`
	Accepted      uint64   `json:"accepted"` // lines posted to it
	Counted       uint64   `json:"counted_requests"`
	Mismatches    []string `json:"mismatches"`
	CPUSeconds    float64  `json:"cpu_seconds"`
	CPUPct        float64  `json:"cpu_pct"` // of one core
	RSSBytes      float64  `json:"rss_bytes"`
	RSSFirstBytes float64  `json:"rss_first_bytes"` // at the first sample under load
	RSSMaxBytes   float64  `json:"rss_max_bytes"`
	GossipIn      float64  `json:"bytes_in"`
	GossipOut     float64  `json:"bytes_out"`
	Pulls         float64  `json:"pulls"`
	Gaps          float64  `json:"gaps"`
	Divergence    float64  `json:"divergence"`
	InlineShare   *float64 `json:"inline_share"`
}

// OK reports whether everything adds up.
func (r *Report) OK() bool { return r.AccountingOK && r.ViewersOK }

func (r *run) report(counts []map[string]sums, before, after []usage, silent []error, samples [][]usage, ended time.Time) *Report {
	p := &r.plan
	out := &Report{
		Scenario: p.Name, Seed: p.Seed, DurationSeconds: p.Duration.Seconds(), Batch: p.Batch, Series: p.Series,
		Viewers: p.Viewers, took: ended.Sub(r.began),
	}
	if !p.Closed {
		out.IntendedRate = float64(p.Rate)
	}
	certain, doubtful := r.expected()
	exact := true
	var batches []posted
	var first, last time.Time
	for i, a := range r.accounts {
		out.Sent += a.sent.Load()
		out.Accepted += a.accepted.Load()
		out.Rejected += a.rejected.Load()
		out.RefusedWhole += a.refused.Load()
		out.Duplicates += a.duplicates.Load()
		out.Unanswered += a.unanswered.Load()
		out.Unsent += a.unsent.Load()
		out.Surprises += a.surprises.Load()
		out.accept.merge(&a.accept)
		batches = append(batches, a.batches...)
		if first.IsZero() || !a.firstSent.IsZero() && a.firstSent.Before(first) {
			first = a.firstSent
		}
		if a.lastSent.After(last) {
			last = a.lastSent
		}
		n := r.nodeReport(i, before[i], after[i], samples, out.took, a, counts[i])
		n.Mismatches = differences(certain, doubtful, counts[i])
		n.Mismatches = append(n.Mismatches, differences(counts[0], nil, counts[i])...)
		switch {
		case r.nodes[i].ended():
			n.Mismatches = append([]string{"it ended while it was under load"}, n.Mismatches...)
		case silent[i] != nil:
			n.Mismatches = append([]string{silent[i].Error()}, n.Mismatches...)
		}
		exact = exact && len(n.Mismatches) == 0
		out.Nodes = append(out.Nodes, n)
	}
	if took := last.Sub(first).Seconds(); took > 0 {
		out.AchievedRate = float64(out.Accepted) / took
		if !p.Closed {
			// The last batch stands for the time until the next one too.
			out.AchievedRate = min(out.AchievedRate, float64(out.Accepted)/max(took, p.Duration.Seconds()))
		}
	}
	out.AccountingOK = exact && out.Surprises == 0 && out.Sent == out.Accepted+out.Rejected+out.Duplicates+out.Unanswered
	out.AcceptP50, out.AcceptP90, out.AcceptP99 = inMillis(out.accept.quantile(0.5)), inMillis(out.accept.quantile(0.9)), inMillis(out.accept.quantile(0.99))
	out.AcceptMax = inMillis(out.accept.max)

	if p.WideReaders > 0 {
		out.Wide = r.wideReport()
	}
	slices.SortFunc(batches, func(a, b posted) int { return a.intended.Compare(b.intended) })
	for i, v := range r.viewers {
		out.Missed += v.waits(&out.wait, batches)
		if shown := differences(v.rows, nil, counts[i%len(r.nodes)]); len(shown) > 0 {
			out.WrongViewers++
			out.LastViewerFault = "in the end its node had, beside what it was shown, " + shown[0]
		}
		out.Frames += v.count.Load()
		out.FrameBytes += v.bytes.Load()
		out.Snapshots += v.snapshots.Load()
		out.Reconnects += v.reconnects.Load()
		out.Faults += v.faults.Load()
		if fault := v.lastFault.Load(); fault != nil {
			out.LastViewerFault = *fault
		}
	}
	out.Deliveries = out.wait.n
	out.ViewersOK = out.Missed == 0 && out.Faults == 0 && out.WrongViewers == 0
	if p.Viewers > 0 {
		quantile := func(q float64) *float64 {
			v := inMillis(out.wait.quantile(q))
			return &v
		}
		out.ViewerP50, out.ViewerP90, out.ViewerP99, out.ViewerMax = quantile(0.5), quantile(0.9), quantile(0.99), quantile(1)
	}
	return out
}

func (r *run) nodeReport(i int, before, after usage, samples [][]usage, took time.Duration, a *account, counted map[string]sums) NodeReport {
	n := NodeReport{
		Name: r.nodes[i].name, URL: r.nodes[i].url.String(), Accepted: a.accepted.Load(),
		CPUSeconds: after.cpu - before.cpu, RSSBytes: after.rss, RSSFirstBytes: after.rss, RSSMaxBytes: after.rss,
		GossipIn: after.gossipIn - before.gossipIn, GossipOut: after.gossipOut - before.gossipOut,
		Pulls: after.pulls - before.pulls, Gaps: after.gaps - before.gaps, Divergence: after.divergence - before.divergence,
	}
	n.CPUPct = 100 * n.CPUSeconds / max(took.Seconds(), 1)
	if after.inline >= 0 {
		n.InlineShare = &after.inline
	}
	for k, s := range samples {
		if k == 0 {
			n.RSSFirstBytes = s[i].rss
		}
		n.RSSMaxBytes = max(n.RSSMaxBytes, s[i].rss)
	}
	for _, s := range counted {
		n.Counted += s.requests
	}
	return n
}

func (r *run) wideReport() *WideReport {
	var phases [2]histogram
	for _, a := range r.accounts {
		for i := range phases {
			phases[i].merge(&a.phases[i])
		}
	}
	at := func(phase int, q float64) float64 { return inMillis(phases[phase].quantile(q)) }
	r.wide.mu.Lock()
	defer r.wide.mu.Unlock()
	return &WideReport{
		Readers: r.plan.WideReaders, WithoutP50: at(0, 0.5), WithoutP99: at(0, 0.99), BesideP50: at(1, 0.5), BesideP99: at(1, 0.99),
		Answers: r.wide.answers,
	}
}

func inMillis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Print writes the report for eyes.
func (r *Report) Print(w io.Writer) error {
	_, err := io.WriteString(w, r.String())
	return err
}

// String is the report for eyes.
func (r *Report) String() string {
	var b strings.Builder
	name := r.Scenario
	if name == "" {
		name = "load"
	}
	fmt.Fprintf(&b, "%s: %d nodes, %d viewers, %v, batches of %d, %d series a node, seed %d\n\n",
		name, len(r.Nodes), r.Viewers, r.took.Round(100*time.Millisecond), r.Batch, r.Series, r.Seed)
	intended := "as fast as answers came"
	if r.IntendedRate > 0 {
		intended = "of " + thousands(uint64(r.IntendedRate)) + " intended"
	}
	fmt.Fprintf(&b, "events    %s/s %s\n", thousands(uint64(r.AchievedRate+0.5)), intended)
	fmt.Fprintf(&b, "accept    p50 %s  p90 %s  p99 %s  max %s ms, from the intended time\n",
		millis(r.accept.quantile(0.5)), millis(r.accept.quantile(0.9)), millis(r.accept.quantile(0.99)), millis(r.accept.max))
	if w := r.Wide; w != nil {
		fmt.Fprintf(&b, "          without the %d wide readers p50 %.1f  p99 %.1f, beside them p50 %.1f  p99 %.1f ms\n", w.Readers, w.WithoutP50, w.WithoutP99, w.BesideP50, w.BesideP99)
		for _, kind := range slices.Sorted(maps.Keys(w.Answers)) {
			fmt.Fprintf(&b, "          %s: %s\n", kind, thousands(w.Answers[kind]))
		}
	}
	if r.Viewers > 0 {
		fmt.Fprintf(&b, "viewers   p50 %s  p90 %s  p99 %s  max %s ms, from the intended time to each viewer\n",
			millis(r.wait.quantile(0.5)), millis(r.wait.quantile(0.9)), millis(r.wait.quantile(0.99)), millis(r.wait.max))
		b.WriteString(r.wait.picture())
		fmt.Fprintf(&b, "          %s deliveries in %s frames, %.1f MB; %s missed, %d wrong frames, %d snapshots, %d reconnects\n",
			thousands(r.Deliveries), thousands(r.Frames), float64(r.FrameBytes)/1e6, thousands(r.Missed), r.Faults, r.Snapshots, r.Reconnects)
		if r.LastViewerFault != "" {
			fmt.Fprintf(&b, "          the last fault: %s\n", r.LastViewerFault)
		}
	}
	fmt.Fprintf(&b, "\n%-12s %12s %8s %7s %8s %8s %9s %9s %6s %7s\n", "node", "counted", "cpu s", "cpu %", "rss MB", "max MB", "out KB/s", "in KB/s", "pulls", "inline")
	seconds := max(r.took.Seconds(), 1)
	cpu := 0.0
	for _, n := range r.Nodes {
		inline := "–"
		if n.InlineShare != nil {
			inline = fmt.Sprintf("%.1f %%", 100**n.InlineShare)
		}
		fmt.Fprintf(&b, "%-12s %12s %8.2f %7.1f %8.1f %8.1f %9.1f %9.1f %6.0f %7s\n", n.Name, thousands(n.Counted), n.CPUSeconds, n.CPUPct,
			n.RSSBytes/1e6, n.RSSMaxBytes/1e6, n.GossipOut/1e3/seconds, n.GossipIn/1e3/seconds, n.Pulls, inline)
		cpu += n.CPUSeconds
	}
	if r.Accepted > 0 {
		fmt.Fprintf(&b, "all nodes: %.1f %% of one core, %.2f s of CPU per million events\n", 100*cpu/seconds, cpu/float64(r.Accepted)*1e6)
	}
	fmt.Fprintf(&b, "\nsent %s = accepted %s + rejected %s + duplicate %s", thousands(r.Sent), thousands(r.Accepted), thousands(r.Rejected), thousands(r.Duplicates))
	if r.Unanswered > 0 {
		fmt.Fprintf(&b, " + unanswered %s", thousands(r.Unanswered))
	}
	b.WriteByte('\n')
	if r.RefusedWhole > 0 {
		fmt.Fprintf(&b, "of those rejected, %s were in bodies that a node refused as a whole\n", thousands(r.RefusedWhole))
	}
	if r.Unsent > 0 {
		fmt.Fprintf(&b, "%s were never sent: no connection, or too late\n", thousands(r.Unsent))
	}
	if r.Surprises > 0 {
		fmt.Fprintf(&b, "%d answers were not what was sent wants\n", r.Surprises)
	}
	r.printVerdict(&b)
	return b.String()
}

func (r *Report) printVerdict(b *strings.Builder) {
	for _, n := range r.Nodes {
		for i, m := range n.Mismatches {
			if i == 5 {
				fmt.Fprintf(b, "  %s: and %d more\n", n.Name, len(n.Mismatches)-i)
				break
			}
			fmt.Fprintf(b, "  %s: %s\n", n.Name, m)
		}
	}
	switch {
	case !r.AccountingOK:
		b.WriteString("MISMATCH: the accounting does not add up\n")
	case !r.ViewersOK:
		b.WriteString("MISMATCH: viewers were not shown what was counted\n")
	case r.Unanswered > 0:
		b.WriteString("consistent: every node counted all that was accepted, and nothing that was not sent\n")
	default:
		b.WriteString("exact: every node counted and every viewer was shown what was accepted, for each provider\n")
	}
}

// thousands prints a number with commas.
func thousands(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
