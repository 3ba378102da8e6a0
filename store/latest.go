package store

import "slices"

// How long a report counts, in ms. A circuit counts for as long as its sender is
// heard of, because breakers only report transitions.
const (
	heightFresh = 60_000
	healthFresh = 300_000
	reportKept  = 3_600_000 // a report that nobody renewed is forgotten
	changesKept = 200       // circuit changes, per profile
)

// reportKey names the latest value of one kind within a chain.
type reportKey struct {
	provider, region, sender string
	transport                Transport
}

// value is one of CircuitReport, BlockReport and HealthReport.
type value interface {
	seenAt() int64
	hash() uint64
}

// reported is what is known of one key: what each origin was told last. A sender
// may change the node it reports to, so there may be several; the newest counts.
type reported[V value] struct {
	byOrigin []said[V] // seldom more than one; never empty
	newest   int       // index of the one that counts
}

// said is the latest value that one origin was told.
type said[V value] struct {
	origin *origin
	report V
	dirty  bool // there is more in it than was closed

	// Of a height that has turned stale, or whose node fell silent: what was wrong with
	// it, see wrongHeight.
	judged bool
	wrong  Status
	detail string

	// What the last tick closed is all that leaves this node.
	closedReport V
	born, stamp  uint32
	share        uint64 // in the origin's digest
}

// of returns what an origin was told, nil when it was told nothing.
func (r *reported[V]) of(o *origin) *said[V] {
	if r == nil {
		return nil
	}
	for i := range r.byOrigin {
		if r.byOrigin[i].origin == o {
			return &r.byOrigin[i]
		}
	}
	return nil
}

// choose finds the newest: by when it was seen, and by origin where that is equal,
// so that all nodes choose alike.
func (r *reported[V]) choose() {
	for i := range r.byOrigin {
		if a, b := &r.byOrigin[i], &r.byOrigin[r.newest%len(r.byOrigin)]; a.newer(b) {
			r.newest = i
		}
	}
	r.newest %= len(r.byOrigin)
}

func (a *said[V]) newer(b *said[V]) bool {
	x, y := a.origin.Local(a.report.seenAt()), b.origin.Local(b.report.seenAt())
	if x != y {
		return x > y
	}
	if a.origin.name != b.origin.name {
		return a.origin.name > b.origin.name
	}
	return a.origin.incarnation > b.origin.incarnation
}

// pick returns the newest value of the nodes that a filter takes, nil when there
// is none.
func (r *reported[V]) pick(nodes []string) *said[V] {
	if len(nodes) == 0 {
		return &r.byOrigin[r.newest]
	}
	var newest *said[V]
	for i := range r.byOrigin {
		if s := &r.byOrigin[i]; matches(nodes, s.origin.name) && (newest == nil || s.newer(newest)) {
			newest = s
		}
	}
	return newest
}

// close stamps what has changed since the last tick.
func (a *said[V]) close(mark uint64, stamp uint32) {
	if !a.dirty {
		return
	}
	a.dirty = false
	a.closedReport, a.stamp = a.report, stamp
	if a.born == 0 {
		a.born = stamp
	}
	a.account(mark)
}

// account brings the share in the origin's digest up to date. mark is the hash of
// the key.
func (a *said[V]) account(mark uint64) {
	share := mix(mark^a.closedReport.hash(), uint64(a.stamp)+1)
	a.origin.digest.Add(share - a.share)
	a.share = share
}

// latestValues are the values of one kind of a chain.
type latestValues[V value] map[reportKey]*reported[V]

// put makes v what an origin was told, unless it knows something newer.
func (m latestValues[V]) put(key reportKey, o *origin, v V) (isNew, ok bool) {
	r := m[key]
	if a := r.of(o); a != nil {
		if v.seenAt() < a.report.seenAt() {
			return false, false
		}
		a.report, a.dirty = v, true
		a.judged, a.detail = false, ""
		r.choose()
		return false, true
	}
	if r == nil {
		r = new(reported[V])
		m[key] = r
	}
	r.byOrigin = append(r.byOrigin, said[V]{origin: o, report: v, dirty: true})
	r.choose()
	return true, true
}

// merge takes over what another origin closed. It reports whether there is one
// more, and whether anything changed.
//
// Say an origin closes a height with stamp 7, and so it was born at 7. With stamp 9 it closes
// a higher one: the share of the first in the digest is replaced. It hears no more, drops it
// after an hour, and with stamp 8000 closes a new one, born at 8000. There the share of the
// dropped one has stayed in the digest, and so it must here, dropped by now or not: that of
// the new one is added to it.
func (m latestValues[V]) merge(key reportKey, o *origin, v V, born, stamp uint32, mark uint64) (isNew, changed bool) {
	r := m[key]
	a := r.of(o)
	switch {
	case a != nil && a.stamp >= stamp:
		return false, false
	case a == nil:
		if r == nil {
			r = new(reported[V])
			m[key] = r
		}
		r.byOrigin = append(r.byOrigin, said[V]{origin: o, born: born, share: o.again(mix(mark, uint64(born)))})
		a = &r.byOrigin[len(r.byOrigin)-1]
		isNew = true
	case a.born != born: // it was dropped there and came again
		a.born, a.share = born, 0
	}
	a.report, a.closedReport, a.stamp = v, v, stamp
	a.judged, a.detail = false, ""
	a.account(mark)
	r.choose()
	return isNew, true
}

// drop removes what keep refuses and returns how many values that were.
func (m latestValues[V]) drop(chain *chainReports, kind byte, keep func(key reportKey, a *said[V]) bool) (dropped int) {
	s := chain.profile.store
	for key, r := range m {
		before := len(r.byOrigin)
		for i := 0; i < len(r.byOrigin); {
			a := &r.byOrigin[i]
			if keep(key, a) {
				i++
				continue
			}
			if a.origin != s.self && a.share != 0 {
				a.origin.drop(mix(chain.mark(kind, key), uint64(a.born)), a.share, s.clock.now()/1000)
			}
			r.byOrigin = slices.Delete(r.byOrigin, i, i+1)
			dropped++
		}
		if len(r.byOrigin) == 0 {
			delete(m, key)
		} else if len(r.byOrigin) < before {
			r.newest = 0
			r.choose()
		}
	}
	return dropped
}

func (m latestValues[V]) close(c *chainReports, kind byte, stamp uint32) {
	self := c.profile.store.self
	for key, r := range m {
		if a := r.of(self); a != nil && a.dirty {
			a.close(c.mark(kind, key), stamp)
		}
	}
}

// fresh reports whether a value is young enough, and its node heard of.
func (a *said[V]) fresh(now, within int64) bool {
	return now-a.origin.Local(a.report.seenAt()) <= within && !a.origin.silent.Load()
}

func (r CircuitReport) seenAt() int64 { return r.LastSeenAt }
func (r BlockReport) seenAt() int64   { return r.LastSeenAt }
func (r HealthReport) seenAt() int64  { return r.LastSeenAt }

func (r CircuitReport) hash() uint64 {
	return mix(portableHash(r.Reason)^uint64(r.LastSeenAt), uint64(r.SinceAt)<<8|uint64(r.State))
}

func (r BlockReport) hash() uint64 {
	return mix(r.Height^uint64(r.Source)<<56, uint64(r.LastSeenAt))
}

func (r HealthReport) hash() uint64 {
	h := mix(portableHash(r.Reason)^uint64(r.LastSeenAt), uint64(r.ConsecutiveFailures)<<32|uint64(r.ConsecutiveSuccesses))
	latency := r.LatencyMicros << 1
	if r.HasLatency {
		latency |= 1
	}
	return mix(h^latency, uint64(r.Status)+1)
}
