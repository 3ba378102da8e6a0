// Package fair gives regions equal shares, however much more one of them sends: of what
// enters (Gates), and of what is kept (Ring).
package fair

import "remuda/store/ids"

const (
	// MaxRegions is how many regions are told apart; beyond them regions share one.
	MaxRegions = 64
	// Kept is how many things a ring keeps.
	Kept = 1000
)

// A Ring keeps the newest things, of each region as many as of any other that has them:
// when it is full, the oldest of the region with the most gives way. The zero value is
// empty.
//
// Say region a has filled it. Each thing of region b drives one of a's out, until there are 500
// of both, and from then on each its own: the newest of a drives out the oldest of a.
type Ring[T any] struct {
	kept   int
	puts   uint64 // ever
	queues map[string]*queue[T]
}

// queue is what is kept of a region, oldest first.
type queue[T any] struct {
	list []entry[T]
	head int
}

type entry[T any] struct {
	number uint64 // of the put
	thing  T
}

func (q *queue[T]) entries() []entry[T] { return q.list[q.head:] }

func (q *queue[T]) pop() {
	q.list[q.head] = entry[T]{} // it may hold strings
	if q.head++; 2*q.head > len(q.list) {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
}

// Put keeps a thing of a region. It keeps the name of the region.
func (r *Ring[T]) Put(region string, thing T) {
	if r.queues == nil {
		r.queues = make(map[string]*queue[T])
	}
	q := r.queues[region]
	if q == nil && len(r.queues) >= MaxRegions {
		region = ids.Other
		q = r.queues[region]
	}
	if q == nil {
		q = new(queue[T])
		r.queues[region] = q
	}
	r.puts++
	q.list = append(q.list, entry[T]{r.puts, thing})
	if r.kept++; r.kept > Kept {
		r.dropOldest()
	}
}

func (r *Ring[T]) dropOldest() {
	longest := ""
	for region, q := range r.queues {
		most := r.queues[longest]
		if most == nil || len(q.entries()) > len(most.entries()) ||
			len(q.entries()) == len(most.entries()) && q.entries()[0].number < most.entries()[0].number {
			longest = region
		}
	}
	q := r.queues[longest]
	if q.pop(); len(q.entries()) == 0 {
		delete(r.queues, longest)
	}
	r.kept--
}

// Has reports whether there is a thing of a region that is the one.
func (r *Ring[T]) Has(region string, isIt func(*T) bool) bool {
	for _, region := range [...]string{region, ids.Other} {
		if q := r.queues[region]; q != nil {
			for i := range q.entries() {
				if isIt(&q.entries()[i].thing) {
					return true
				}
			}
		}
	}
	return false
}

// Each calls do for what is kept, of each region the newest first, until it returns false:
// then it goes on with the next region.
func (r *Ring[T]) Each(do func(*T) bool) {
	for _, q := range r.queues {
		list := q.entries()
		for i := len(list) - 1; i >= 0 && do(&list[i].thing); i-- {
		}
	}
}
