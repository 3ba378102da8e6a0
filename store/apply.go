package store

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
)

// batch is the scratch memory of one Apply. The calls of a batch are sorted by
// shard, so that each shard is locked once, and so are the identities.
type batch struct {
	verdicts   []verdict
	profiles   []*profile // of each event
	acquired   []*profile // to be released
	keys       []byte
	identities []identity
	touches    []touch
	overflown  []int32 // touches whose series has no room
	heads      [numShards]int32
}

// touch is one call on its way to its series. It holds all that is needed there,
// so that the time under the shard's mutex is short.
type touch struct {
	call
	hash  uint64
	ts    int64
	key   uint32 // where the key begins in keys
	size  uint32
	event int32
	next  int32 // the next touch of the same shard, or -1
}

type identity struct {
	hash  uint64
	event int32
	next  int32
}

type verdict uint8

const (
	accepted verdict = iota
	duplicate
	refused
)

// Apply deduplicates validated events and counts them. The receipt's refusals
// carry indexes into events and no lines; the only code here is too_many_series,
// for what no cap leaves room for. When Apply returns, the events and all they
// point to may be reused, and every read begun later sees them.
func (s *Store) Apply(events []Event) Receipt {
	b := s.applyScratch.Get().(*batch)
	defer s.applyScratch.Put(b)
	now := s.clock.now()
	var receipt Receipt

	s.admit(b, events, &receipt)
	receipt.Duplicates = s.deduplicate(b, events, now)
	s.count(b, events, now/1000)
	s.report(b, events, now)
	for _, p := range b.acquired {
		p.release()
	}

	receipt.Accepted = len(events) - receipt.Duplicates - receipt.Rejected
	s.counters.accepted.Add(uint64(receipt.Accepted))
	s.counters.duplicate.Add(uint64(receipt.Duplicates))
	return receipt
}

// Admit reports whether the caps leave room for an event, for batches that are
// to be counted whole or not at all.
func (s *Store) Admit(e *Event) bool {
	p := s.acquireProfile(e.Profile)
	if p == nil {
		return false
	}
	defer p.release()
	return e.Kind == Decision || p.hasRoom(e)
}

// admit refuses what no cap leaves room for. It comes before deduplication: a
// refused event must not be remembered as seen.
func (s *Store) admit(b *batch, events []Event, receipt *Receipt) {
	b.verdicts, b.profiles, b.acquired = b.verdicts[:0], b.profiles[:0], b.acquired[:0]
	var p *profile
	for i := range events {
		e := &events[i]
		if p == nil || p.name != e.Profile {
			if p = s.acquireProfile(e.Profile); p != nil {
				b.acquired = append(b.acquired, p)
			}
		}
		b.profiles = append(b.profiles, p)
		if p != nil && (e.Kind == Decision || p.hasRoom(e)) {
			b.verdicts = append(b.verdicts, accepted)
			continue
		}
		b.verdicts = append(b.verdicts, refused)
		receipt.Rejected++
		if len(receipt.Refusals) < MaxListedRefusals {
			detail := fmt.Sprintf("this node holds %d latest values, as many as it may", s.options.MaxLatestValues)
			if p == nil {
				detail = fmt.Sprintf("this node holds %d profiles, as many as it may", maxProfiles)
			}
			receipt.Refusals = append(receipt.Refusals, Refusal{Index: i, Code: "too_many_series", Detail: detail})
		}
	}
}

// deduplicate marks the events whose identity was seen before.
func (s *Store) deduplicate(b *batch, events []Event, now int64) (duplicates int) {
	b.identities = b.identities[:0]
	for i := range events {
		e := &events[i]
		if b.verdicts[i] == refused || e.EventID == "" && e.RequestID == "" {
			continue
		}
		b.keys = appendIdentity(b.keys[:0], e)
		b.identities = append(b.identities, identity{hash: maphash.Bytes(s.seed, b.keys), event: int32(i)})
	}
	for i := range b.heads {
		b.heads[i] = -1
	}
	for i := len(b.identities) - 1; i >= 0; i-- {
		id := &b.identities[i]
		head := &b.heads[dedupShardOf(id.hash)]
		id.next = *head
		*head = int32(i)
	}
	for n, i := range b.heads {
		if i < 0 {
			continue
		}
		sh := &s.dedup.shards[n]
		sh.mu.Lock()
		sh.turn(now)
		for i >= 0 {
			id := &b.identities[i]
			if sh.seen(id.hash, s.dedup.maxSlots, now) {
				b.verdicts[id.event] = duplicate
				duplicates++
			}
			i = id.next
		}
		sh.mu.Unlock()
	}
	return duplicates
}

// appendIdentity appends what makes an event itself: its event_id, or else all
// fields as the sender gave them.
func appendIdentity(dst []byte, e *Event) []byte {
	dst = append(append(dst, e.Profile...), 0)
	if e.EventID != "" {
		return append(dst, e.EventID...)
	}
	dst = append(append(dst, 0), e.RequestID...)
	dst = append(append(dst, 0), e.Chain...)
	dst = append(append(dst, 0), e.ProviderID...)
	dst = append(append(dst, 0), e.Method...)
	dst = append(append(dst, 0), e.Strategy...)
	dst = append(append(dst, 0), e.SourceNode...)
	dst = append(append(dst, 0), e.SourceRegion...)
	dst = append(append(dst, 0), e.ErrorCategory...)
	dst = append(append(dst, 0), e.ErrorCode...)
	dst = append(append(dst, 0), e.Reason...)
	var fixed [80]byte
	binary.LittleEndian.PutUint32(fixed[0:], uint32(e.Sent))
	binary.LittleEndian.PutUint32(fixed[4:], e.Weight)
	binary.LittleEndian.PutUint64(fixed[8:], uint64(e.SentTS))
	binary.LittleEndian.PutUint64(fixed[16:], e.DurationMicros)
	binary.LittleEndian.PutUint64(fixed[24:], e.UpstreamMicros)
	binary.LittleEndian.PutUint64(fixed[32:], e.Other)
	binary.LittleEndian.PutUint64(fixed[40:], e.Height)
	binary.LittleEndian.PutUint32(fixed[48:], e.FailoverCount)
	fixed[52] = byte(e.Kind)
	fixed[53] = byte(e.Transport) | byte(e.RequestOrigin)<<4
	fixed[54] = byte(e.From) | byte(e.To)<<4
	fixed[55] = byte(e.Status) | byte(e.HeightSource)<<4
	if e.Failed {
		fixed[56] = 1
	}
	binary.LittleEndian.PutUint32(fixed[60:], e.ConsecutiveFailures)
	binary.LittleEndian.PutUint32(fixed[64:], e.ConsecutiveSuccesses)
	binary.LittleEndian.PutUint64(fixed[72:], e.LatencyMicros)
	dst = append(dst, fixed[:]...)
	for i := range e.Attempts {
		a := &e.Attempts[i]
		dst = append(append(dst, 0), a.ProviderID...)
		dst = append(append(dst, 0), a.ErrorCategory...)
		dst = append(append(dst, 0), a.ErrorCode...)
		dst = append(dst, byte(a.Transport))
		dst = binary.LittleEndian.AppendUint64(dst, a.DurationMicros)
	}
	return dst
}

// count adds the calls of accepted decisions to their series.
func (s *Store) count(b *batch, events []Event, second int64) {
	b.keys, b.touches, b.overflown = b.keys[:0], b.touches[:0], b.overflown[:0]
	for i := range events {
		e := &events[i]
		if e.Kind != Decision || b.verdicts[i] != accepted {
			continue
		}
		t := s.touch(b, e, i, e.ProviderID, e.Transport)
		t.micros, t.failed, t.final = e.UpstreamMicros, e.Failed, true
		t.failovers = uint64(e.FailoverCount) * uint64(e.Weight)
		s.complete(t, e.ErrorCategory)
		for a := range e.Attempts {
			attempt := &e.Attempts[a]
			t := s.touch(b, e, i, attempt.ProviderID, attempt.Transport)
			t.micros, t.failed = attempt.DurationMicros, true
			s.complete(t, attempt.ErrorCategory)
		}
	}
	for i := range b.heads {
		b.heads[i] = -1
	}
	for i := len(b.touches) - 1; i >= 0; i-- {
		t := &b.touches[i]
		head := &b.heads[shardOf(t.hash)]
		t.next = *head
		*head = int32(i)
	}
	for n, i := range b.heads {
		if i < 0 {
			continue
		}
		sh := &s.shards[n]
		sh.mu.Lock()
		sh.advance(second)
		s.revision.Add(1)
		for i >= 0 {
			t := &b.touches[i]
			if !sh.count(t, b.keys[t.key:t.key+t.size], b.profiles[t.event], 0) {
				b.overflown = append(b.overflown, i)
			}
			i = t.next
		}
		sh.mu.Unlock()
	}
	for _, i := range b.overflown {
		t := &b.touches[i]
		s.countOverflow(t, b.keys[t.key:t.key+t.size], b.profiles[t.event], second)
	}
}

// touch appends a touch with everything but the call.
func (s *Store) touch(b *batch, e *Event, event int, provider string, transport Transport) *touch {
	begin := len(b.keys)
	b.keys = appendKey(b.keys, e, provider, transport)
	key := b.keys[begin:]
	b.touches = append(b.touches, touch{
		hash: maphash.Bytes(s.seed, key), key: uint32(begin), size: uint32(len(key)),
		ts: e.TS, event: int32(event), call: call{weight: uint64(e.Weight)},
	})
	return &b.touches[len(b.touches)-1]
}

// complete derives the rest of a call.
func (s *Store) complete(t *touch, category string) {
	t.bucket = bucketOf(t.micros)
	if t.failed {
		t.category = s.categories.id(category)
		t.providerFault = !s.categories.get(t.category).blameless
	}
}

func shardOf(hash uint64) int { return int(hash >> 58) }

// countOverflow counts a call whose series has no room under a coarser key.
func (s *Store) countOverflow(t *touch, key []byte, p *profile, second int64) {
	s.overflow.Add(t.weight)
	p.overflow.Add(t.weight)
	for level := 1; level <= 2; level++ {
		coarser := overflowKey(key, level)
		t.hash = maphash.Bytes(s.seed, coarser)
		sh := &s.shards[shardOf(t.hash)]
		sh.mu.Lock()
		sh.advance(second)
		s.revision.Add(1)
		ok := sh.count(t, coarser, p, level)
		sh.mu.Unlock()
		if ok {
			return
		}
	}
}

// reserveSeries takes a place for a new series. Series without their method get
// an eighth on top of the cap; those with nothing but their profile are few and
// always get a place.
func (s *Store) reserveSeries(p *profile, level int) bool {
	limit, profileLimit := int64(s.options.MaxSeries), int64(s.options.MaxSeriesPerProfile)
	if level == 1 {
		limit, profileLimit = limit+limit/8, profileLimit+profileLimit/8
	}
	total, own := s.seriesCount.Add(1), p.series.Add(1)
	if level == 2 || total <= limit && own <= profileLimit {
		return true
	}
	s.seriesCount.Add(-1)
	p.series.Add(-1)
	return false
}

// count adds one call to its series, a new one while there is room. The caller
// holds the shard's mutex.
func (sh *shard) count(t *touch, key []byte, p *profile, level int) bool {
	series := sh.find(t.hash, key)
	if series == nil {
		if !sh.store.reserveSeries(p, level) {
			return false
		}
		series = sh.add(t.hash, key, p)
	}
	sh.touch(series)
	sh.localRow(series).count(&t.call, t.ts)
	return true
}

// localRow returns this node's own row of a series.
func (sh *shard) localRow(s *series) *row {
	local := sh.parts[0]
	for _, r := range s.rows {
		if r.origin == local {
			return r
		}
	}
	r := local.addRow(s)
	s.rows[0], s.rows[len(s.rows)-1] = s.rows[len(s.rows)-1], s.rows[0]
	return r
}

// count adds a call to the cell that its ts falls into.
func (r *row) count(k *call, ts int64) {
	r.lastSeen = max(r.lastSeen, ts)
	r.lifetime.add(k)
	second := ts / 1000

	// Fast path: the second of the call before.
	if r.cur != nil && r.cur.step == second {
		r.cur.add(k)
		r.cur.dirty = true
		if !r.dirty {
			r.origin.markDirty(r)
		}
		return
	}

	// Slow path: a new second, or an old one.
	tier, step := r.tierOf(second)
	l := r.cell(tier, step)
	l.add(k)
	l.dirty = true
	summed := false
	for t, s := tier+1, step; t < numTiers; t++ {
		s /= tierRatio[t]
		if !r.has(t, s) {
			continue
		}
		// The sum of this step was made: it grows too.
		c := r.cell(t, s)
		c.add(k)
		c.dirty = true
		summed = true
	}
	if tier == tier1s && !summed {
		r.cur = l
	}
	r.origin.markDirty(r)
}

// tierOf is the finest tier that still keeps a second.
func (r *row) tierOf(second int64) (tier int, step int64) {
	for tier = tier1s; tier < tier60s; tier++ {
		if step = stepAt(tier, second); step >= keptStart(tier, r.origin.now) {
			return tier, step
		}
	}
	return tier60s, max(stepAt(tier60s, second), keptStart(tier60s, r.origin.now))
}

// cell opens the cell of a step and sees to it that the row is settled when the
// cell leaves its first window.
func (r *row) cell(tier int, step int64) *liveCell {
	if l := r.open(tier, step); l != nil {
		return l
	}
	l := r.openCell(tier, step)
	r.queueSum(tier, step)
	o := r.origin
	if tier == tier1s && step >= windowStart(Window10s, o.now) {
		o.schedule(r, step+windowSteps[Window10s]+1)
	} else {
		o.schedule(r, o.now+1)
	}
	return l
}
