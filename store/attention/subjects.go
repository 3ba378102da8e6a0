package attention

import (
	"fmt"
	"time"

	"remuda/store"
	"remuda/store/cell"
)

// heads adds an alarm for each chain and region whose height stands still, and one where
// two providers disagree about it.
func (w *Watch) heads(list []Alarm) []Alarm {
	for _, h := range w.store.Heads(w.query.Filter) {
		alarm := Alarm{Subject: "chain", Chain: h.Chain, Profile: h.Profile}
		switch {
		case h.Disputed:
			alarm.Key, alarm.Rule = "chain/"+h.Key+"/heights", "heights_disagree"
			alarm.Detail = fmt.Sprintf("in %s %s is at %d and %s at %d: one of them is on another chain, or far behind",
				h.Region, h.Seen[0].ProviderID, h.Seen[0].Height, h.Seen[1].ProviderID, h.Seen[1].Height)
		case h.Stalled:
			alarm.Key, alarm.Rule, alarm.SinceAt = "chain/"+h.Key+"/stalled", "chain_stalled", h.SinceAt
			alarm.Detail = fmt.Sprintf("in %s the height stands still at %d", h.Region, h.Height)
			if h.UsualMillis > 0 {
				alarm.Detail += "; it usually moves every " + (time.Duration(h.UsualMillis) * time.Millisecond).Round(100*time.Millisecond).String()
			}
		default:
			continue
		}
		list = append(list, alarm)
	}
	return list
}

func (w *Watch) senders(list []Alarm, now int64) []Alarm {
	f := &w.query.Filter
	if len(f[store.ChainDim])+len(f[store.ProviderDim]) > 0 {
		return list // they are of no chain
	}
	for _, s := range w.store.Senders(*f) {
		alarm := Alarm{Key: "sender/" + s.Key, Subject: "sender", Profile: s.Profile, Sender: s.SourceNode}
		if refused, ok := refused(&s, now); ok {
			list = append(list, refused)
		}
		switch {
		case s.LastSeenAt == 0:
		case !s.Reporting:
			alarm.Rule, alarm.SinceAt = "sender_silent", s.LastSeenAt
			alarm.Detail = "no events from a sender in " + s.Region
		case s.HasClock:
			alarm.Rule, alarm.Detail = lag(&s, w.query.Window)
		}
		if alarm.Rule != "" {
			list = append(list, alarm)
		}
	}
	return list
}

// lag is the rule that a sender breaks whose calls come so late, or are so far
// ahead, that more than a quarter of a window may be without them. A clock that is
// behind and a sender that sends late look alike.
func lag(s *store.Sender, w cell.Window) (rule, detail string) {
	amount := func(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }
	most := w.Length().Milliseconds() / 4
	switch ahead := -s.OffsetMillis; {
	case ahead > store.MaxAhead:
		return "sender_clock", "its clock is " + amount(ahead) + " ahead: events are stamped at arrival"
	case ahead > most:
		return "sender_clock", "its clock is " + amount(ahead) + " ahead: its calls stay in a window of " + w.String() + " for that much longer"
	case s.OffsetMillis > most:
		return "sender_clock", "even its newest events are " + amount(s.OffsetMillis) + " old when they come, since its clock is behind or it sends late: " +
			"its calls of that time are missing in a window of " + w.String()
	case s.LatenessMillis > most:
		return "sender_late", "its events are up to " + amount(s.LatenessMillis) + " old when they come: until then its calls are missing in a window of " + w.String()
	}
	return "", ""
}

func (w *Watch) nodes(list []Alarm, now int64) []Alarm {
	for _, m := range w.store.Members() {
		if !w.query.Filter.Keeps(store.NodeDim, m.Name) {
			continue
		}
		alarm := Alarm{Key: "node/" + m.Name, Subject: "node", Node: m.Name}
		switch {
		case m.State == "failed":
			alarm.Rule, alarm.Detail = "node_failed", "not reached by the other nodes; what it counted stays until it ages out"
		case m.Restarting:
			alarm.Rule, alarm.Detail = "node_restarting", "a new run has begun and has not reported yet"
		case m.Stale && m.State == "alive":
			alarm.Rule, alarm.Detail = "node_stale", "its numbers are late"
		case m.Alone:
			alarm.Rule, alarm.Detail = "node_alone", "no other member is here, though it was to join some: these are its numbers alone"
		default:
			continue
		}
		if m.DeltaAgeMillis > 0 {
			alarm.SinceAt = now - m.DeltaAgeMillis
		}
		list = append(list, alarm)
	}
	return list
}

// stepShown is for how long attention tells of a step of the wall clock, in ms: as long
// as windows may show what was before it.
const stepShown = 3_600_000

// clocks adds an alarm for each node whose wall clock has just stepped.
func (w *Watch) clocks(list []Alarm) []Alarm {
	s := w.store
	for _, m := range s.Members() {
		step := m.ClockStep
		if m.Name == s.Node() {
			step = s.ClockStep()
		}
		if step == nil || s.Clock()-step.At > stepShown || !w.query.Filter.Keeps(store.NodeDim, m.Name) {
			continue
		}
		by, way := step.By, "forward"
		if by < 0 {
			by, way = -by, "back"
		}
		list = append(list, Alarm{
			Key: "node/" + m.Name + "/clock", Rule: "node_clock", Subject: "node", Node: m.Name, SinceAt: step.At - s.Behind(),
			Detail: "its wall clock was put " + way + " by " + by.Round(time.Millisecond).String() + "; windows go on, and what it shows is by the new time",
		})
	}
	return list
}

// checkpoints adds an alarm while they cannot be written.
func (w *Watch) checkpoints(list []Alarm) []Alarm {
	c := w.store.Checkpoints()
	name := w.store.Node()
	if c.FailingSince == 0 || !w.query.Filter.Keeps(store.NodeDim, name) {
		return list
	}
	return append(list, Alarm{
		Key: "checkpoint/" + name, Rule: "checkpoint_failing", Subject: "node", Node: name, SinceAt: c.FailingSince,
		Detail: "its checkpoints cannot be written: " + c.Reason + "; when it stops, what it has counted since is with other members only",
	})
}

// refusedLasts is for how long after the last refused event attention tells of it, in ms.
const refusedLasts = 300_000

// refused is the alarm of a sender whose events are refused.
func refused(s *store.Sender, now int64) (alarm Alarm, ok bool) {
	if s.Rejected == 0 || now-s.RejectedAt > refusedLasts {
		return Alarm{}, false
	}
	events := fmt.Sprintf("%d of its events were refused", s.Rejected)
	if s.Rejected == 1 {
		events = "an event of its was refused"
	}
	return Alarm{
		Key: "refused/" + s.Key, Rule: "events_refused", Subject: "sender", Profile: s.Profile, Sender: s.SourceNode,
		Detail: events + ", the last one for " + s.Fault.String(),
	}, true
}
