package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
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
	Key       string // the subject and what names it: provider/base/ankr_1
	Severity  Severity
	Rule      string
	Subject   string // provider, chain, node, sender, profile
	Profile   string
	Chain     string
	Provider  string
	Sender    string
	Node      string
	Detail    string
	SinceAt   int64  // ms since the epoch
	Calls     uint64 // in the window, of the subject; only of providers and chains
	HasCalls  bool
	Rank      int          // of the rule, 0 is the worst
	derivable func() int64 // when it began as far as can be told from what is kept; nil = not at all
}

// The rules in the order of their weight. Those of providers are their statuses.
var alarmRules = map[string]struct {
	rank     int
	severity Severity
}{
	"chain_down": {0, Critical}, "circuit_open": {1, Critical}, "node_failed": {2, Critical}, "failing": {3, Critical},
	"rate_limited": {4, Warning}, "degraded": {5, Warning}, "recovering": {6, Warning}, "lagging": {7, Warning},
	"node_stale": {8, Warning}, "sender_silent": {9, Warning}, "sender_clock": {10, Warning}, "sender_late": {10, Warning},
	"overflow": {11, Warning}, "node_alone": {12, Warning}, "node_restarting": {13, Notice},
}

// Attention is what is wrong under a query's filter and window. It keeps a table
// between refreshes, and belongs to one goroutine at a time.
type Attention struct {
	store *Store
	query Query
	table *Table
}

// NewAttention returns an attention that has not been refreshed yet.
func (s *Store) NewAttention(f Filter, w Window) *Attention {
	q := Query{Filter: f, By: []Dim{ChainDim, ProviderDim}, Window: w, Providers: true}
	return &Attention{store: s, query: q, table: s.NewTable(q)}
}

// Refresh returns what is wrong now, worst first.
func (a *Attention) Refresh() (Meta, []Alarm) {
	a.table.Refresh()
	meta := a.table.Meta()
	var list []Alarm
	list = a.providers(list)
	list = a.senders(list)
	list = a.nodes(list, meta.At)
	if meta.OverflowCalls > 0 {
		list = append(list, Alarm{Key: "profile/overflow", Rule: "overflow", Subject: "profile", Detail: fmt.Sprintf(
			"%d calls came when no series was free: they count without their method, or in totals only", meta.OverflowCalls)})
	}
	a.store.episodes.date(list, strings.Join(a.query.Filter[ProfileDim], ","), meta.At)
	list = a.chains(list)
	for i := range list {
		rule := alarmRules[list[i].Rule]
		list[i].Rank, list[i].Severity = rule.rank, rule.severity
	}
	slices.SortFunc(list, func(x, y Alarm) int {
		return cmp.Or(cmp.Compare(x.Severity, y.Severity), cmp.Compare(x.Rank, y.Rank), cmp.Compare(x.SinceAt, y.SinceAt),
			strings.Compare(x.Key, y.Key))
	})
	return meta, list
}

// providers adds an alarm for each provider whose status is an alarming one.
func (a *Attention) providers(list []Alarm) []Alarm {
	var circuits []CircuitReport
	for _, row := range a.table.Rows() {
		status := row.Provider.Status
		if status >= StatusHealthy {
			continue
		}
		alarm := Alarm{
			Key: "provider/" + row.Key, Rule: status.String(), Subject: "provider", Chain: row.Dims[ChainDim],
			Provider: row.Dims[ProviderDim], Detail: strings.Join(row.Provider.StatusReasons, "; "), Calls: row.Calls, HasCalls: true,
		}
		switch status {
		case StatusCircuitOpen, StatusRecovering:
			if circuits == nil {
				circuits = a.store.Circuits(a.query.Filter)
			}
			alarm.SinceAt = circuitSince(circuits, &alarm, status)
		case StatusLagging:
		default:
			alarm.derivable = func() int64 { return a.store.onset(a.query, &alarm, status) }
		}
		list = append(list, alarm)
	}
	return list
}

// circuitSince is since when a circuit that makes the status has been so.
func circuitSince(circuits []CircuitReport, alarm *Alarm, status Status) (since int64) {
	state := CircuitOpen
	if status == StatusRecovering {
		state = CircuitHalfOpen
	}
	for i := range circuits {
		r := &circuits[i]
		if r.Chain == alarm.Chain && r.ProviderID == alarm.Provider && r.State == state && !r.Stale && (since == 0 || r.SinceAt < since) {
			since = r.SinceAt
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

func (a *Attention) senders(list []Alarm) []Alarm {
	f := &a.query.Filter
	if len(f[ChainDim])+len(f[ProviderDim]) > 0 {
		return list // they are of no chain
	}
	for _, s := range a.store.Senders(*f) {
		alarm := Alarm{Key: "sender/" + s.Key, Subject: "sender", Profile: s.Profile, Sender: s.SourceNode}
		switch {
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

// clockAhead is how far a sender's clock may be ahead before its events are
// stamped at arrival, in ms.
const clockAhead = 5000

// lag is the rule that a sender breaks whose calls come so late, or are so far
// ahead, that more than a quarter of a window may be without them. A clock that is
// behind and a sender that sends late look alike.
func (s *Sender) lag(w Window) (rule, detail string) {
	amount := func(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }
	most := w.Length().Milliseconds() / 4
	switch ahead := -s.OffsetMillis; {
	case ahead > clockAhead:
		return "sender_clock", "its clock is " + amount(ahead) + " ahead: events are stamped at arrival"
	case ahead > most:
		return "sender_clock", "its clock is " + amount(ahead) + " ahead: its calls stay in a window of " + w.String() + " for that much longer"
	case s.OffsetMillis > most:
		return "sender_clock", "even its newest events are " + amount(s.OffsetMillis) + " old when they come, since its clock is behind or it sends late: " +
			"its calls of that time are missing in a window of " + w.String()
	case s.LatenessMillis > most:
		return "sender_late", "its events are up to " + amount(s.LatenessMillis) + " old when they come: until then its calls are missing in a window of " + w.String()
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
			alarm.Rule, alarm.Detail = "node_alone", "it was to join other nodes and has reached none: these are its numbers alone"
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

// onset estimates when a share of calls went beyond its threshold: of all moments,
// the one since which the excess over the threshold is greatest (the change point
// of a cumulative sum). The finest steps that reach back to it are used. 0 when
// the alarm is not about calls.
func (s *Store) onset(q Query, alarm *Alarm, status Status) int64 {
	q.Filter[ChainDim], q.Filter[ProviderDim] = []string{alarm.Chain}, []string{alarm.Provider}
	for _, w := range []Window{Window1m, Window15m, Window1h} {
		q.Window = w
		at, oldest, found := int64(0), int64(0), false
		s.eachSpread(q, time.Second, func(_ string, _ [NumDims]string, p *spread) {
			oldest = p.first
			var excess, most float64
			for i := len(p.cells) - 1; i >= 0; i-- {
				excess += s.excess(&p.cells[i], status)
				if excess > most {
					most, at, found = excess, p.first+int64(i)*p.step, true
				}
			}
		})
		if !found {
			return 0
		}
		if at > oldest || w == Window1h {
			return at
		}
	}
	return 0
}

// excess is by how many calls a step is beyond what a status allows.
func (s *Store) excess(c *cell, status Status) float64 {
	calls, errors := float64(c.calls), float64(c.providerErrors)
	switch status {
	case StatusRateLimited:
		limited := uint64(0)
		for _, k := range c.categories {
			if s.categories.get(k.id).name == "rate_limit" {
				limited = k.count
			}
		}
		return float64(limited) - calls*rateLimitShare/100
	case StatusFailing:
		return errors - calls*failingBelow/100
	default:
		slow := float64(c.successes.above(degradedP95)) - float64(c.calls-c.errors)*0.05
		return max(errors-calls*(100-degradedBelow)/100, slow)
	}
}

// episodes remembers since when alarms have been there, for as long as somebody
// looks: so that the time does not wander while an alarm lasts, and for what only
// the look tells. One that nobody saw for episodeKept is forgotten.
type episodes struct {
	mu    sync.Mutex
	known map[string]*episode
}

type episode struct{ since, seen int64 }

const episodeKept = 60_000 // ms

// date fills in since when.
func (e *episodes) date(list []Alarm, scope string, now int64) {
	for i := range list {
		a := &list[i]
		if a.SinceAt > 0 {
			continue
		}
		key := scope + "/" + a.Rule + "/" + a.Key
		if a.SinceAt = e.since(key, now); a.SinceAt > 0 {
			continue
		}
		a.SinceAt = now
		if a.derivable != nil {
			if at := a.derivable(); at > 0 {
				a.SinceAt = min(at, now)
			}
		}
		e.mu.Lock()
		e.known[key] = &episode{a.SinceAt, now}
		e.mu.Unlock()
	}
}

// since is when a known episode began, 0 for one that is not known.
func (e *episodes) since(key string, now int64) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known == nil {
		e.known = make(map[string]*episode)
	}
	for k, old := range e.known {
		if now-old.seen > episodeKept {
			delete(e.known, k)
		}
	}
	if k := e.known[key]; k != nil {
		k.seen = now
		return k.since
	}
	return 0
}
