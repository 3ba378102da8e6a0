package store

import "strings"

// Latest values are bounded in number. A batch takes places for the new ones among its
// reports before it puts any, so that batches that come at once do not take the same.

// places are those that a batch has taken. Near the bound the new values are told
// apart; before it, every report of the batch has a place.
type places struct {
	taken int64
	each  bool
	fresh map[valueKey]struct{} // that places were taken for, one by one
}

// valueKey names a latest value of any kind.
type valueKey struct {
	kind           Kind
	profile, chain string
	reportKey
}

func valueKeyOf(e *Event) valueKey { return valueKey{e.Kind, e.Profile, e.Chain, keyOf(e)} }

// room takes a place for a report; rest is how many events are left of its batch, itself
// included. It reports false when there is none, and nothing that the report renews.
func (s *Store) room(w *places, p *profile, e *Event, rest int) bool {
	if !w.each {
		if w.taken > 0 {
			return true
		}
		if s.takePlaces(int64(rest)) { // Fast path
			w.taken = int64(rest)
			return true
		}
		w.each = true
	}
	if p.holds(e) {
		return true
	}
	key := valueKeyOf(e)
	if _, known := w.fresh[key]; known {
		return true
	}
	if !s.takePlaces(1) {
		return false
	}
	w.taken++
	if w.fresh == nil {
		w.fresh = make(map[valueKey]struct{})
	}
	w.fresh[key] = struct{}{}
	return true
}

func (s *Store) takePlaces(n int64) bool {
	if s.latestCount.Load()+s.placesTaken.Add(n) <= int64(s.options.MaxLatestValues) {
		return true
	}
	s.placesTaken.Add(-n)
	return false
}

// freePlaces gives back what a batch took: its values are counted by now.
func (s *Store) freePlaces(w *places) {
	s.placesTaken.Add(-w.taken)
	clear(w.fresh) // its strings are the events'
	w.taken, w.each = 0, false
}

// holds reports whether a report only renews one.
func (p *profile) holds(e *Event) bool {
	p.mu.RLock()
	c := p.chains[e.Chain]
	p.mu.RUnlock()
	if c == nil {
		return false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.has(e)
}

// Admit reports whether the caps leave room for an event of a body that is to be
// counted whole or not at all, beside those of it that were admitted before.
func (s *Store) Admit(e *Event, body *Body) bool {
	p := s.acquireProfile(e.Profile)
	if p == nil {
		return false
	}
	defer p.release()
	if e.Kind == Decision || p.holds(e) {
		return true
	}
	key := valueKeyOf(e)
	if _, known := body.fresh[key]; known {
		return true
	}
	if s.latestCount.Load()+int64(len(body.fresh)) >= int64(s.options.MaxLatestValues) {
		return false
	}
	if body.fresh == nil {
		body.fresh = make(map[valueKey]struct{})
	}
	key.profile, key.chain, key.reportKey = p.name, strings.Clone(key.chain), key.clone()
	body.fresh[key] = struct{}{}
	return true
}
