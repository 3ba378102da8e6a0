package answer

import (
	"remuda/httpapi/ask"
	"remuda/httpapi/value"
	"remuda/store"
	"remuda/store/cell"
	"remuda/store/rank"
)

func listed(p *ask.Params, list func(c *Collection) meta) *Collection {
	return &Collection{params: p, list: list}
}

// report begins a row that an event of a type has made.
func (r *Record) report(eventType string, p *ask.Params, profile, chain, provider string) {
	r.eventText("type", eventType)
	r.Text("profile", profile)
	r.members[len(r.members)-1].event = !p.Several()
	r.Text("chain", chain)
	r.Text("provider_id", provider)
}

// reporter says whose report it is. Events spell it otherwise.
func (r *Record) reporter(region, sender string) {
	r.Text("region", region)
	r.alias("source_region")
	r.Text("sender", sender)
	r.alias("source_node")
}

func newCircuitSource(a *Answers, p *ask.Params, _ func()) source {
	return listed(p, func(c *Collection) meta {
		m := plainMeta(a, p)
		for _, row := range a.store.Circuits(p.Filter) {
			c.Add(row.Key).circuit(&row, p)
		}
		return m
	})
}

// circuit encodes a row.
func (r *Record) circuit(row *store.CircuitReport, p *ask.Params) {
	r.report("circuit", p, row.Profile, row.Chain, row.ProviderID)
	r.Text("transport", row.Transport.String())
	r.reporter(row.Region, row.Sender)
	r.Text("state", row.State.String())
	r.alias("to")
	r.textOrNull("reason", row.Reason)
	r.Instant("since_at", row.SinceAt)
	r.Instant("last_seen_at", row.LastSeenAt)
	r.alias("ts")
	r.boolean("stale", row.Stale)
}

func newChangeSource(a *Answers, p *ask.Params, _ func()) source {
	c := listed(p, func(c *Collection) meta {
		m := plainMeta(a, p)
		for _, row := range a.store.CircuitChanges(p.Filter) {
			c.Add(row.Key).change(&row, p)
		}
		return m
	})
	c.ordered = true // newest first
	return c
}

// change encodes a row.
func (r *Record) change(row *store.CircuitChange, p *ask.Params) {
	r.report("circuit", p, row.Profile, row.Chain, row.ProviderID)
	r.Text("transport", row.Transport.String())
	r.reporter(row.Region, row.Sender)
	r.Text("from", row.From.String())
	r.Text("to", row.To.String())
	r.textOrNull("reason", row.Reason)
	r.Instant("at", row.At)
	r.alias("ts")
}

func newBlockSource(a *Answers, p *ask.Params, _ func()) source {
	return listed(p, func(c *Collection) meta {
		m := plainMeta(a, p)
		for _, row := range a.store.Blocks(p.Filter) {
			c.Add(row.Key).block(&row, p)
		}
		return m
	})
}

// block encodes a row.
func (r *Record) block(row *store.BlockReport, p *ask.Params) {
	r.report("block", p, row.Profile, row.Chain, row.ProviderID)
	r.reporter(row.Region, row.Sender)
	r.Count("height", row.Height)
	if row.HasLag {
		r.Integer("lag_blocks", row.LagBlocks)
	} else {
		r.Null("lag_blocks")
	}
	r.textOrNull("source", row.Source.String())
	r.Instant("last_seen_at", row.LastSeenAt)
	r.alias("ts")
	r.boolean("stale", row.Stale)
}

func newHealthSource(a *Answers, p *ask.Params, _ func()) source {
	return listed(p, func(c *Collection) meta {
		m := plainMeta(a, p)
		for _, row := range a.store.Healths(p.Filter) {
			c.Add(row.Key).health(&row, p)
		}
		return m
	})
}

// health encodes a row.
func (r *Record) health(row *store.HealthReport, p *ask.Params) {
	r.report("health", p, row.Profile, row.Chain, row.ProviderID)
	r.Text("transport", row.Transport.String())
	r.reporter(row.Region, row.Sender)
	r.Text("status", row.Status.String())
	r.Count("consecutive_failures", uint64(row.ConsecutiveFailures))
	r.Count("consecutive_successes", uint64(row.ConsecutiveSuccesses))
	if row.HasLatency {
		r.millis("latency_ms", cell.Micros(row.LatencyMicros))
	} else {
		r.Null("latency_ms")
	}
	r.textOrNull("reason", row.Reason)
	r.Instant("last_seen_at", row.LastSeenAt)
	r.alias("ts")
	r.boolean("stale", row.Stale)
}

func newSenderSource(a *Answers, p *ask.Params, _ func()) source {
	return listed(p, func(c *Collection) meta {
		m := plainMeta(a, p)
		for _, row := range a.store.Senders(p.Filter) {
			c.Add(row.Key).sender(&row, p)
		}
		return m
	})
}

// sender encodes a row.
func (r *Record) sender(row *store.Sender, p *ask.Params) {
	if p.Several() {
		r.Text("profile", row.Profile)
	}
	r.Text("source_node", row.SourceNode)
	r.Text("region", row.Region)
	r.Instant("last_seen_at", row.LastSeenAt)
	r.boolean("reporting", row.Reporting)
	r.Count("total_calls", row.Calls)
	r.moving()
	r.Number("calls_per_second", row.CallsPerSecond, 1000)
	r.moving()
	if row.HasClock {
		r.Integer("lateness_ms", row.LatenessMillis)
		r.Integer("clock_offset_ms", row.OffsetMillis)
	} else {
		r.Null("lateness_ms")
		r.Null("clock_offset_ms")
	}
	r.Count("rejected", row.Rejected)
	r.Instant("rejected_at", row.RejectedAt)
	r.textOrNull("rejected_code", row.Fault.Code())
	r.textOrNull("rejected_field", row.Fault.Field())
}

func newMemberSource(a *Answers, p *ask.Params, _ func()) source {
	return listed(p, func(c *Collection) meta {
		m := plainMeta(a, p)
		for _, row := range a.store.Members() {
			c.Add(row.Name).member(&row)
		}
		return m
	})
}

// member encodes a row.
func (r *Record) member(row *store.Member) {
	r.Text("name", row.Name)
	r.Text("state", row.State)
	r.boolean("stale", row.Stale)
	r.boolean("restarting", row.Restarting)
	r.boolean("reporting", row.Reporting)
	r.Count("incarnation", row.Incarnation)
	r.Text("region", row.Region)
	r.textOrNull("http_addr", row.HTTPAddr)
	r.Count("sequence", row.Sequence)
	r.Integer("delta_age_ms", row.DeltaAgeMillis)
	r.moving()
	r.Count("gaps_total", row.GapsTotal)
	r.Count("pulls_total", row.PullsTotal)
	if row.HasInlineShare {
		r.Number("inline_share", row.InlineShare, 10_000)
	} else {
		r.Null("inline_share")
	}
	r.Count("divergence_total", row.DivergenceTotal)
	r.Count("bytes_in_total", row.BytesIn)
	r.Count("bytes_out_total", row.BytesOut)
	r.Integer("clock_skew_ms", row.ClockSkewMillis)
}

func newRankSource(a *Answers, p *ask.Params, pause func()) source {
	c := listed(p, func(c *Collection) meta {
		m := plainMeta(a, p)
		now := a.store.Now()
		defer c.tables.Need(0) // they are not kept
		for _, row := range rank.Providers(a.store, rank.Query{Filter: p.Filter, Window: p.Window, LassoRank: p.LassoRank, Pause: pause, Grow: c.tables.Need}) {
			c.Add(row.Key).ranked(&row, now)
		}
		return m
	})
	c.ordered = true
	return c
}

// ranked encodes a row.
func (r *Record) ranked(row *rank.Row, now int64) {
	r.Text("chain", row.Chain)
	r.Text("provider_id", row.ProviderID)
	if row.HasScore {
		r.Number("score", row.Score, 1_000_000)
	} else {
		r.Null("score")
	}
	r.boolean("eligible", row.Eligible)
	r.value("reasons", func(dst []byte) []byte { return value.AppendStrings(dst, row.Reasons) })
	r.percent("availability_pct", row.Figures.Ended()-row.Figures.ProviderErrors, row.Figures.Ended())
	r.millis("avg_latency_ms", row.Figures.Avg)
	r.Count("total_calls", row.Figures.Calls)
	r.boolean("cold_start", row.ColdStart)
	r.value("circuit", func(dst []byte) []byte { return appendCircuit(dst, &row.State) })
	if row.State.HasLag {
		r.Integer("block_lag_blocks", row.State.LagBlocks)
	} else {
		r.Null("block_lag_blocks")
	}
	if at := row.Figures.LastSeenAt; at > 0 {
		r.Integer("age_ms", max(now-at, 0))
		r.moving()
	} else {
		r.Null("age_ms")
	}
}
