package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"remuda/store/cell"
)

// Severity is how much an alarm matters.
type Severity uint8

// The severities, the worst first.
const (
	Critical Severity = iota
	Warning
	Notice
)

func (s Severity) String() string { return [...]string{"critical", "warning", "notice"}[s] }

// An Alarm is one thing that is wrong: what, since when, and the rule that says so.
type Alarm struct {
	Key      string // the subject and what names it: provider/base/ankr_1
	Severity Severity
	Rule     string
	Subject  string // provider, chain, node, sender, profile
	Profile  string
	Chain    string
	Provider string
	Sender   string
	Node     string
	Detail   string
	SinceAt  int64  // ms since the epoch
	Calls    uint64 // in the window, of the subject; only of providers and chains
	HasCalls bool
	Rank     int // of the rule, 0 is the worst
	status   Status
	byCalls  bool // of calls that are beyond what status allows: when it began can be told from what is kept
}

// The rules in the order of their weight. Those of providers are their statuses.
var alarmRules = map[string]struct {
	rank     int
	severity Severity
}{
	"chain_down": {0, Critical}, "circuit_open": {1, Critical}, "chain_stalled": {1, Critical}, "node_failed": {2, Critical}, "failing": {3, Critical},
	"rate_limited": {4, Warning}, "degraded": {5, Warning}, "recovering": {6, Warning}, "lagging": {7, Warning},
	"heights_disagree": {7, Warning}, "unknown": {7, Warning},
	"node_stale": {8, Warning}, "sender_silent": {9, Warning}, "sender_clock": {10, Warning}, "sender_late": {10, Warning},
	"events_refused": {10, Warning},
	"overflow":       {11, Warning}, "node_alone": {12, Warning}, "node_clock": {12, Warning}, "checkpoint_failing": {12, Warning}, "node_restarting": {13, Notice},
}

// Attention is what is wrong under a query's filter and window. It keeps a table
// between refreshes, and belongs to one goroutine at a time.
type Attention struct {
	store  *Store
	query  Query
	table  *Table
	judged Judged
}

// Judged is what an attention was judged by: of how many providers anything is known
// that tells their status, and of how many nothing is. Without any of the former,
// nothing wrong means nothing.
type Judged struct{ Providers, Unknown int }

// Judged is of the last refresh.
func (a *Attention) Judged() Judged { return a.judged }

// NewAttention returns an attention that has not been refreshed yet.
func (s *Store) NewAttention(f Filter, w cell.Window) *Attention {
	q := Query{Filter: f, By: []Dim{ChainDim, ProviderDim}, Window: w, Providers: true}
	return &Attention{store: s, query: q, table: s.NewTable(q)}
}

// Within sets what is called between pieces of the work, and what is asked whether it may
// take so many bytes, see [Query]. Once that refuses, nothing is wrong any more.
func (a *Attention) Within(pause func(), grow func(bytes int64) bool) {
	a.query.Pause, a.query.Grow = pause, grow
	a.table.query.Pause, a.table.query.Grow = pause, grow
}

// Refresh returns what is wrong now, worst first.
func (a *Attention) Refresh() (Meta, []Alarm) {
	a.table.Refresh()
	meta := a.table.Meta()
	if a.table.Stopped() {
		return meta, nil
	}
	var list []Alarm
	list = a.providers(list)
	list = a.senders(list, meta.At)
	list = a.nodes(list, meta.At)
	list = a.checkpointAlarm(list)
	list = a.clocks(list)
	list = a.heads(list)
	if meta.OverflowCalls > 0 {
		list = append(list, Alarm{Key: "profile/overflow", Rule: "overflow", Subject: "profile", Detail: fmt.Sprintf(
			"%d calls came when no series was free: they count without their method, or in totals only", meta.OverflowCalls)})
	}
	rate := func(list []Alarm) {
		for i := range list {
			rule := alarmRules[list[i].Rule]
			list[i].Rank, list[i].Severity = rule.rank, rule.severity
		}
	}
	rate(list)
	a.date(list, a.store.Clock())
	known := len(list)
	list = a.chains(list)
	rate(list[known:])
	slices.SortFunc(list, func(x, y Alarm) int {
		return cmp.Or(cmp.Compare(x.Severity, y.Severity), cmp.Compare(x.Rank, y.Rank), cmp.Compare(x.SinceAt, y.SinceAt),
			strings.Compare(x.Key, y.Key))
	})
	return meta, list
}

// providers adds an alarm for each provider whose status is an alarming one.
func (a *Attention) providers(list []Alarm) []Alarm {
	var since map[circuitPlace]int64
	a.judged = Judged{}
	for _, row := range a.table.Rows() {
		status := row.Provider.Status
		if status == StatusUnknown {
			a.judged.Unknown++
		} else {
			a.judged.Providers++
		}
		if status == StatusHealthy || status == StatusUnknown && row.Provider.SilentSince == 0 {
			continue
		}
		alarm := Alarm{
			Key: "provider/" + row.Key, Rule: status.String(), Subject: "provider", Chain: row.Dims[ChainDim],
			Provider: row.Dims[ProviderDim], Detail: strings.Join(row.Provider.StatusReasons, "; "), Calls: row.Calls, HasCalls: true,
			status: status,
		}
		switch status {
		case StatusCircuitOpen, StatusRecovering:
			if since == nil {
				since = a.circuitsSince()
			}
			alarm.SinceAt = since[circuitPlace{alarm.Chain, alarm.Provider, circuitOf[status]}]
		case StatusLagging:
		case StatusUnknown:
			alarm.SinceAt = row.Provider.SilentSince
		default:
			alarm.byCalls = true
		}
		list = append(list, alarm)
	}
	return list
}

// circuitOf is the state of a circuit that makes a status.
var circuitOf = map[Status]CircuitState{StatusCircuitOpen: CircuitOpen, StatusRecovering: CircuitHalfOpen}

type circuitPlace struct {
	chain, provider string
	state           CircuitState
}

// circuitsSince is since when circuits that count have been as they are, the first of
// each provider and state.
func (a *Attention) circuitsSince() map[circuitPlace]int64 {
	since := make(map[circuitPlace]int64)
	for _, r := range a.store.Circuits(a.query.Filter) {
		k := circuitPlace{r.Chain, r.ProviderID, r.State}
		if at, known := since[k]; !r.Stale && (!known || r.SinceAt < at) {
			since[k] = r.SinceAt
		}
	}
	return since
}

// chains adds an alarm for each chain without a provider that can be used, since
// the last one went.
func (a *Attention) chains(list []Alarm) []Alarm {
	type chain struct {
		providers, down int
		calls           uint64
		since           int64
	}
	chains := make(map[string]*chain)
	for _, row := range a.table.Rows() {
		c := chains[row.Dims[ChainDim]]
		if c == nil {
			c = new(chain)
			chains[row.Dims[ChainDim]] = c
		}
		if row.Provider.Status != StatusUnknown {
			c.providers++
			c.calls += row.Calls
		}
	}
	for i := range list {
		if alarm := &list[i]; alarm.Rule == StatusCircuitOpen.String() || alarm.Rule == StatusFailing.String() {
			c := chains[alarm.Chain]
			c.down++
			c.since = max(c.since, alarm.SinceAt)
		}
	}
	for name, c := range chains {
		if c.down > 0 && c.down == c.providers {
			list = append(list, Alarm{
				Key: "chain/" + name, Rule: "chain_down", Subject: "chain", Chain: name, Calls: c.calls, HasCalls: true, SinceAt: c.since,
				Detail: fmt.Sprintf("all %d providers have an open circuit or fail", c.down),
			})
		}
	}
	return list
}

// heads adds an alarm for each chain and region whose height stands still, and one where
// two providers disagree about it.
func (a *Attention) heads(list []Alarm) []Alarm {
	f := &a.query.Filter
	now := a.store.Clock()
	a.store.eachChain(f, func(c *chainReports) {
		for region, h := range c.heads(now) {
			if !matches(f[RegionDim], region) || !slices.ContainsFunc(h.seen, func(s headSeen) bool { return matches(f[ProviderDim], s.provider) }) {
				continue
			}
			alarm := Alarm{Subject: "chain", Chain: c.name, Profile: c.profile.name}
			key := "chain/" + reportName(f, c.profile.name, c.name, region)
			marks := c.marks[region]
			if h.disputed {
				x, y := &h.seen[0], &h.seen[1]
				alarm.Key, alarm.Rule = key+"/heights", "heights_disagree"
				alarm.Detail = fmt.Sprintf("in %s %s is at %d and %s at %d: one of them is on another chain, or far behind", region, x.provider, x.height, y.provider, y.height)
				list = append(list, alarm)
			} else if since, usual, stalled := marks.stalled(h); stalled {
				alarm.Key, alarm.Rule, alarm.SinceAt = key+"/stalled", "chain_stalled", a.store.clock.shown(since)
				alarm.Detail = fmt.Sprintf("in %s the height stands still at %d", region, h.height)
				if usual > 0 {
					alarm.Detail += "; it usually moves every " + (time.Duration(usual) * time.Millisecond).Round(100*time.Millisecond).String()
				}
				list = append(list, alarm)
			}
		}
	})
	return list
}

func (a *Attention) senders(list []Alarm, now int64) []Alarm {
	f := &a.query.Filter
	if len(f[ChainDim])+len(f[ProviderDim]) > 0 {
		return list // they are of no chain
	}
	for _, s := range a.store.Senders(*f) {
		alarm := Alarm{Key: "sender/" + s.Key, Subject: "sender", Profile: s.Profile, Sender: s.SourceNode}
		if refused, ok := s.refused(now); ok {
			list = append(list, refused)
		}
		switch {
		case s.LastSeenAt == 0:
		case !s.Reporting:
			alarm.Rule, alarm.SinceAt = "sender_silent", s.LastSeenAt
			alarm.Detail = "no events from a sender in " + s.Region
		case s.HasClock:
			alarm.Rule, alarm.Detail = s.lag(a.query.Window)
		}
		if alarm.Rule != "" {
			list = append(list, alarm)
		}
	}
	return list
}

// lag is the rule that a sender breaks whose calls come so late, or are so far
// ahead, that more than a quarter of a window may be without them. A clock that is
// behind and a sender that sends late look alike.
func (d *Sender) lag(w cell.Window) (rule, detail string) {
	amount := func(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }
	most := w.Length().Milliseconds() / 4
	switch ahead := -d.OffsetMillis; {
	case ahead > MaxAhead:
		return "sender_clock", "its clock is " + amount(ahead) + " ahead: events are stamped at arrival"
	case ahead > most:
		return "sender_clock", "its clock is " + amount(ahead) + " ahead: its calls stay in a window of " + w.String() + " for that much longer"
	case d.OffsetMillis > most:
		return "sender_clock", "even its newest events are " + amount(d.OffsetMillis) + " old when they come, since its clock is behind or it sends late: " +
			"its calls of that time are missing in a window of " + w.String()
	case d.LatenessMillis > most:
		return "sender_late", "its events are up to " + amount(d.LatenessMillis) + " old when they come: until then its calls are missing in a window of " + w.String()
	}
	return "", ""
}

func (a *Attention) nodes(list []Alarm, now int64) []Alarm {
	for _, m := range a.store.Members() {
		if !matches(a.query.Filter[NodeDim], m.Name) {
			continue
		}
		alarm := Alarm{Key: "node/" + m.Name, Subject: "node", Node: m.Name}
		switch {
		case m.State == "failed":
			alarm.Rule, alarm.Detail = "node_failed", "not reached by the other nodes; what it counted stays until it ages out"
		case m.Restarting:
			alarm.Rule, alarm.Detail = "node_restarting", "a new run has begun and has not reported yet"
		case m.Stale && m.State == "alive":
			alarm.Rule, alarm.Detail = "node_stale", "its numbers are late"
		case m.Alone:
			alarm.Rule, alarm.Detail = "node_alone", "no other member is here, though it was to join some: these are its numbers alone"
		default:
			continue
		}
		if m.DeltaAgeMillis > 0 {
			alarm.SinceAt = now - m.DeltaAgeMillis
		}
		list = append(list, alarm)
	}
	return list
}

// stepShown is for how long attention tells of a step of the wall clock, in ms: as long
// as windows may show what was before it.
const stepShown = 3_600_000

// clocks adds an alarm for each node whose wall clock has just stepped.
func (a *Attention) clocks(list []Alarm) []Alarm {
	s := a.store
	for _, m := range s.Members() {
		step := m.ClockStep
		if m.Name == s.options.Node {
			step = s.ClockStep()
		}
		if step == nil || s.Clock()-step.At > stepShown || !matches(a.query.Filter[NodeDim], m.Name) {
			continue
		}
		by, way := step.By, "forward"
		if by < 0 {
			by, way = -by, "back"
		}
		list = append(list, Alarm{
			Key: "node/" + m.Name + "/clock", Rule: "node_clock", Subject: "node", Node: m.Name, SinceAt: s.clock.shown(step.At),
			Detail: "its wall clock was put " + way + " by " + by.Round(time.Millisecond).String() + "; windows go on, and what it shows is by the new time",
		})
	}
	return list
}
