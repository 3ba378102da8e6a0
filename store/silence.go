package store

import (
	"fmt"
	"time"
)

// What was bad and is not heard of any more is not healthy for it: its status is
// unknown, and says what it was and since when nobody knows.

// silence is the last that was heard of something that was bad.
type silence struct {
	at     int64 // ms
	was    Status
	detail string
}

func (s *silence) String() string {
	return s.was.String() + " when last heard of, " + time.UnixMilli(s.at).UTC().Format("2006-01-02T15:04:05Z") + ": " + s.detail
}

// keep makes other what is known, unless it is older, or nothing was bad.
func (s *silence) keep(other silence) {
	if other.detail != "" && other.at >= s.at {
		*s = other
	}
}

// silences are what is no longer heard of a provider on a chain.
type silences struct {
	height  silence
	circuit [numTransports]silence
	health  silence
}

// silenced says what stale circuits, heights and health last said that was bad. Of what
// there are fresh reports of, providerState leaves them out.
func (c *chainReports) silenced(f *Filter, now int64, at func(key *reportKey) *silences) {
	s := c.profile.store
	for key, r := range c.circuits {
		a := r.pick(f[NodeDim])
		if a == nil || !f.takes(&key, true) || a.report.State < CircuitHalfOpen || c.profile.presence.Trusts(key.sender, now) && !a.origin.silent.Load() {
			continue
		}
		was := StatusRecovering
		if a.report.State == CircuitOpen {
			was = StatusCircuitOpen
		}
		at(&key).circuit[key.transport].keep(silence{
			s.shown(a.origin, a.report.LastSeenAt), was, key.transport.String() + " circuit " + a.report.State.String(),
		})
	}
	for key, r := range c.heights {
		if a := r.pick(f[NodeDim]); a != nil && a.detail != "" && f.takes(&key, false) {
			at(&key).height.keep(silence{s.shown(a.origin, a.report.LastSeenAt), a.wrong, a.detail})
		}
	}
	for key, r := range c.healths {
		a := r.pick(f[NodeDim])
		if a == nil || !f.takes(&key, true) || a.fresh(now, healthFresh) || a.report.Status < Degraded && a.report.ConsecutiveFailures < degradedFailures {
			continue
		}
		detail := "reported " + a.report.Status.String()
		if a.report.Status < Degraded {
			detail = fmt.Sprintf("%d consecutive failures", a.report.ConsecutiveFailures)
		}
		at(&key).health.keep(silence{s.shown(a.origin, a.report.LastSeenAt), StatusDegraded, detail})
	}
}

// silent makes a status unknown when what was bad went silent. Calls tell of circuits,
// health and of themselves; nothing but a height tells of heights. before is what the
// provider had in the last minutes in which it had calls.
func (p *ProviderState) silent(r *silences, f, before *Figures) {
	var last []silence
	if r != nil && !p.HasHeight {
		last = append(last, r.height)
	}
	if r != nil && f.Calls == 0 {
		for transport, s := range r.circuit {
			if p.Circuit[transport] == CircuitUnknown {
				last = append(last, s)
			}
		}
		if !p.HasHealth {
			last = append(last, r.health)
		}
	}
	if before != nil && p.Status == StatusUnknown {
		if was, reasons := statusOf(before, new(ProviderState)); was < StatusHealthy {
			last = append(last, silence{before.LastSeenAt, was, reasons[0]})
		}
	}
	for i := range last {
		if s := &last[i]; s.detail != "" {
			p.Status = StatusUnknown
			p.StatusReasons = append(p.StatusReasons, s.String())
			p.SilentSince = max(p.SilentSince, s.at)
		}
	}
}
