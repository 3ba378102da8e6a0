package httpapi

import "remuda/httpapi/ask"

// newAttentionSource lists what is wrong, worst first.
func newAttentionSource(a *API, p *ask.Params, pause func()) source {
	attention := a.store.NewAttention(p.Filter, p.Window)
	c := listed(p, func(c *collection) meta {
		at, alarms := attention.Refresh()
		for i := range alarms {
			alarm := &alarms[i]
			r := c.add(alarm.Key)
			r.text("severity", alarm.Severity.String())
			r.text("rule", alarm.Rule)
			r.integer("rank", int64(alarm.Rank))
			r.text("subject", alarm.Subject)
			if p.Several() {
				r.textOrNull("profile", alarm.Profile)
			}
			r.textOrNull("chain", alarm.Chain)
			r.textOrNull("provider_id", alarm.Provider)
			r.textOrNull("sender", alarm.Sender)
			r.textOrNull("node", alarm.Node)
			r.text("detail", alarm.Detail)
			r.instant("since_at", alarm.SinceAt)
			if alarm.HasCalls {
				r.count("total_calls", alarm.Calls)
			} else {
				r.null("total_calls")
			}
		}
		judged := attention.Judged()
		return meta{Meta: at, judged: &judged}
	})
	attention.Within(pause, c.tables.is)
	c.ordered = true
	return c
}
