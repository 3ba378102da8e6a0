package store

import (
	"cmp"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// The feed keeps recent decisions for people to look at. It is a sample, and
// says how many decisions it is a sample of; counts never come from it. Errors
// and failovers have a ring of their own, so that successes never displace them.
const (
	feedRing   = 1000 // decisions a ring
	feedPerSec = 200  // decisions a second that enter a ring once the burst is used up
	feedBurst  = 1000
)

type feed struct {
	seen, shown atomic.Uint64

	sequence *atomic.Uint64 // of decisions of all profiles, so that one number is a reader's place in all feeds
	closed   uint64         // sequence up to which others have been told; guarded by mu

	mu   sync.Mutex
	good decisionRing
	bad  decisionRing
}

type decisionRing struct {
	tokens  atomic.Int64 // decisions that may enter before the next refill
	filled  atomic.Int64 // second of the last refill
	records []DecisionRecord
	next    int
}

// refill brings the tokens up to date and reports whether there are any.
func (r *decisionRing) refill(second int64) bool {
	if last := r.filled.Load(); last != second && r.filled.CompareAndSwap(last, second) {
		gain := int64(feedBurst)
		if passed := second - last; passed >= 0 && passed < feedBurst/feedPerSec {
			gain = passed * feedPerSec
		}
		r.tokens.Store(min(max(r.tokens.Load(), 0)+gain, feedBurst))
	}
	return r.tokens.Load() > 0
}

// open reports whether successes, and errors and failovers, may enter the feed
// now. It is asked once for a run of events: most of a busy gateway's are not
// even looked at.
func (f *feed) open(second int64) (good, bad bool) {
	return f.good.refill(second), f.bad.refill(second)
}

// troubled holds for decisions that go into the ring of errors and failovers.
func (e *Event) troubled() bool {
	return e.Failed || e.FailoverCount > 0 || len(e.Attempts) > 0
}

func (r *decisionRing) put(d DecisionRecord) {
	if len(r.records) < feedRing {
		r.records = append(r.records, d)
		return
	}
	r.records[r.next] = d
	r.next = (r.next + 1) % feedRing
}

// offer gives the feed a decision; it copies what it keeps.
func (f *feed) offer(e *Event, self *origin) {
	ring := &f.good
	if e.troubled() {
		ring = &f.bad
	}
	if ring.tokens.Add(-1) < 0 {
		return
	}
	d := record(e, self.name)
	d.origin = self
	f.mu.Lock()
	defer f.mu.Unlock()
	d.Seq = f.sequence.Add(1)
	d.number = d.Seq
	ring.put(d)
	f.shown.Add(1)
}

// take puts in a decision of another node unless it is there.
func (f *feed) take(d DecisionRecord) bool {
	ring := &f.good
	if d.Failed || d.FailoverCount > 0 || len(d.Attempts) > 0 {
		ring = &f.bad
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range ring.records {
		if r := &ring.records[i]; r.number == d.number && r.origin == d.origin {
			return false
		}
	}
	d.Seq = f.sequence.Add(1)
	ring.put(d)
	return true
}

// sharedPerTick is how many decisions of a tick other nodes are told of.
const sharedPerTick = 10

// close chooses what to tell others of the decisions since the last tick: errors,
// then failovers, then a sample of the rest. It returns how many of n are left.
func (f *feed) close(self *origin, stamp uint32, n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	newest := f.sequence.Load()
	for _, wanted := range [...]func(d *DecisionRecord) bool{
		func(d *DecisionRecord) bool { return d.Failed },
		func(d *DecisionRecord) bool { return !d.Failed },
	} {
		for d := range f.bad.since(f.closed) {
			if n > 0 && d.origin == self && d.stamp == 0 && wanted(d) {
				d.stamp = stamp
				n--
			}
		}
	}
	for d := range f.good.since(f.closed) {
		if n > 0 && d.origin == self {
			d.stamp = stamp
			n--
		}
	}
	f.closed = newest
	return n
}

// since goes through the records after a sequence, newest first.
func (r *decisionRing) since(sequence uint64) iter.Seq[*DecisionRecord] {
	return func(yield func(*DecisionRecord) bool) {
		for i := range r.records {
			d := &r.records[(r.next+len(r.records)-1-i)%len(r.records)]
			if d.Seq <= sequence || !yield(d) {
				return
			}
		}
	}
}

// record copies a decision. All its strings share one piece of memory.
func record(e *Event, node string) DecisionRecord {
	d := DecisionRecord{
		TS: e.TS, Node: node, Transport: e.Transport, RequestOrigin: e.RequestOrigin, Failed: e.Failed,
		FailoverCount: e.FailoverCount, Weight: e.Weight, HasUpstream: e.Sent&FieldUpstream != 0,
		DurationMicros: e.DurationMicros, UpstreamMicros: e.UpstreamMicros,
	}
	strs := [...]struct {
		from string
		to   *string
	}{
		{e.RequestID, &d.RequestID},
		{e.EventID, &d.EventID},
		{e.Profile, &d.Profile},
		{e.SourceNode, &d.SourceNode},
		{e.SourceRegion, &d.Region},
		{e.Chain, &d.Chain},
		{e.Method, &d.Method},
		{e.Strategy, &d.Strategy},
		{e.ProviderID, &d.ProviderID},
		{e.ErrorCategory, &d.ErrorCategory},
		{e.ErrorCode, &d.ErrorCode},
	}
	var b strings.Builder
	for _, s := range strs {
		b.WriteString(s.from)
	}
	all := b.String()
	for _, s := range strs {
		*s.to, all = all[:len(s.from)], all[len(s.from):]
	}
	if len(e.Attempts) > 0 {
		d.Attempts = make([]Attempt, len(e.Attempts))
		for i, a := range e.Attempts {
			d.Attempts[i] = Attempt{
				ProviderID: strings.Clone(a.ProviderID), ErrorCategory: strings.Clone(a.ErrorCategory),
				ErrorCode: strings.Clone(a.ErrorCode), DurationMicros: a.DurationMicros, Transport: a.Transport,
			}
		}
	}
	return d
}

func (q *DecisionQuery) takes(d *DecisionRecord) bool {
	switch {
	case d.Seq <= q.AfterSeq,
		q.RequestID != "" && d.RequestID != q.RequestID,
		q.Failed && !q.Succeeded && !d.Failed,
		q.Succeeded && !q.Failed && d.Failed,
		d.DurationMicros < q.MinDurationMicros,
		(q.BeforeTS != 0 || q.BeforeSeq != 0) && (d.TS > q.BeforeTS || d.TS == q.BeforeTS && d.Seq >= q.BeforeSeq),
		!matches(q.ErrorCategories, d.ErrorCategory):
		return false
	}
	f := &q.Filter
	return matches(f[ChainDim], d.Chain) && matches(f[ProviderDim], d.ProviderID) && matches(f[MethodDim], d.Method) &&
		matches(f[StrategyDim], d.Strategy) && matches(f[RegionDim], d.Region) && matches(f[NodeDim], d.Node) &&
		matches(f[TransportDim], d.Transport.String()) && matches(f[RequestOriginDim], d.RequestOrigin.String())
}

// Decisions returns a page of the feed.
func (s *Store) Decisions(q DecisionQuery) Decisions {
	// Read before any feed: a decision that enters one meanwhile may be given out
	// twice, under the same key, but none is passed over.
	page := Decisions{LastSeq: s.feedSequence.Load()}
	for _, p := range s.allProfiles() {
		if !matches(q.Filter[ProfileDim], p.name) {
			continue
		}
		seen, shown, _ := p.tallies(q.Filter[NodeDim])
		page.Seen += seen
		page.Shown += shown
		p.feed.mu.Lock()
		for _, ring := range [...]*decisionRing{&p.feed.good, &p.feed.bad} {
			for i := range ring.records {
				if d := &ring.records[i]; q.takes(d) {
					page.Rows = append(page.Rows, *d)
				}
			}
		}
		p.feed.mu.Unlock()
	}
	slices.SortFunc(page.Rows, func(a, b DecisionRecord) int {
		return cmp.Or(cmp.Compare(b.TS, a.TS), cmp.Compare(b.Seq, a.Seq), strings.Compare(a.Profile, b.Profile))
	})
	if q.Limit > 0 && len(page.Rows) > q.Limit {
		page.Rows, page.More = page.Rows[:q.Limit], true
	}
	for i := range page.Rows {
		d := &page.Rows[i]
		d.Key = d.Node + "/" + d.Profile + "/" + strconv.FormatUint(d.number, 10)
	}
	return page
}

// OwnDecisions returns the decisions of a request that this node was told of, by
// their number here.
func (s *Store) OwnDecisions(requestID string) (list []Stamped[DecisionRecord]) {
	for _, p := range s.allProfiles() {
		p.feed.mu.Lock()
		for _, ring := range [...]*decisionRing{&p.feed.bad, &p.feed.good} {
			for i := range ring.records {
				if d := &ring.records[i]; d.origin == s.self && d.RequestID == requestID {
					v := *d
					v.Seq = d.number
					list = append(list, Stamped[DecisionRecord]{Stamp: uint64(d.stamp), Value: v})
				}
			}
		}
		p.feed.mu.Unlock()
	}
	return list
}
