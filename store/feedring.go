package store

import "remuda/store/ids"

// feedRing is how many decisions a ring keeps, and maxFeedRegions of how many regions
// it can tell the shares: beyond them regions share one.
const (
	feedRing       = 1000
	maxFeedRegions = 64
)

// feedRings are the decisions that went well, and the others.
type feedRings [2]decisionRing

// A decisionRing keeps the newest decisions, of each region as many as of any other
// that has them: when it is full, the oldest of the region with the most gives way.
type decisionRing struct {
	kept    int
	regions map[string]*decisionQueue
}

// decisionQueue is the decisions of a region, oldest first.
type decisionQueue struct {
	list []DecisionRecord
	head int
}

func (q *decisionQueue) records() []DecisionRecord { return q.list[q.head:] }

func (q *decisionQueue) pop() {
	q.list[q.head] = DecisionRecord{} // it holds strings
	if q.head++; 2*q.head > len(q.list) {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
}

func (r *feedRings) of(d *DecisionRecord) *decisionRing {
	if d.troubled() {
		return &r[1]
	}
	return &r[0]
}

func (r *decisionRing) put(d DecisionRecord) {
	if r.regions == nil {
		r.regions = make(map[string]*decisionQueue)
	}
	q := r.regions[d.Region]
	if q == nil && len(r.regions) >= maxFeedRegions {
		q = r.regions[ids.Other]
	}
	if q == nil {
		q = new(decisionQueue)
		region := d.Region
		if len(r.regions) >= maxFeedRegions {
			region = ids.Other
		}
		r.regions[region] = q
	}
	q.list = append(q.list, d)
	if r.kept++; r.kept > feedRing {
		r.dropOldest()
	}
}

func (r *decisionRing) dropOldest() {
	longest := ""
	for region, q := range r.regions {
		most := r.regions[longest]
		if most == nil || len(q.records()) > len(most.records()) ||
			len(q.records()) == len(most.records()) && q.records()[0].Seq < most.records()[0].Seq {
			longest = region
		}
	}
	q := r.regions[longest]
	if q.pop(); len(q.records()) == 0 {
		delete(r.regions, longest)
	}
	r.kept--
}

// has reports whether a decision is there.
func (r *decisionRing) has(d *DecisionRecord) bool {
	for _, region := range [...]string{d.Region, ids.Other} {
		if q := r.regions[region]; q != nil {
			for i := range q.records() {
				if known := &q.records()[i]; known.number == d.number && known.origin == d.origin {
					return true
				}
			}
		}
	}
	return false
}

// each calls do for all decisions, in no order.
func (r *feedRings) each(do func(d *DecisionRecord)) {
	r.since(0, do)
}

// since calls do for those after a sequence, of each region the newest first.
func (r *feedRings) since(sequence uint64, do func(d *DecisionRecord)) {
	for i := range r {
		for _, q := range r[i].regions {
			list := q.records()
			for j := len(list) - 1; j >= 0 && list[j].Seq > sequence; j-- {
				do(&list[j])
			}
		}
	}
}
