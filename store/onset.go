package store

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"remuda/store/cell"
)

// onsetShare is how much of the series of a table one refresh looks through for onsets,
// and leastOnsets how many at least: to look through one costs some times as much as to
// sum it. The others are looked through by later refreshes, and until then count from
// when they were noticed.
const (
	onsetShare  = 5 // a fifth
	leastOnsets = 100
)

// date fills in since when, for alarms that have no time of their own.
func (a *Attention) date(list []Alarm, now int64) {
	e := &a.store.episodes
	scope := strings.Join(a.query.Filter[ProfileDim], ",")
	var noticed, undated []*Alarm
	for i := range list {
		alarm := &list[i]
		if alarm.SinceAt != 0 {
			continue
		}
		var settled bool
		if alarm.SinceAt, settled = e.see(alarm.episode(scope), now, !alarm.byCalls); !settled {
			undated = append(undated, alarm)
		}
		noticed = append(noticed, alarm)
	}
	slices.SortStableFunc(undated, func(x, y *Alarm) int { return cmp.Compare(x.Rank, y.Rank) })
	room := max(a.table.enrolled/onsetShare, leastOnsets)
	for i, alarm := range undated {
		g := a.table.groups[alarm.Chain+"/"+alarm.Provider]
		if n := len(g.members); n <= room || i == 0 {
			room -= n
			if at := a.onset(g, alarm.status, now); at > 0 {
				alarm.SinceAt = min(alarm.SinceAt, at)
			}
			e.settle(alarm.episode(scope), alarm.SinceAt)
		}
	}
	for _, alarm := range noticed {
		alarm.SinceAt = a.store.clock.shown(alarm.SinceAt)
	}
}

// onset estimates when a provider's share of calls went beyond the threshold of its
// status: of all moments, the one since which the excess over the threshold is greatest
// (the change point of a cumulative sum). The finest steps that reach back to it are used.
// It is 0 where calls do not tell.
func (a *Attention) onset(g *group, status Status, now int64) (at int64) {
	for _, w := range []cell.Window{cell.Window1m, cell.Window15m, cell.Window1h} {
		p := stepsOf(w, time.Second, now)
		told := make([]evidence, p.count)
		a.table.eachStep(g, &p, func(i int, c *cell.Cell) { told[i].add(c) })
		var excess, most float64
		at = 0
		for i := len(told) - 1; i >= 0; i-- {
			excess += told[i].excess(status)
			if excess > most {
				most, at = excess, p.first+int64(i)*p.step
			}
		}
		if at != p.first { // else it may be longer ago than the window
			break
		}
	}
	return at
}

// evidence is what calls of a step say for the statuses that are of calls. It adds up to
// the same as that of the sum of their cells, at a fraction of the cost.
type evidence struct{ calls, errors, providerErrors, limited, slow uint64 }

func (t *evidence) add(c *cell.Cell) {
	t.calls += c.Calls
	t.errors += c.Errors
	t.providerErrors += c.ProviderErrors
	t.limited += c.RateLimited()
	t.slow += c.SlowerThan(degradedP95)
}

// excess is by how many calls a step is beyond what a status allows.
func (t *evidence) excess(status Status) float64 {
	calls, errors := float64(t.calls), float64(t.providerErrors)
	switch status {
	case StatusRateLimited:
		return float64(t.limited) - calls*rateLimitShare/100
	case StatusFailing:
		return errors - calls*failingBelow/100
	default:
		slow := float64(t.slow) - float64(t.calls-t.errors)*0.05
		return max(errors-calls*(100-degradedBelow)/100, slow)
	}
}

// episodes remembers since when alarms have been there, for as long as somebody
// looks: so that the time does not wander while an alarm lasts, and for what only
// the look tells. One that nobody saw for episodeKept is forgotten. Beyond
// maxEpisodes none is added: those alarms are always new.
type episodes struct {
	// mu is held for one episode at a time: many look at once, and each has many alarms.
	mu sync.Mutex
	// known are those that were seen since the last turn, before those that were seen
	// between the last two only. Each turn forgets what is in before: there is no walk.
	known, before map[string]episode
	turned        int64 // ms
}

type episode struct {
	since, seen int64
	settled     bool // what calls tell of its begin is in since
}

const (
	episodeKept = 60_000 // ms
	maxEpisodes = 100_000
)

func (a *Alarm) episode(scope string) string { return scope + "/" + a.Rule + "/" + a.Key }

// see notes that an alarm is there now. It returns since when it is, as far as is known,
// and whether that is settled; settled says whether it is for a new one.
func (e *episodes) see(key string, now int64, settled bool) (since int64, isSettled bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now-e.turned > episodeKept {
		e.known, e.before, e.turned = make(map[string]episode), e.known, now
	}
	k, known := e.known[key]
	if !known {
		k, known = e.before[key]
		delete(e.before, key)
	}
	if !known || now-k.seen > episodeKept {
		k = episode{since: now, settled: settled}
	}
	k.seen = now
	if known || len(e.known)+len(e.before) < maxEpisodes {
		e.known[key] = k
	}
	return k.since, k.settled
}

// settle sets since when an alarm has been there by all that calls tell.
func (e *episodes) settle(key string, since int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k, known := e.known[key]; known {
		k.since, k.settled = since, true
		e.known[key] = k
	}
}
