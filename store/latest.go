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
	says []said[V] // by origin, seldom more than one; never empty
	best int       // of says
}

// said is the latest value that one origin was told.
type said[V value] struct {
	origin *origin
	now    V
	dirty  bool // now is not what was closed

	// Of a height that has turned stale, or whose node fell silent: what was wrong with
	// it, see wrongHeight.
	judged bool
	wrong  Status
	detail string

	// What the last tick closed is all that leaves this node.
	closed      V
	born, stamp uint32
	share       uint64 // in the origin's digest
}

// of returns what an origin was told, nil when it was told nothing.
func (r *reported[V]) of(o *origin) *said[V] {
	if r == nil {
		return nil
	}
	for i := range r.says {
		if r.says[i].origin == o {
			return &r.says[i]
		}
	}
	return nil
}

// choose finds the newest: by when it was seen, and by origin where that is equal,
// so that all nodes choose alike.
func (r *reported[V]) choose() {
	for i := range r.says {
		if a, b := &r.says[i], &r.says[r.best%len(r.says)]; a.newer(b) {
			r.best = i
		}
	}
	r.best %= len(r.says)
}

func (a *said[V]) newer(b *said[V]) bool {
	x, y := a.origin.Local(a.now.seenAt()), b.origin.Local(b.now.seenAt())
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
		return &r.says[r.best]
	}
	var newest *said[V]
	for i := range r.says {
		if s := &r.says[i]; matches(nodes, s.origin.name) && (newest == nil || s.newer(newest)) {
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
	a.closed, a.stamp = a.now, stamp
	if a.born == 0 {
		a.born = stamp
	}
	a.account(mark)
}

// account brings the share in the origin's digest up to date. mark is the hash of
// the key.
func (a *said[V]) account(mark uint64) {
	share := mix(mark^a.closed.hash(), uint64(a.stamp)+1)
	a.origin.digest.Add(share - a.share)
	a.share = share
}

// latestValues are the values of one kind of a chain.
type latestValues[V value] map[reportKey]*reported[V]

// put makes v what an origin was told, unless it knows something newer.
func (m latestValues[V]) put(key reportKey, o *origin, v V) (isNew, ok bool) {
	r := m[key]
	if a := r.of(o); a != nil {
		if v.seenAt() < a.now.seenAt() {
			return false, false
		}
		a.now, a.dirty = v, true
		a.judged, a.detail = false, ""
		r.choose()
		return false, true
	}
	if r == nil {
		r = new(reported[V])
		m[key] = r
	}
	r.says = append(r.says, said[V]{origin: o, now: v, dirty: true})
	r.choose()
	return true, true
}

// merge takes over what another origin closed. It reports whether there is one
// more, and whether anything changed.
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
		r.says = append(r.says, said[V]{origin: o, born: born, share: o.again(mix(mark, uint64(born)))})
		a = &r.says[len(r.says)-1]
		isNew = true
	case a.born != born: // it was dropped there and came again
		a.born, a.share = born, 0
	}
	a.now, a.closed, a.stamp = v, v, stamp
	a.judged, a.detail = false, ""
	a.account(mark)
	r.choose()
	return isNew, true
}

// drop removes what keep refuses and returns how many values that were.
func (m latestValues[V]) drop(chain *chainReports, kind byte, keep func(key reportKey, a *said[V]) bool) (dropped int) {
	s := chain.profile.store
	for key, r := range m {
		before := len(r.says)
		for i := 0; i < len(r.says); {
			a := &r.says[i]
			if keep(key, a) {
				i++
				continue
			}
			if a.origin != s.self && a.share != 0 {
				a.origin.drop(mix(chain.mark(kind, key), uint64(a.born)), a.share, s.clock.now()/1000)
			}
			r.says = slices.Delete(r.says, i, i+1)
			dropped++
		}
		if len(r.says) == 0 {
			delete(m, key)
		} else if len(r.says) < before {
			r.best = 0
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
	return now-a.origin.Local(a.now.seenAt()) <= within && !a.origin.silent.Load()
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
