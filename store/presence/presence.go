// Package presence says when the senders of a profile were last heard of, over all nodes
// that they report to, and counts them at any instant without a walk: every answer has the
// counts.
package presence

import (
	"container/heap"
	"slices"
	"sync"

	"remuda/store/ids"
)

// How long a sender counts for after it was last heard of, ms.
const (
	Reporting = 60_000  // as reporting
	Trusted   = 300_000 // for the circuits that it reported to stand
)

// A Sender is one that reports to this node. It has a mutex of its own, which is taken
// under that of a Roll.
type Sender interface {
	// LastSeen is when it was last heard of, ms; 0: never. It does not get less.
	LastSeen() int64
	// WakeAfter has the sender call Wake with what comes next, if it has not been heard of
	// since an instant; else not.
	WakeAfter(since int64)
}

// An Origin is a run of another node. They are told apart by ==.
type Origin interface {
	// Local is an instant (ms) of its clock by this node's.
	Local(at int64) int64
}

// A Roll has the senders of a profile.
//
// Those that report are in a heap by an instant that is not after the one they were last
// heard of. So a sender that goes on sending costs nothing here but a look once in
// Reporting: only those at the top are looked at, and go back with their new instant, or
// are no longer counted. A sender that was quiet comes here when it sends.
//
// Say gateway a was listed with 12:00:00 and b with 12:00:30, and both have sent ever since.
// Until 12:01:00 nobody looks at either, and 2 report. Then a is looked at, once: it
// was heard of at 12:01:00 and goes behind b with that. Had it sent nothing since 12:00:20, it
// would stay in front with that until 12:01:20, and then count no more.
type Roll struct {
	mu     sync.Mutex
	byName map[string]*sighting
	known  int // of byName those that were heard of
	queue  sightingQueue
	skews  uint64 // as of which the queue is
}

// New returns a roll without a sender.
func New() *Roll { return &Roll{byName: make(map[string]*sighting)} }

// sighting is a sender by its name.
type sighting struct {
	name  string
	local Sender // nil: it does not report here
	away  []awaySighting

	known  bool
	queued bool
	listed int64 // what the queue has it by, ms; only when queued
	place  int   // in the queue
}

// awaySighting is when another origin last heard of a sender, ms of its clock.
type awaySighting struct {
	origin Origin
	at     int64
}

// Join notes a new sender of this node.
func (r *Roll) Join(name string, s Sender, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.of(name)
	x.local = s
	r.update(x, now)
}

// Wake notes that a sender that was quiet has sent.
func (r *Roll) Wake(name string, s Sender, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x := r.byName[name]; x != nil && x.local == s {
		r.update(x, now)
	}
}

// Leave forgets a sender of this node.
func (r *Roll) Leave(name string, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x := r.byName[name]; x != nil {
		x.local = nil
		r.update(x, now)
	}
}

// Told notes when another origin heard of a sender, ms of its clock, 0 for never.
func (r *Roll) Told(name string, by Origin, at, now int64) {
	if at <= 0 {
		r.Untold(name, by, now)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.of(name)
	i := slices.IndexFunc(x.away, func(a awaySighting) bool { return a.origin == by })
	if i < 0 {
		i, x.away = len(x.away), append(x.away, awaySighting{origin: by})
	}
	x.away[i].at = at
	r.update(x, now)
}

// Untold forgets what another origin heard of a sender.
func (r *Roll) Untold(name string, by Origin, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x := r.byName[name]; x != nil {
		x.away = slices.DeleteFunc(x.away, func(a awaySighting) bool { return a.origin == by })
		r.update(x, now)
	}
}

// of returns the sighting of a name, made when there is none.
func (r *Roll) of(name string) *sighting {
	x := r.byName[name]
	if x == nil {
		x = &sighting{name: name}
		r.byName[name] = x
	}
	return x
}

// LastSeen is when a sender was last heard of, in ms; 0 when it never was. One that is not
// known by its name may be among those that are not told apart.
func (r *Roll) LastSeen(name string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.byName[name]
	if x == nil {
		x = r.byName[ids.Other]
	}
	if x == nil {
		return 0
	}
	return x.at()
}

// Trusts reports whether a sender has been heard of lately enough for the
// circuits it reported to stand.
func (r *Roll) Trusts(name string, now int64) bool {
	return now-r.LastSeen(name) <= Trusted
}

// Count counts the senders that have sent anything that was taken, and those of them
// that did lately. skews grows whenever the clock of an origin turns out to be ahead by
// something else than before.
func (r *Roll) Count(now int64, skews uint64) (reporting, known int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if skews > r.skews {
		r.skews = skews
		for _, x := range r.byName {
			r.update(x, now)
		}
	}
	for len(r.queue) > 0 && now-r.queue[0].listed > Reporting {
		r.update(r.queue[0], now)
	}
	return len(r.queue), r.known
}

// update brings the counts up to date with what is known of a sender.
func (r *Roll) update(x *sighting, now int64) {
	if x.local != nil {
		x.local.WakeAfter(now - Reporting)
	}
	at := x.at()
	if known := at > 0; known != x.known {
		if x.known = known; known {
			r.known++
		} else {
			r.known--
		}
	}
	switch reporting := x.known && now-at <= Reporting; {
	case reporting && !x.queued:
		x.listed = at
		heap.Push(&r.queue, x)
	case reporting && (at < x.listed || now-x.listed > Reporting):
		x.listed = at
		heap.Fix(&r.queue, x.place)
	case !reporting && x.queued:
		heap.Remove(&r.queue, x.place)
	}
	if x.local == nil && len(x.away) == 0 {
		delete(r.byName, x.name)
	}
}

// at is when the sender was last heard of by any node, in ms of this node's clock; 0 for
// never. A sender's calls may come meanwhile: it does not get less.
func (x *sighting) at() (at int64) {
	if x.local != nil {
		at = x.local.LastSeen()
	}
	for _, a := range x.away {
		at = max(at, a.origin.Local(a.at))
	}
	return at
}

// sightingQueue is a heap, the one that was heard of the longest ago first.
type sightingQueue []*sighting

func (q sightingQueue) Len() int           { return len(q) }
func (q sightingQueue) Less(i, j int) bool { return q[i].listed < q[j].listed }

func (q sightingQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *sightingQueue) Push(x any) {
	s := x.(*sighting)
	s.place, s.queued = len(*q), true
	*q = append(*q, s)
}

func (q *sightingQueue) Pop() any {
	n := len(*q) - 1
	s := (*q)[n]
	s.queued = false
	(*q)[n] = nil
	*q = (*q)[:n]
	return s
}
