package store

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"remuda/store/cell"
	"remuda/store/fair"
)

// The feed keeps recent decisions for people to look at. It is a sample, and
// says how many decisions it is a sample of; counts never come from it. Errors
// and failovers have a ring of their own, so that successes never displace them.
//
// Regions get equal shares of it: of what enters, of what is kept, and of what other
// nodes are told. A node that knows of others lists what all have been told, so that
// it does not matter which is asked; one that is alone lists all that it keeps.
type feed struct {
	seen, shown atomic.Uint64

	sequence *atomic.Uint64 // of decisions of all profiles, so that one number is a reader's place in all feeds

	mu     sync.Mutex
	gates  fair.Gates
	own    feedRings // of this node, as they came
	shared feedRings // of all nodes, as all were told
	closed uint64    // sequence up to which own ones were chosen from to be told
	turn   int       // whose turn it is to be told of first
}

// feedRings are the decisions that went well, and the others.
type feedRings [fair.Kinds]fair.Ring[DecisionRecord]

func (r *feedRings) of(d *DecisionRecord) *fair.Ring[DecisionRecord] { return &r[kindOf(d.troubled())] }

func (r *feedRings) put(d *DecisionRecord) { r.of(d).Put(d.Region, *d) }

func (r *feedRings) has(d *DecisionRecord) bool {
	return r.of(d).Has(d.Region, func(known *DecisionRecord) bool { return known.number == d.number && known.origin == d.origin })
}

// each calls do for all decisions, in no order.
func (r *feedRings) each(do func(d *DecisionRecord)) {
	r.since(0, do)
}

// since calls do for those after a sequence, of each region the newest first.
func (r *feedRings) since(sequence uint64, do func(d *DecisionRecord)) {
	for i := range r {
		r[i].Each(func(d *DecisionRecord) bool {
			if d.Seq <= sequence {
				return false
			}
			do(d)
			return true
		})
	}
}

// gate returns what may enter of a region, and how much of each kind may now. It is asked once
// for a batch: most decisions of a busy gateway are not even looked at.
func (f *feed) gate(region string, second int64) (*fair.Gate, [fair.Kinds]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.gates.Of(region, second)
	return g, g.Left()
}

// kindOf is the kind of a decision: of its ring, and of what may enter.
func kindOf(troubled bool) int {
	if troubled {
		return 1
	}
	return 0
}

// troubled holds for decisions that go into the ring of errors and failovers.
func (e *Event) troubled() bool {
	return e.Result == cell.Failure || e.FailoverCount > 0 || len(e.Attempts) > 0 && anyFailed(e.Attempts)
}

func (d *DecisionRecord) troubled() bool {
	return d.Result == cell.Failure || d.FailoverCount > 0 || len(d.Attempts) > 0 && anyFailed(d.Attempts)
}

func anyFailed(attempts []Attempt) bool {
	return slices.ContainsFunc(attempts, func(a Attempt) bool { return a.Result == cell.Failure })
}

// offer gives the feed a decision; it copies what it keeps.
func (f *feed) offer(e *Event, g *fair.Gate, self *origin) {
	d := record(e, self.name)
	d.origin = self
	f.mu.Lock()
	defer f.mu.Unlock()
	if !g.Enter(kindOf(e.troubled())) {
		return
	}
	d.Seq = f.sequence.Add(1)
	d.number = d.Seq
	f.own.put(&d)
	f.shown.Add(1)
}

// take puts in a decision of another node unless it is there.
func (f *feed) take(d DecisionRecord) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shared.has(&d) {
		return false
	}
	d.Seq = f.sequence.Add(1)
	f.shared.put(&d)
	return true
}

// sharedPerTick is how many decisions of a tick other nodes are told of.
const sharedPerTick = 10

// close chooses what to tell others of the decisions since the last tick, of all
// regions in turns: of each its errors, then failovers, then a sample of the rest. It
// returns how many of n are left.
func (f *feed) close(stamp uint32, n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	news := make(map[string][]*DecisionRecord)
	for _, wanted := range [...]func(d *DecisionRecord) bool{
		func(d *DecisionRecord) bool { return d.Result == cell.Failure },
		func(d *DecisionRecord) bool { return d.Result != cell.Failure && d.troubled() },
		func(d *DecisionRecord) bool { return !d.troubled() },
	} {
		f.own.since(f.closed, func(d *DecisionRecord) {
			if wanted(d) && len(news[d.Region]) < n {
				news[d.Region] = append(news[d.Region], d)
			}
		})
	}
	regions := make([]string, 0, len(news))
	for region := range news {
		regions = append(regions, region)
	}
	slices.Sort(regions)
	for ; n > 0 && len(regions) > 0; f.turn++ {
		i := f.turn % len(regions)
		list := news[regions[i]]
		if d := *list[0]; !f.shared.has(&d) {
			d.stamp, d.Seq = stamp, f.sequence.Add(1)
			f.shared.put(&d)
			n--
		}
		if news[regions[i]] = list[1:]; len(list) == 1 {
			regions = slices.Delete(regions, i, i+1)
		}
	}
	f.closed = f.sequence.Load()
	return n
}

// record copies a decision. All its strings share one piece of memory.
func record(e *Event, node string) DecisionRecord {
	d := DecisionRecord{
		TS: e.TS, Node: node, Transport: e.Transport, RequestOrigin: e.RequestOrigin, Result: e.Result, CallReason: e.CallReason,
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
				Result: a.Result, Reason: a.Reason,
			}
		}
	}
	return d
}

// found reports whether a query takes a decision but for its place in the order, and
// whether it does so for another try than the one that ended the request.
func (q *DecisionQuery) found(d *DecisionRecord) (attempt, ok bool) {
	f := &q.Filter
	if q.RequestID != "" && d.RequestID != q.RequestID ||
		len(q.Results) > 0 && !slices.Contains(q.Results, d.Result) ||
		d.DurationMicros < q.MinDurationMicros {
		return false, false
	}
	for dim := range NumDims {
		if dim != ProviderDim && dim != TransportDim && !matches(f[dim], d.dim(dim)) {
			return false, false
		}
	}
	call := func(provider, category string, transport Transport) bool {
		return matches(f[ProviderDim], provider) && matches(q.ErrorCategories, category) && matches(f[TransportDim], transport.String())
	}
	if call(d.ProviderID, d.ErrorCategory, d.Transport) {
		return false, true
	}
	return true, len(f[ProviderDim]) > 0 && slices.ContainsFunc(d.Attempts, func(a Attempt) bool {
		return call(a.ProviderID, a.ErrorCategory, a.Transport)
	})
}

// dim returns the value of a dimension of the decision and, where tries differ, of the
// one that ended the request.
func (d *DecisionRecord) dim(dim Dim) string {
	switch dim {
	case ProfileDim:
		return d.Profile
	case ChainDim:
		return d.Chain
	case ProviderDim:
		return d.ProviderID
	case MethodDim:
		return d.Method
	case TransportDim:
		return d.Transport.String()
	case StrategyDim:
		return d.Strategy
	case RequestOriginDim:
		return d.RequestOrigin.String()
	case RegionDim:
		return d.Region
	case NodeDim:
		return d.Node
	}
	return ""
}

// reached reports whether a decision, whose ts readers have as ts, is in the part of the
// order that is asked for.
func (q *DecisionQuery) reached(d *DecisionRecord, ts int64) bool {
	return d.Seq > q.AfterSeq && (q.BeforeTS == 0 && q.BeforeSeq == 0 || ts < q.BeforeTS || ts == q.BeforeTS && d.Seq < q.BeforeSeq)
}

// alone reports whether no other node is known.
func (s *Store) alone() bool {
	_, known, _ := s.coverage()
	return known <= 1
}

// Decisions returns a page of the feed.
func (s *Store) Decisions(q DecisionQuery) Decisions {
	// Read before any feed: a decision that enters one meanwhile may be given out
	// twice, under the same key, but none is passed over.
	page := Decisions{LastSeq: s.feedSequence.Load(), ByRegion: make(map[string]int), ByNode: make(map[string]int)}
	add := func(d *DecisionRecord) {
		attempt, ok := q.found(d)
		if !ok {
			return
		}
		page.ByRegion[d.Region]++
		page.ByNode[d.Node]++
		if ts := s.clock.shown(d.TS); q.reached(d, ts) {
			page.Rows = append(page.Rows, *d)
			row := &page.Rows[len(page.Rows)-1]
			row.TS, row.ByAttempt = ts, attempt
		}
	}
	everything := s.alone() || q.RequestID != ""
	for _, p := range s.allProfiles() {
		if !matches(q.Filter[ProfileDim], p.name) {
			continue
		}
		seen, shown, _ := p.tallies(q.Filter[NodeDim])
		page.Seen += seen
		page.Shown += shown
		p.feed.mu.Lock()
		if everything {
			p.feed.own.each(add)
		}
		p.feed.shared.each(func(d *DecisionRecord) {
			if !everything || d.origin != s.self {
				add(d)
			}
		})
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
		p.feed.own.each(func(d *DecisionRecord) {
			if d.RequestID == requestID {
				list = append(list, Stamped[DecisionRecord]{Value: *d})
			}
		})
		p.feed.mu.Unlock()
	}
	return list
}
