package httpapi

import (
	"remuda/httpapi/ask"
	"remuda/store"
	"remuda/store/cell"
)

func listed(p *ask.Params, list func(c *collection) meta) *collection {
	return &collection{params: p, list: list}
}

// report begins a row that an event of a type has made.
func (r *record) report(eventType string, p *ask.Params, profile string) {
	r.eventText("type", eventType)
	r.text("profile", profile)
	r.members[len(r.members)-1].event = !p.Several()
}

func newCircuitSource(a *API, p *ask.Params, _ func()) source {
	return listed(p, func(c *collection) meta {
		m := plainMeta(a, p)
		for _, row := range a.store.Circuits(p.Filter) {
			r := c.add(row.Key)
			r.report("circuit", p, row.Profile)
			r.text("chain", row.Chain)
			r.text("provider_id", row.ProviderID)
			r.text("transport", row.Transport.String())
			r.text("region", row.Region)
			r.alias("source_region")
			r.text("sender", row.Sender)
			r.alias("source_node")
			r.text("state", row.State.String())
			r.alias("to")
			r.textOrNull("reason", row.Reason)
			r.instant("since_at", row.SinceAt)
			r.instant("last_seen_at", row.LastSeenAt)
			r.alias("ts")
			r.boolean("stale", row.Stale)
		}
		return m
	})
}

func newChangeSource(a *API, p *ask.Params, _ func()) source {
	c := listed(p, func(c *collection) meta {
		m := plainMeta(a, p)
		for _, row := range a.store.CircuitChanges(p.Filter) {
			r := c.add(row.Key)
			r.report("circuit", p, row.Profile)
			r.text("chain", row.Chain)
			r.text("provider_id", row.ProviderID)
			r.text("transport", row.Transport.String())
			r.text("region", row.Region)
			r.alias("source_region")
			r.text("sender", row.Sender)
			r.alias("source_node")
			r.text("from", row.From.String())
			r.text("to", row.To.String())
			r.textOrNull("reason", row.Reason)
			r.instant("at", row.At)
			r.alias("ts")
		}
		return m
	})
	c.ordered = true // newest first
	return c
}

func newBlockSource(a *API, p *ask.Params, _ func()) source {
	return listed(p, func(c *collection) meta {
		m := plainMeta(a, p)
		for _, row := range a.store.Blocks(p.Filter) {
			r := c.add(row.Key)
			r.report("block", p, row.Profile)
			r.text("chain", row.Chain)
			r.text("provider_id", row.ProviderID)
			r.text("region", row.Region)
			r.alias("source_region")
			r.text("sender", row.Sender)
			r.alias("source_node")
			r.count("height", row.Height)
			if row.HasLag {
				r.integer("lag_blocks", row.LagBlocks)
			} else {
				r.null("lag_blocks")
			}
			r.textOrNull("source", row.Source.String())
			r.instant("last_seen_at", row.LastSeenAt)
			r.alias("ts")
			r.boolean("stale", row.Stale)
		}
		return m
	})
}

func newHealthSource(a *API, p *ask.Params, _ func()) source {
	return listed(p, func(c *collection) meta {
		m := plainMeta(a, p)
		for _, row := range a.store.Healths(p.Filter) {
			r := c.add(row.Key)
			r.report("health", p, row.Profile)
			r.text("chain", row.Chain)
			r.text("provider_id", row.ProviderID)
			r.text("transport", row.Transport.String())
			r.text("region", row.Region)
			r.alias("source_region")
			r.text("sender", row.Sender)
			r.alias("source_node")
			r.text("status", row.Status.String())
			r.count("consecutive_failures", uint64(row.ConsecutiveFailures))
			r.count("consecutive_successes", uint64(row.ConsecutiveSuccesses))
			if row.HasLatency {
				r.millis("latency_ms", cell.Micros(row.LatencyMicros))
			} else {
				r.null("latency_ms")
			}
			r.textOrNull("reason", row.Reason)
			r.instant("last_seen_at", row.LastSeenAt)
			r.alias("ts")
			r.boolean("stale", row.Stale)
		}
		return m
	})
}

func newSenderSource(a *API, p *ask.Params, _ func()) source {
	return listed(p, func(c *collection) meta {
		m := plainMeta(a, p)
		for _, row := range a.store.Senders(p.Filter) {
			r := c.add(row.Key)
			if p.Several() {
				r.text("profile", row.Profile)
			}
			r.text("source_node", row.SourceNode)
			r.text("region", row.Region)
			r.instant("last_seen_at", row.LastSeenAt)
			r.boolean("reporting", row.Reporting)
			r.count("total_calls", row.Calls)
			r.moving()
			r.value("calls_per_second", func(dst []byte) []byte { return appendRounded(dst, row.CallsPerSecond, 1000) })
			r.moving()
			if row.HasClock {
				r.integer("lateness_ms", row.LatenessMillis)
				r.integer("clock_offset_ms", row.OffsetMillis)
			} else {
				r.null("lateness_ms")
				r.null("clock_offset_ms")
			}
			r.count("rejected", row.Rejected)
			r.instant("rejected_at", row.RejectedAt)
			r.textOrNull("rejected_code", row.Fault.Code())
			r.textOrNull("rejected_field", row.Fault.Field())
		}
		return m
	})
}

func newMemberSource(a *API, p *ask.Params, _ func()) source {
	return listed(p, func(c *collection) meta {
		m := plainMeta(a, p)
		for _, row := range a.store.Members() {
			r := c.add(row.Name)
			r.text("name", row.Name)
			r.text("state", row.State)
			r.boolean("stale", row.Stale)
			r.boolean("restarting", row.Restarting)
			r.boolean("reporting", row.Reporting)
			r.count("incarnation", row.Incarnation)
			r.text("region", row.Region)
			r.textOrNull("http_addr", row.HTTPAddr)
			r.count("sequence", row.Sequence)
			r.integer("delta_age_ms", row.DeltaAgeMillis)
			r.moving()
			r.count("gaps_total", row.GapsTotal)
			r.count("pulls_total", row.PullsTotal)
			if row.HasInlineShare {
				r.value("inline_share", func(dst []byte) []byte { return appendRounded(dst, row.InlineShare, 10_000) })
			} else {
				r.null("inline_share")
			}
			r.count("divergence_total", row.DivergenceTotal)
			r.count("bytes_in_total", row.BytesIn)
			r.count("bytes_out_total", row.BytesOut)
			r.integer("clock_skew_ms", row.ClockSkewMillis)
		}
		return m
	})
}

func newRankSource(a *API, p *ask.Params, pause func()) source {
	c := listed(p, func(c *collection) meta {
		m := plainMeta(a, p)
		now := a.store.Now()
		defer c.tables.is(0) // they are not kept
		for _, row := range a.store.Rank(store.RankQuery{Filter: p.Filter, Window: p.Window, LassoRank: p.LassoRank, Pause: pause, Grow: c.tables.is}) {
			r := c.add(row.Key)
			r.text("chain", row.Chain)
			r.text("provider_id", row.ProviderID)
			if row.HasScore {
				r.value("score", func(dst []byte) []byte { return appendRounded(dst, row.Score, 1_000_000) })
			} else {
				r.null("score")
			}
			r.boolean("eligible", row.Eligible)
			r.value("reasons", func(dst []byte) []byte { return appendStrings(dst, row.Reasons) })
			r.percent("availability_pct", row.Figures.Calls-row.Figures.ProviderErrors, row.Figures.Calls)
			r.millis("avg_latency_ms", row.Figures.Avg)
			r.count("total_calls", row.Figures.Calls)
			r.boolean("cold_start", row.ColdStart)
			r.value("circuit", func(dst []byte) []byte { return appendCircuit(dst, &row.State) })
			if row.State.HasLag {
				r.integer("block_lag_blocks", row.State.LagBlocks)
			} else {
				r.null("block_lag_blocks")
			}
			if at := row.Figures.LastSeenAt; at > 0 {
				r.integer("age_ms", max(now-at, 0))
				r.moving()
			} else {
				r.null("age_ms")
			}
		}
		return m
	})
	c.ordered = true
	return c
}
