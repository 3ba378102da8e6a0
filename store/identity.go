package store

import (
	"encoding/binary"
	"hash/maphash"

	"remuda/store/cell"
)

// repeats looks at a batch once more in which something was seen before: decisions
// that only follow equal ones of their body have identities of their own. It returns
// how many duplicates are left. Reports of equal values and events with equal ids
// stay what they are.
func (s *Store) repeats(b *batch, events []Event, body *Body, now int64) (duplicates int) {
	if body == nil {
		body = &b.body
		body.Reset()
	}
	for _, id := range b.identities.Identities() {
		n := body.equal.Nth(id.Hash)
		if b.verdicts[id.Event] != duplicate {
			continue
		}
		e := &events[id.Event]
		if n > 0 && e.EventID == "" && e.Kind == Decision && !s.dedup.SeeOne(s.dedup.Fold(id.Hash, n), now) {
			b.verdicts[id.Event] = accepted
			continue
		}
		duplicates++
	}
	return duplicates
}

// identity returns the hash of what makes an event itself: its event_id among those
// of its kind and sender, or else all fields as the sender gave them. key is the hash
// of the event's series, which stands for its dimensions.
func (s *Store) identity(b *batch, e *Event, r *run, key uint64) uint64 {
	if e.EventID != "" {
		scope := s.dedup.Fold(maphash.String(s.seed, e.Profile)^uint64(e.Kind), r.node^uint64(e.Sent&FieldSourceNode))
		return s.dedup.Fold(maphash.String(s.seed, e.EventID), scope)
	}
	h := s.dedup.Fold(key, r.node)
	h = s.dedup.Fold(h^uint64(e.SentTS)^uint64(e.SentNanos)<<44, e.DurationMicros)
	h = s.dedup.Fold(h^e.UpstreamMicros, e.Other)
	h = s.dedup.Fold(h^uint64(e.Sent)^uint64(e.Kind)<<62, uint64(e.Weight)<<32|uint64(e.FailoverCount))
	h = s.dedup.Fold(h, maphash.String(s.seed, e.RequestID))
	// Fast path: a success without other tries has nothing else.
	if e.Result == cell.Success && e.Kind == Decision && len(e.Attempts) == 0 && e.Sent&FieldReason == 0 {
		return h
	}
	b.rest = appendRest(b.rest[:0], e)
	return s.dedup.Fold(h, maphash.Bytes(s.seed, b.rest))
}

// appendRest appends what only few events have.
func appendRest(dst []byte, e *Event) []byte {
	if e.Result != cell.Success {
		dst = append(append(dst, byte(e.Result)), e.ErrorCategory...)
		dst = append(append(dst, 0), e.ErrorCode...)
	}
	if e.Kind == Decision && e.Sent&FieldReason != 0 {
		dst = append(append(dst, 0, 0), e.Reason...)
	}
	if e.Kind != Decision {
		dst = append(append(dst, 0), e.Reason...)
		dst = append(dst, 0, byte(e.From), byte(e.To), byte(e.Status), byte(e.HeightSource))
		dst = binary.LittleEndian.AppendUint64(dst, e.Height)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(e.SinceAt))
		dst = binary.LittleEndian.AppendUint64(dst, e.LatencyMicros)
		dst = binary.LittleEndian.AppendUint32(dst, e.ConsecutiveFailures)
		dst = binary.LittleEndian.AppendUint32(dst, e.ConsecutiveSuccesses)
	}
	for i := range e.Attempts {
		a := &e.Attempts[i]
		dst = append(append(dst, 0), a.ProviderID...)
		dst = append(append(dst, 0), a.ErrorCategory...)
		dst = append(append(dst, 0), a.ErrorCode...)
		dst = append(dst, byte(a.Transport), byte(a.Result), byte(a.Reason))
		dst = binary.LittleEndian.AppendUint64(dst, a.DurationMicros)
	}
	return dst
}
