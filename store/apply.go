package store

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"remuda/store/cell"
	"remuda/store/dedup"
	"remuda/store/fair"
)

// batch is the scratch memory of one Apply. The calls of a batch are sorted by
// shard, so that each shard is locked once, and so are the identities.
type batch struct {
	verdicts   []verdict
	runs       []run
	acquired   []*profile // to be released
	keys       []byte
	rest       []byte // of an identity
	identities dedup.Batch
	touches    []touch
	order      []int32 // the touches to count, by shard
	overflown  []int32 // touches whose series has no room
	reports    bool    // an event is not a decision
	gates      []batchGate
	lastGate   int
	offers     []offer // decisions for the feed, unless they are duplicates
	body       Body    // of a batch that is all of its body
	places     places
}

// touch is one call on its way to its series. It holds all that is needed there,
// so that the time under the shard's mutex is short.
type touch struct {
	cell.Call
	hash  uint64
	ts    int64
	key   uint32 // where the key begins in keys
	event int32
	run   int32
	size  uint16
}

// run is a stretch of events of one sender and profile.
type run struct {
	profile *profile // nil when there is no room for it
	sender  *sender
	node    uint64 // hash of the sender's name
	end     int    // index of the first event behind it
	said    senderBatch
}

// batchGate is what the feed of a profile takes of a region.
type batchGate struct {
	feed   *feed
	region string
	gate   *fair.Gate
	left   [fair.Kinds]int
}

type offer struct {
	feed  *feed
	gate  *fair.Gate
	event int32
}

type verdict uint8

const (
	accepted verdict = iota
	duplicate
	refused
)

// Apply deduplicates validated events and counts them. The receipt's refusals
// carry indexes into events and no lines; the only code here is too_many_series,
// for what no cap leaves room for. Apply may change the instants of events. When it
// returns, the events and all they point to may be reused, and every read begun later
// sees them.
func (s *Store) Apply(events []Event) Receipt { return s.ApplyPart(events, nil) }

// ApplyPart is Apply for a part of a body; nil when the events are all of it.
func (s *Store) ApplyPart(events []Event, body *Body) Receipt {
	b := s.applyScratch.Get().(*batch)
	defer s.applyScratch.Put(b)
	now := s.clock.now()
	s.toOwnClock(events, now)
	var receipt Receipt

	s.prepare(b, events, now, &receipt)
	receipt.Duplicates = s.dedup.See(&b.identities, now, func(event int32) { b.verdicts[event] = duplicate })
	switch {
	case receipt.Duplicates > 0:
		receipt.Duplicates = s.repeats(b, events, body, now)
	case body != nil:
		body.equal.Note(&b.identities)
	}
	s.count(b, now/1000)
	s.report(b, events, now, s.numbered(body))
	s.freePlaces(&b.places)
	for _, p := range b.acquired {
		p.release()
	}

	receipt.Accepted = len(events) - receipt.Duplicates - receipt.Rejected
	s.accepted.Add(uint64(receipt.Accepted))
	s.duplicates.Add(uint64(receipt.Duplicates))
	return receipt
}

// toOwnClock has instants of events be of the store's clock.
func (s *Store) toOwnClock(events []Event, now int64) {
	behind := s.clock.behind.Load()
	if behind == 0 {
		return
	}
	for i := range events {
		e := &events[i]
		e.TS = min(e.TS+behind, now+MaxAhead) // also when it was under way while the wall stepped
		if e.SinceAt != 0 {
			e.SinceAt = min(e.SinceAt+behind, e.TS)
		}
	}
}

// prepare does all that needs no lock of a shard: it refuses what no cap leaves
// room for (before deduplication, lest a refused event be remembered as seen),
// computes identities and makes the touches.
func (s *Store) prepare(b *batch, events []Event, now int64, receipt *Receipt) {
	b.verdicts, b.runs, b.acquired = b.verdicts[:0], b.runs[:0], b.acquired[:0]
	b.keys, b.touches = b.keys[:0], b.touches[:0]
	b.identities.Reset()
	b.reports = false
	b.gates, b.lastGate, b.offers = b.gates[:0], -1, b.offers[:0]
	var r *run
	for i := range events {
		e := &events[i]
		if r == nil || r.sender == nil || r.sender.name != e.SourceNode || r.profile.name != e.Profile {
			r = s.newRun(b, e, now)
		}
		r.end = i + 1
		if r.profile == nil || e.Kind != Decision && !s.room(&b.places, r.profile, e, len(events)-i) {
			b.verdicts = append(b.verdicts, refused)
			s.refuse(i, e, r, now, receipt)
			continue
		}
		b.verdicts = append(b.verdicts, accepted)
		r.said.see(e, now/1000)

		begin := len(b.keys)
		b.keys = appendKey(b.keys, e, e.ProviderID, e.Transport)
		hash := maphash.Bytes(s.seed, b.keys[begin:])
		if e.EventID != "" || e.RequestID != "" {
			b.identities.Add(s.identity(b, e, r, hash), int32(i))
		}
		if e.Kind != Decision {
			b.keys = b.keys[:begin]
			b.reports = true
			continue
		}
		b.offer(&r.profile.feed, e, int32(i), now/1000)
		b.touches = append(b.touches, touch{
			Call: cell.Call{
				Micros: e.UpstreamMicros, Weight: e.Weight, Failovers: e.FailoverCount,
				Result: e.Result, Final: true, Hedge: e.CallReason == ReasonHedge, Bucket: uint16(cell.BucketOf(e.UpstreamMicros)),
			},
			hash: hash, ts: e.TS, key: uint32(begin), size: uint16(len(b.keys) - begin), event: int32(i), run: int32(len(b.runs) - 1),
		})
		if e.Result == cell.Failure {
			s.blame(&b.touches[len(b.touches)-1].Call, e.ErrorCategory)
		}
		if len(e.Attempts) > 0 {
			s.prepareAttempts(b, e, i)
		}
	}
}

// offer notes a decision that its feed has room for.
func (b *batch) offer(f *feed, e *Event, event int32, second int64) {
	i := b.lastGate
	if i < 0 || b.gates[i].feed != f || b.gates[i].region != e.SourceRegion {
		i = slices.IndexFunc(b.gates, func(g batchGate) bool { return g.feed == f && g.region == e.SourceRegion })
		if i < 0 {
			if len(b.gates) == fair.MaxRegions { // nobody sends so many at once
				b.gates = b.gates[:0]
			}
			g := batchGate{feed: f, region: e.SourceRegion}
			g.gate, g.left = f.gate(e.SourceRegion, second)
			i = len(b.gates)
			b.gates = append(b.gates, g)
		}
		b.lastGate = i
	}
	kind := kindOf(e.troubled())
	if g := &b.gates[i]; g.left[kind] > 0 {
		g.left[kind]--
		b.offers = append(b.offers, offer{f, g.gate, event})
	}
}

func (s *Store) prepareAttempts(b *batch, e *Event, event int) {
	for i := range e.Attempts {
		a := &e.Attempts[i]
		begin := len(b.keys)
		b.keys = appendKey(b.keys, e, a.ProviderID, a.Transport)
		b.touches = append(b.touches, touch{
			Call: cell.Call{
				Micros: a.DurationMicros, Weight: e.Weight, Result: a.Result, Hedge: a.Reason == ReasonHedge,
				Bucket: uint16(cell.BucketOf(a.DurationMicros)),
			},
			hash: maphash.Bytes(s.seed, b.keys[begin:]), ts: e.TS,
			key: uint32(begin), size: uint16(len(b.keys) - begin), event: int32(event), run: int32(len(b.runs) - 1),
		})
		if a.Result == cell.Failure {
			s.blame(&b.touches[len(b.touches)-1].Call, a.ErrorCategory)
		}
	}
}

// blame sets the category of a failed call and whose fault it was.
func (s *Store) blame(k *cell.Call, category string) {
	k.Category = s.categories.ID(category)
	k.ProviderFault = !s.categories.Blameless(k.Category)
}

func (s *Store) newRun(b *batch, e *Event, now int64) *run {
	r := run{node: maphash.String(s.seed, e.SourceNode)}
	if len(b.runs) > 0 && b.runs[len(b.runs)-1].profile != nil && b.runs[len(b.runs)-1].profile.name == e.Profile {
		r.profile = b.runs[len(b.runs)-1].profile
	} else if r.profile = s.acquireProfile(e.Profile); r.profile != nil {
		b.acquired = append(b.acquired, r.profile)
	}
	if r.profile != nil {
		r.sender = r.profile.sender(e.SourceNode, e.SourceRegion, now)
	}
	b.runs = append(b.runs, r)
	return &b.runs[len(b.runs)-1]
}

func (s *Store) refuse(index int, e *Event, r *run, now int64, receipt *Receipt) {
	receipt.Rejected++
	if r.profile != nil {
		r.sender.refuse(1, FaultOf("too_many_series", ""), now)
	}
	if len(receipt.Refusals) == MaxListedRefusals {
		return
	}
	detail := fmt.Sprintf("this node holds %d latest values, as many as it may", s.options.MaxLatestValues)
	if r.profile == nil {
		detail = fmt.Sprintf("this node holds %d profiles, as many as it may", maxProfiles)
	}
	receipt.Refusals = append(receipt.Refusals, Refusal{Index: index, Code: "too_many_series", Detail: detail, Sender: strings.Clone(e.SourceNode)})
}
