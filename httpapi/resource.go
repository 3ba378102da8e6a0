package httpapi

import (
	"slices"

	"remuda/httpapi/ask"
	"remuda/store"
)

// resource is one collection of the API: where it is, what can be asked of it and
// how its content is made. The router, the parameters, streams and topics are
// all driven by the list below.
type resource struct {
	ask.Resource
	fleeting bool // changes without a change of the store: no cache, and what names an answer is its content
	source   maker
}

// A maker makes the source of a query. It calls pause between pieces of long
// computations, unless it is nil.
type maker func(a *API, p *ask.Params, pause func()) source

var (
	figureColumns = []string{
		"total_calls", "error_count", "success_rate_pct", "provider_error_count", "availability_pct", "errors_by_category", "samples",
		"calls_per_second", "traffic_pct", "requests", "request_errors", "failover_count", "avg_latency_ms", "p50_latency_ms",
		"p90_latency_ms", "p95_latency_ms", "p99_latency_ms", "max_latency_ms", "failure_p95_latency_ms", "last_seen_at",
	}
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
		"transport", "request_origin", "result", "error_category", "error_code", "duration_ms", "upstream_ms", "failover_count",
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
	limitColumns      = []string{"key", "limit", "current", "unit", "detail"}
	runtimeColumns    = []string{"key", "value", "unit", "detail"}
	subscriberColumns = []string{
		"key", "path", "query", "format", "remote_addr", "interval_ms", "since_at", "frames_total", "snapshots_total", "bytes_total",
		"lag_ms", "last_write_at",
	}

	seriesMetrics = slices.DeleteFunc(slices.Clone(figureColumns), func(c string) bool { return c == "errors_by_category" || c == "last_seen_at" })
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

func tableResource(path string, by ...store.Dim) *resource {
	return &resource{Resource: ask.Resource{Path: path, Topic: path[1:], By: by, Columns: tableColumns(by), Own: compareOwn}, source: newTableSource}
}

var (
	byProvider = []store.Dim{store.ChainDim, store.ProviderDim}

	providersResource = &resource{
		Resource: ask.Resource{Path: "/providers", Topic: "providers", By: byProvider, Columns: tableColumns(byProvider, providerColumns...), Own: compareOwn},
		source:   newTableSource,
	}
	providerResource = &resource{
		Resource: ask.Resource{
			Path: "/providers/{provider_id}", By: byProvider, Columns: providersResource.Columns, Own: compareOwn, Without: []string{"provider_id"},
		},
		source: newTableSource,
	}
	decisionOwn      = []string{"cursor", "result", "error_category", "min_duration_ms"}
	decisionResource = &resource{
		Resource: ask.Resource{Path: "/decisions/{request_id}", Columns: decisionColumns, Own: decisionOwn, Limit: 100, MaxLimit: 1000},
		source:   newDecisionSource,
	}
	profilesResource = &resource{
		Resource: ask.Resource{
			Path: "/profiles", Topic: "profiles", By: []store.Dim{store.ProfileDim}, Columns: tableColumns([]store.Dim{store.ProfileDim}),
			Own: compareOwn, Profiles: true,
		},
		source: newTableSource,
	}
	statsResource = &resource{
		Resource: ask.Resource{
			Path: "/stats", Own: []string{"by", "compare"}, Required: []string{"by"}, Columns: append(dimensionNames(), tableColumns(nil)...),
		},
		source: newTableSource,
	}
	clusterResource = &resource{
		Resource: ask.Resource{Path: "/cluster", Topic: "cluster", Columns: memberColumns}, source: newMemberSource, fleeting: true,
	}
	streamResource = &resource{
		Resource: ask.Resource{Path: "/stream", Own: []string{"topics", "topic"}, Columns: onlyKey}, source: newTopicSource,
	}

	onlyKey = []string{"key"}

	// resources are set by init: sources refer to them in turn.
	resources []*resource
)

func init() {
	resources = []*resource{
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
				Path: "/series", Own: []string{"metric", "by", "step"}, Required: []string{"metric"}, Columns: onlyKey, Metrics: seriesMetrics,
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
		streamResource, clusterResource,
		{Resource: ask.Resource{Path: "/runtime", Columns: runtimeColumns}, source: newRuntimeSource, fleeting: true},
		{Resource: ask.Resource{Path: "/limits", Columns: limitColumns}, source: newLimitSource, fleeting: true},
		{Resource: ask.Resource{Path: "/subscribers", Columns: subscriberColumns}, source: newSubscriberSource, fleeting: true},
	}
	for _, res := range resources {
		if res != streamResource {
			streamResource.Topics = append(streamResource.Topics, &res.Resource)
		}
	}
}

func dimensionNames() (list []string) {
	for d := range store.NumDims {
		list = append(list, d.String())
	}
	return list
}

// resourceOf is the one that is asked for so.
func resourceOf(asked *ask.Resource) *resource {
	i := slices.IndexFunc(resources, func(res *resource) bool { return &res.Resource == asked })
	return resources[i]
}

func resourceOfTopic(topic string) *resource {
	i := slices.IndexFunc(resources, func(res *resource) bool { return res.Topic == topic })
	return resources[i]
}
