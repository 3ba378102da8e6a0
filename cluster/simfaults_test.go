package cluster

import (
	"bytes"
	"time"

	"remuda/cluster/disk"
	"remuda/cluster/wire"
	"remuda/store"
)

// bout is some faults with traffic, a heal, and the check that all nodes agree.
func (s *simulation) bout() {
	s.traffic, s.cuts, s.healed = true, true, false
	s.loss = []float64{0, 0, 0.05, 0.1, 0.3, 1}[s.rng.IntN(6)]
	s.repeat = s.rng.Float64() * 0.5
	s.slow = []time.Duration{0, 200 * time.Millisecond, 1200 * time.Millisecond}[s.rng.IntN(3)]
	for range s.rng.IntN(5) {
		s.fault()
		s.step()
		s.runFor(s.between(100*time.Millisecond, 8*time.Second))
		s.watch()
	}
	s.runFor(s.between(time.Second, 40*time.Second))
	if s.rng.IntN(12) == 0 {
		s.runFor(s.between(time.Minute, 20*time.Minute)) // things age out
	}
	s.watch()
	s.heal()
	s.runFor(s.between(time.Second, 5*time.Second))
	s.traffic = false
	s.runFor(10 * time.Second)
	s.agree()
}

func (s *simulation) fault() {
	n, m := s.nodes[s.rng.IntN(len(s.nodes))], s.nodes[s.rng.IntN(len(s.nodes))]
	switch s.rng.IntN(8) {
	case 0, 1:
		if n.up && !n.frozen {
			s.kill(n)
		}
	case 2:
		if n.up && n.run > 0 {
			n.frozen = true
			run := n.run
			s.after(s.between(3*time.Second, 90*time.Second), func() {
				if n.run == run {
					n.frozen = false
				}
			})
		}
	case 3: // nothing gets from one to the other
		s.noGossip[[2]string{n.name, m.name}] = true
		s.noHTTP[[2]string{n.name, m.name}] = true
	case 4:
		s.noGossip[[2]string{n.name, m.name}] = true
	case 5:
		s.noHTTP[[2]string{n.name, m.name}] = true
	case 6:
		s.part(n, true)
	case 7: // one that comes and goes
		period := []time.Duration{2 * time.Second, 10 * time.Second}[s.rng.IntN(2)]
		for i := range 6 {
			s.after(time.Duration(i)*period, func() { s.part(n, i%2 == 0) })
		}
	}
}

// step puts a clock back, by itself and while other things go wrong. Cells stay where
// they are on the store's own clock. (Put forward they age, and nothing is left to compare.)
func (s *simulation) step() {
	if s.steps == nil || s.steps.IntN(6) > 0 {
		return
	}
	n := s.nodes[s.steps.IntN(len(s.nodes))]
	if !n.up || n.frozen {
		return
	}
	s.jumps++
	n.checkpoint = nil // how old it is could not be told
	n.offset -= []time.Duration{7 * time.Second, 90 * time.Second, time.Hour}[s.steps.IntN(3)]
}

// part cuts the nodes whose names come before that of n off the others, or ends that.
func (s *simulation) part(n *simNode, cut bool) {
	for _, a := range s.nodes {
		for _, b := range s.nodes {
			if (a.name < n.name) != (b.name < n.name) {
				s.noGossip[[2]string{a.name, b.name}] = cut && !s.healed
				s.noHTTP[[2]string{a.name, b.name}] = cut && !s.healed
			}
		}
	}
}

// kill ends a run as kill -9 does. It comes back soon, or in a while, with what a
// checkpoint had, or nothing.
func (s *simulation) kill(n *simNode) {
	s.kills++
	if s.rng.IntN(2) == 0 {
		var b bytes.Buffer
		if err := disk.Write(&b, n.store, func(id store.OriginID) wire.Status {
			st, _ := n.status(id)
			st.ID = id
			return st
		}); err != nil {
			s.t.Fatal(err)
		}
		n.checkpoint = b.Bytes()
	} else if s.rng.IntN(2) == 0 {
		n.checkpoint, n.noted = nil, 0
	}
	n.up = false
	run := n.run
	s.after(s.between(time.Second, 6*time.Second), func() {
		for _, m := range s.nodes {
			if m.up {
				s.refresh(m)
			}
		}
	})
	s.after(s.between(300*time.Millisecond, 30*time.Second), func() {
		if n.run == run && !n.up {
			s.start(n)
		}
	})
}

func (s *simulation) heal() {
	s.loss, s.repeat, s.slow, s.cuts, s.healed = 0, 0, 0, false, true
	clear(s.noGossip)
	clear(s.noHTTP)
	for _, n := range s.nodes {
		n.frozen = false
		if !n.up {
			s.start(n)
		}
	}
}
