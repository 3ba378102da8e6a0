package cluster

import (
	"time"

	"remuda/cluster/rules"
	"remuda/store"
)

// A driver brings the rules and the store together. It belongs to the goroutine that owns
// the rules.
type driver struct {
	store   *store.Store
	rules   *rules.Rules
	mergers map[store.OriginID]*merger
}

func newDriver(st *store.Store, tick func(members int) time.Duration, seed uint64) *driver {
	self := store.OriginID{Node: st.Node(), Incarnation: st.Incarnation()}
	return &driver{store: st, rules: rules.New(self, tick, seed), mergers: make(map[store.OriginID]*merger)}
}

// step takes an event, to which it adds what the store knows of it, and does what is to
// be set at once. It returns what is to be begun: merges, pulls and exchanges.
func (d *driver) step(now time.Duration, e rules.Event) (begin []rules.Effect) {
	switch event := e.(type) {
	case rules.Merged:
		event.Digest = d.store.Digest(event.ID)
		e = event
	case rules.Pulled:
		event.Digest = d.store.Digest(event.Pull.ID)
		e = event
	case rules.Ticked:
		event.Held = make(map[store.OriginID]bool)
		for _, id := range d.store.Origins() {
			event.Held[id] = d.store.Holds(id)
		}
		e = event
	}
	effects := d.rules.Step(now, d.store.Clock(), e)
	begin = effects[:0]
	for _, effect := range effects {
		switch do := effect.(type) {
		case rules.SetClock:
			d.store.SetClock(do.ID, d.store.Clock()+do.Ahead)
		case rules.Calibrate:
			d.store.Calibrate(do.ID, do.Digest)
		case rules.Forget:
			d.store.Forget(do.ID)
			delete(d.mergers, do.ID)
		default:
			begin = append(begin, effect)
		}
	}
	return begin
}

// merger is what merges what comes of a run.
func (d *driver) merger(id store.OriginID) *merger {
	m := d.mergers[id]
	if m == nil {
		m = &merger{store: d.store, id: id}
		d.mergers[id] = m
	}
	return m
}
