// Package attention says what is wrong: what, since when, and the rule that says so.
package attention

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"remuda/store"
	"remuda/store/cell"
)

// A Watch looks for what is wrong under a query's filter and window. It keeps a table
// between refreshes, and belongs to one goroutine at a time.
type Watch struct {
	store    *store.Store
	episodes *Episodes
	query    store.Query
	table    *store.Table
	judged   Judged
}

// Judged is what a look was judged by: of how many providers anything is known
// that tells their status, and of how many nothing is. Without any of the former,
// nothing wrong means nothing.
type Judged struct{ Providers, Unknown int }

// Judged is of the last refresh.
func (w *Watch) Judged() Judged { return w.judged }

// New returns a watch that has not been refreshed yet. All watches of a store share their
// episodes.
func New(s *store.Store, e *Episodes, f store.Filter, w cell.Window) *Watch {
	return &Watch{store: s, episodes: e, query: store.Query{
		Filter: f, By: []store.Dim{store.ChainDim, store.ProviderDim}, Window: w, Providers: true,
	}}
}

// Within sets what is called between pieces of the work, and what is asked whether it may
// take so many bytes, see [store.Query]. Once that refuses, nothing is wrong any more. It
// must come before the first refresh.
func (w *Watch) Within(pause func(), grow func(bytes int64) bool) {
	w.query.Pause, w.query.Grow = pause, grow
}

// Refresh returns what is wrong now, worst first.
func (w *Watch) Refresh() (store.Meta, []Alarm) {
	if w.table == nil {
		w.table = w.store.NewTable(w.query)
	}
	w.table.Refresh()
	meta := w.table.Meta()
	if w.table.Stopped() {
		return meta, nil
	}
	var list []Alarm
	list = w.providers(list)
	list = w.senders(list, meta.At)
	list = w.nodes(list, meta.At)
	list = w.checkpoints(list)
	list = w.clocks(list)
	list = w.heads(list)
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
	w.date(list, w.store.Clock())
	known := len(list)
	list = w.chains(list)
	rate(list[known:])
	slices.SortFunc(list, func(x, y Alarm) int {
		return cmp.Or(cmp.Compare(x.Severity, y.Severity), cmp.Compare(x.Rank, y.Rank), cmp.Compare(x.SinceAt, y.SinceAt),
			strings.Compare(x.Key, y.Key))
	})
	return meta, list
}

// providers adds an alarm for each provider whose status is an alarming one.
func (w *Watch) providers(list []Alarm) []Alarm {
	var since map[circuitPlace]int64
	w.judged = Judged{}
	for _, row := range w.table.Rows() {
		status := row.Provider.Status
		if status == store.StatusUnknown {
			w.judged.Unknown++
		} else {
			w.judged.Providers++
		}
		if status == store.StatusHealthy || status == store.StatusUnknown && row.Provider.SilentSince == 0 {
			continue
		}
		alarm := Alarm{
			Key: "provider/" + row.Key, Rule: status.String(), Subject: "provider", Chain: row.Dims[store.ChainDim],
			Provider: row.Dims[store.ProviderDim], Detail: strings.Join(row.Provider.StatusReasons, "; "), Calls: row.Calls, HasCalls: true,
			status: status,
		}
		switch status {
		case store.StatusCircuitOpen, store.StatusRecovering:
			if since == nil {
				since = w.circuitsSince()
			}
			alarm.SinceAt = since[circuitPlace{alarm.Chain, alarm.Provider, circuitOf[status]}]
		case store.StatusLagging:
		case store.StatusUnknown:
			alarm.SinceAt = row.Provider.SilentSince
		default:
			alarm.byCalls = true
		}
		list = append(list, alarm)
	}
	return list
}

// circuitOf is the state of a circuit that makes a status.
var circuitOf = map[store.Status]store.CircuitState{store.StatusCircuitOpen: store.CircuitOpen, store.StatusRecovering: store.CircuitHalfOpen}

type circuitPlace struct {
	chain, provider string
	state           store.CircuitState
}

// circuitsSince is since when circuits that count have been as they are, the first of
// each provider and state.
func (w *Watch) circuitsSince() map[circuitPlace]int64 {
	since := make(map[circuitPlace]int64)
	for _, r := range w.store.Circuits(w.query.Filter) {
		k := circuitPlace{r.Chain, r.ProviderID, r.State}
		if at, known := since[k]; !r.Stale && (!known || r.SinceAt < at) {
			since[k] = r.SinceAt
		}
	}
	return since
}

// chains adds an alarm for each chain without a provider that can be used, since
// the last one went.
func (w *Watch) chains(list []Alarm) []Alarm {
	type chain struct {
		providers, down int
		calls           uint64
		since           int64
	}
	chains := make(map[string]*chain)
	for _, row := range w.table.Rows() {
		c := chains[row.Dims[store.ChainDim]]
		if c == nil {
			c = new(chain)
			chains[row.Dims[store.ChainDim]] = c
		}
		if row.Provider.Status != store.StatusUnknown {
			c.providers++
			c.calls += row.Calls
		}
	}
	for i := range list {
		if alarm := &list[i]; alarm.Rule == store.StatusCircuitOpen.String() || alarm.Rule == store.StatusFailing.String() {
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
