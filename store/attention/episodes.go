package attention

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"remuda/store"
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
func (w *Watch) date(list []Alarm, now int64) {
	e := w.episodes
	scope := strings.Join(w.query.Filter[store.ProfileDim], ",")
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
	room := max(w.table.Series()/onsetShare, leastOnsets)
	for i, alarm := range undated {
		row := alarm.Chain + "/" + alarm.Provider
		if n := w.table.SeriesOf(row); n <= room || i == 0 {
			room -= n
			if at := w.table.Onset(row, alarm.status, now); at > 0 {
				alarm.SinceAt = min(alarm.SinceAt, at)
			}
			e.settle(alarm.episode(scope), alarm.SinceAt)
		}
	}
	for _, alarm := range noticed {
		alarm.SinceAt -= w.store.Behind()
	}
}

// Episodes remember since when alarms have been there, for as long as somebody
// looks: so that the time does not wander while an alarm lasts, and for what only
// the look tells. One that nobody saw for episodeKept is forgotten. Beyond
// maxEpisodes none is added: those alarms are always new. The zero value is ready, and safe
// for concurrent use.
type Episodes struct {
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
func (e *Episodes) see(key string, now int64, settled bool) (since int64, isSettled bool) {
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
func (e *Episodes) settle(key string, since int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k, known := e.known[key]; known {
		k.since, k.settled = since, true
		e.known[key] = k
	}
}
