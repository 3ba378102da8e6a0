package answer

import (
	"remuda/httpapi/ask"
	"remuda/store/attention"
)

// newAttentionSource lists what is wrong, worst first.
func newAttentionSource(a *Answers, p *ask.Params, pause func()) source {
	watch := attention.New(a.store, &a.episodes, p.Filter, p.Window)
	c := listed(p, func(c *Collection) meta {
		at, alarms := watch.Refresh()
		for i := range alarms {
			c.Add(alarms[i].Key).alarm(&alarms[i], p)
		}
		judged := watch.Judged()
		return meta{Meta: at, judged: &judged}
	})
	watch.Within(pause, c.tables.Need)
	c.ordered = true
	return c
}

// alarm encodes a row.
func (r *Record) alarm(alarm *attention.Alarm, p *ask.Params) {
	r.Text("severity", alarm.Severity.String())
	r.Text("rule", alarm.Rule)
	r.Integer("rank", int64(alarm.Rank))
	r.Text("subject", alarm.Subject)
	if p.Several() {
		r.textOrNull("profile", alarm.Profile)
	}
	r.textOrNull("chain", alarm.Chain)
	r.textOrNull("provider_id", alarm.Provider)
	r.textOrNull("sender", alarm.Sender)
	r.textOrNull("node", alarm.Node)
	r.Text("detail", alarm.Detail)
	r.Instant("since_at", alarm.SinceAt)
	if alarm.HasCalls {
		r.Count("total_calls", alarm.Calls)
	} else {
		r.Null("total_calls")
	}
}
