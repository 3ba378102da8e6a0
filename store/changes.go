package store

import (
	"slices"
	"strings"
	"sync"
)

// changeRing keeps the last circuit changes of a profile, oldest first, in the
// order in which all nodes list them.
type changeRing struct {
	mu       sync.Mutex
	sequence uint64 // of this node's own
	list     []recordedChange
}

type recordedChange struct {
	CircuitChange
	origin *origin
	stamp  uint32 // 0: not closed yet
}

// own keeps a change that was reported to this node.
func (r *changeRing) own(self *origin, c CircuitChange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sequence++
	c.Seq = r.sequence
	r.insert(recordedChange{CircuitChange: c, origin: self})
}

// put keeps a change unless it is known. It reports whether it is new.
func (r *changeRing) put(c recordedChange) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.list {
		if r.list[i].origin == c.origin && r.list[i].Seq == c.Seq {
			return false
		}
	}
	r.insert(c)
	return true
}

func (r *changeRing) insert(c recordedChange) {
	at, _ := slices.BinarySearchFunc(r.list, &c, func(a recordedChange, b *recordedChange) int { return a.compare(b) })
	if len(r.list) == changesKept {
		if at == 0 {
			return // older than all
		}
		copy(r.list, r.list[1:at])
		r.list[at-1] = c
		return
	}
	r.list = slices.Insert(r.list, at, c)
}

func (a *recordedChange) compare(b *recordedChange) int {
	x, y := a.origin.Local(a.At), b.origin.Local(b.At)
	switch {
	case x != y:
		return int(min(max(x-y, -1), 1))
	case a.origin.name != b.origin.name:
		return strings.Compare(a.origin.name, b.origin.name)
	case a.origin.incarnation != b.origin.incarnation:
		return int(min(max(int64(a.origin.incarnation-b.origin.incarnation), -1), 1))
	}
	return int(min(max(int64(a.Seq-b.Seq), -1), 1))
}

func (r *changeRing) close(stamp uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.list {
		if c := &r.list[i]; c.stamp == 0 {
			c.stamp = stamp
		}
	}
}
