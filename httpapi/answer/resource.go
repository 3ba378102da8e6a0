package answer

import (
	"remuda/httpapi/ask"
	"remuda/store"
)

// A Resource is one collection of the API: where it is, what can be asked of it and
// how its content is made. The router, the parameters, streams and topics are
// all driven by the list below.
type Resource struct {
	ask.Resource
	Fleeting bool // changes without a change of the store: no cache, and what names an answer is its content
	source   maker
}

// Listed returns a fleeting resource whose rows list adds, at every refresh.
func Listed(asked ask.Resource, list func(rows *Collection)) *Resource {
	return &Resource{Resource: asked, Fleeting: true, source: func(a *Answers, p *ask.Params, _ func()) source {
		return listed(p, func(c *Collection) meta {
			m := plainMeta(a, p)
			list(c)
			return m
		})
	}}
}

// A maker makes the source of a query. It calls pause between pieces of long
// computations, unless it is nil.
type maker func(a *Answers, p *ask.Params, pause func()) source

var (
	providerColumns = []string{
		"circuit", "circuits_open", "circuits_known", "block_height", "block_lag_blocks", "consecutive_failures",
		"regions_reporting", "status", "status_reasons", "by_region", "methods",
	}
	alarmColumns = []string{
		"key", "severity", "rule", "rank", "subject", "profile", "chain", "provider_id", "sender", "node", "detail", "since_at", "total_calls",
	}
	circuitColumns = []string{
		"key", "profile", "chain", "provider_id", "transport", "region", "sender", "state", "reason", "since_at", "last_seen_at", "stale",
	}
	changeColumns = []string{
		"key", "profile", "chain", "provider_id", "transport", "region", "sender", "from", "to", "reason", "at",
	}
	blockColumns = []string{
		"key", "profile", "chain", "provider_id", "region", "sender", "height", "lag_blocks", "source", "last_seen_at", "stale",
	}
	healthColumns = []string{
		"key", "profile", "chain", "provider_id", "transport", "region", "sender", "status", "consecutive_failures",
		"consecutive_successes", "latency_ms", "reason", "last_seen_at", "stale",
	}
	senderColumns = []string{
		"key", "profile", "source_node", "region", "last_seen_at", "reporting", "calls_per_second", "total_calls", "lateness_ms", "clock_offset_ms",
		"rejected", "rejected_at", "rejected_code", "rejected_field",
	}
	decisionColumns = []string{
		"key", "ts", "request_id", "event_id", "profile", "node", "source_node", "region", "chain", "method", "strategy", "provider_id",
		"transport", "request_origin", "result", "reason", "error_category", "error_code", "duration_ms", "upstream_ms", "failover_count",
		"weight", "attempts", "found_by",
	}
	rankColumns = []string{
		"key", "chain", "provider_id", "score", "eligible", "reasons", "availability_pct", "avg_latency_ms", "total_calls", "cold_start",
		"circuit", "block_lag_blocks", "age_ms",
	}
	memberColumns = []string{
		"key", "name", "state", "stale", "restarting", "reporting", "incarnation", "region", "http_addr", "sequence", "delta_age_ms", "gaps_total",
		"pulls_total", "inline_share", "divergence_total", "bytes_in_total", "bytes_out_total", "clock_skew_ms",
	}
)

// tableColumns are the members of rows grouped by some dimensions.
func tableColumns(by []store.Dim, more ...string) []string {
	list := []string{"key"}
	for _, d := range by {
		list = append(list, d.String())
	}
	return append(append(append(list, figureColumns...), "previous"), more...)
}

var compareOwn = []string{"compare"}

func tableResource(path string, by ...store.Dim) *Resource {
	return &Resource{Resource: ask.Resource{Path: path, Topic: path[1:], By: by, Columns: tableColumns(by), Own: compareOwn}, source: newTableSource}
}

var (
	byProvider = []store.Dim{store.ChainDim, store.ProviderDim}

	providersResource = &Resource{
		Resource: ask.Resource{Path: "/providers", Topic: "providers", By: byProvider, Columns: tableColumns(byProvider, providerColumns...), Own: compareOwn},
		source:   newTableSource,
	}
	providerResource = &Resource{
		Resource: ask.Resource{
			Path: "/providers/{provider_id}", By: byProvider, Columns: providersResource.Columns, Own: compareOwn, Without: []string{"provider_id"},
		},
		source: newTableSource,
	}
	decisionOwn      = []string{"cursor", "result", "error_category", "min_duration_ms"}
	decisionResource = &Resource{
		Resource: ask.Resource{Path: "/decisions/{request_id}", Columns: decisionColumns, Own: decisionOwn, Limit: 100, MaxLimit: 1000},
		source:   newDecisionSource,
	}
	profilesResource = &Resource{
		Resource: ask.Resource{
			Path: "/profiles", Topic: "profiles", By: []store.Dim{store.ProfileDim}, Columns: tableColumns([]store.Dim{store.ProfileDim}),
			Own: compareOwn, Profiles: true,
		},
		source: newTableSource,
	}
	statsResource = &Resource{
		Resource: ask.Resource{
			Path: "/stats", Own: []string{"by", "compare"}, Required: []string{"by"}, Columns: append(dimensionNames(), tableColumns(nil)...),
		},
		source: newTableSource,
	}
	clusterResource = &Resource{
		Resource: ask.Resource{Path: "/cluster", Topic: "cluster", Columns: memberColumns}, source: newMemberSource, Fleeting: true,
	}
	onlyKey = []string{"key"}
)

// ofStore are the resources that the store has the content of.
func ofStore() []*Resource {
	return []*Resource{
		providersResource, providerResource,
		tableResource("/chains", store.ChainDim),
		tableResource("/regions", store.RegionDim),
		tableResource("/methods", store.MethodDim),
		tableResource("/strategies", store.StrategyDim),
		tableResource("/nodes", store.NodeDim),
		profilesResource, statsResource,
		{Resource: ask.Resource{Path: "/rank", Columns: rankColumns, Own: []string{"formula"}, Required: []string{"chain"}}, source: newRankSource},
		{
			Resource: ask.Resource{
				Path: "/series", Own: []string{"metric", "by", "step"}, Required: []string{"metric"}, Columns: onlyKey, Metrics: metricNames,
			},
			source: newSeriesSource,
		},
		{Resource: ask.Resource{Path: "/histogram", Own: []string{"by", "step"}, Columns: onlyKey}, source: newHistogramSource},
		{Resource: ask.Resource{Path: "/attention", Topic: "attention", Columns: alarmColumns}, source: newAttentionSource},
		{Resource: ask.Resource{Path: "/circuits", Topic: "circuits", Columns: circuitColumns}, source: newCircuitSource},
		{Resource: ask.Resource{Path: "/circuits/changes", Topic: "circuit_changes", Columns: changeColumns}, source: newChangeSource},
		{Resource: ask.Resource{Path: "/blocks", Topic: "blocks", Columns: blockColumns}, source: newBlockSource},
		{Resource: ask.Resource{Path: "/provider_health", Topic: "provider_health", Columns: healthColumns}, source: newHealthSource},
		{Resource: ask.Resource{Path: "/senders", Topic: "senders", Columns: senderColumns}, source: newSenderSource},
		{
			Resource: ask.Resource{Path: "/decisions", Topic: "decisions", Columns: decisionColumns, Own: decisionOwn, Limit: 100, MaxLimit: 1000},
			source:   newDecisionSource,
		},
		decisionResource,
		{Resource: ask.Resource{Path: "/snapshot", Columns: onlyKey}, source: newSnapshotSource},
		clusterResource,
	}
}

func dimensionNames() (list []string) {
	for d := range store.NumDims {
		list = append(list, d.String())
	}
	return list
}
