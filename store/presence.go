package store

import (
	"container/heap"
	"slices"
	"sync"

	"remuda/store/ids"
)

// presence says when the senders of a profile were last heard of, over all nodes that they
// report to, and counts them at any instant without a walk: every answer has the counts.
//
// Those that report are in a heap by an instant that is not after the one they were last
// heard of. So a sender that goes on sending costs nothing here but a look once in
// senderReporting: only those at the top are looked at, and go back with their new
// instant, or are no longer counted. A sender that was quiet comes here when it sends.
type presence struct {
	store *Store

	mu     sync.Mutex // taken before a sender's mutex, and may be under that of the profile or of a chain
	byName map[string]*sighting
	known  int // of byName those that were heard of
	queue  sightingQueue
	skews  uint64 // Store.skews as of which the queue is
}

// sighting is a sender by its name.
type sighting struct {
	name  string
	local *sender // nil: it does not report here
	away  []awaySighting

	known  bool
	queued bool
	listed int64 // what the queue has it by, ms; only when queued
	place  int   // in the queue
}

// awaySighting is when another origin last heard of a sender, ms of its clock.
type awaySighting struct {
	origin *origin
	at     int64
}

// join notes a new sender of this node.
func (p *presence) join(s *sender, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.of(s.name)
	x.local = s
	p.update(x, now)
}

// wake notes that a sender that was quiet has sent.
func (p *presence) wake(s *sender, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.byName[s.name]; x != nil && x.local == s {
		p.update(x, now)
	}
}

// leave forgets a sender of this node.
func (p *presence) leave(name string, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.byName[name]; x != nil {
		x.local = nil
		p.update(x, now)
	}
}

// told notes when another origin heard of a sender, 0 for never.
func (p *presence) told(key away, at, now int64) {
	if at <= 0 {
		p.untold(key, now)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.of(key.name)
	i := slices.IndexFunc(x.away, func(a awaySighting) bool { return a.origin == key.origin })
	if i < 0 {
		i, x.away = len(x.away), append(x.away, awaySighting{origin: key.origin})
	}
	x.away[i].at = at
	p.update(x, now)
}

// untold forgets what another origin heard of a sender.
func (p *presence) untold(key away, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.byName[key.name]; x != nil {
		x.away = slices.DeleteFunc(x.away, func(a awaySighting) bool { return a.origin == key.origin })
		p.update(x, now)
	}
}

// of returns the sighting of a name, made when there is none.
func (p *presence) of(name string) *sighting {
	x := p.byName[name]
	if x == nil {
		x = &sighting{name: name}
		p.byName[name] = x
	}
	return x
}

// lastSeen is when a sender was last heard of, in ms; 0 when it never was. One that is not
// known by its name may be among those that are not told apart.
func (p *presence) lastSeen(name string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.byName[name]
	if x == nil {
		x = p.byName[ids.Other]
	}
	if x == nil {
		return 0
	}
	return x.at()
}

// trusted reports whether a sender has been heard of lately enough for the
// circuits it reported to stand.
func (p *presence) trusted(name string, now int64) bool {
	return now-p.lastSeen(name) <= senderTrusted
}

// coverage counts the senders that have sent anything that was taken, and those of them
// that did lately.
func (p *presence) coverage(now int64) (reporting, known int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if skews := p.store.skews.Load(); skews != p.skews {
		p.skews = skews
		for _, x := range p.byName {
			p.update(x, now)
		}
	}
	for len(p.queue) > 0 && now-p.queue[0].listed > senderReporting {
		p.update(p.queue[0], now)
	}
	return len(p.queue), p.known
}

// update brings the counts up to date with what is known of a sender.
func (p *presence) update(x *sighting, now int64) {
	if x.local != nil {
		x.local.mu.Lock()
		x.local.quiet = now-x.local.lastSeen > senderReporting
		x.local.mu.Unlock()
	}
	at := x.at()
	if known := at > 0; known != x.known {
		if x.known = known; known {
			p.known++
		} else {
			p.known--
		}
	}
	switch reporting := x.known && now-at <= senderReporting; {
	case reporting && !x.queued:
		x.listed = at
		heap.Push(&p.queue, x)
	case reporting && (at < x.listed || now-x.listed > senderReporting):
		x.listed = at
		heap.Fix(&p.queue, x.place)
	case !reporting && x.queued:
		heap.Remove(&p.queue, x.place)
	}
	if x.local == nil && len(x.away) == 0 {
		delete(p.byName, x.name)
	}
}

// at is when the sender was last heard of by any node, in ms of this node's clock; 0 for
// never. A sender's calls may come meanwhile: it does not get less.
func (x *sighting) at() (at int64) {
	if x.local != nil {
		at = x.local.seen()
	}
	for _, a := range x.away {
		at = max(at, a.origin.local(a.at))
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
