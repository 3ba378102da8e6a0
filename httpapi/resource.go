package httpapi

import (
	"slices"
	"strings"

	"remuda/store"
)

// resource is one collection of the API: where it is, what can be asked of it and
// how its content is made. The router, the parameters, streams and topics are
// all driven by the list below.
type resource struct {
	path     string // under /api/v1; "{…}" is a part of the path
	topic    string // its name in /stream, "" when it has none
	by       []store.Dim
	columns  []string // members of a row, for fields and sort
	own      []string // parameters besides the common ones
	without  []string // filters it does not have
	required []string
	limit    int  // default, when it is not 1,000
	maxLimit int  // when it is not 10,000
	fleeting bool // changes without a change of the store: no cache, and what names an answer is its content
	source   func(a *API, p *params) source
}

// named holds for resources whose path has a part that is a parameter.
func (res *resource) named() bool { return res == providerResource || res == decisionResource }

// name is what the part of the path is called.
func (res *resource) name() string {
	return strings.Trim(res.path[strings.IndexByte(res.path, '{'):], "{}")
}

var dimensionNames = func() []string {
	list := make([]string, store.NumDims)
	for d := range store.NumDims {
		list[d] = d.String()
	}
	return list
}()

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
	return &resource{path: path, topic: path[1:], by: by, columns: tableColumns(by), own: compareOwn, source: newTableSource}
}

var (
	byProvider = []store.Dim{store.ChainDim, store.ProviderDim}

	providersResource = &resource{
		path: "/providers", topic: "providers", by: byProvider, columns: tableColumns(byProvider, providerColumns...), own: compareOwn,
		source: newTableSource,
	}
	providerResource = &resource{
		path: "/providers/{provider_id}", by: byProvider, columns: providersResource.columns, own: compareOwn,
		without: []string{"provider_id"}, source: newTableSource,
	}
	decisionOwn       = []string{"cursor", "result", "error_category", "min_duration_ms"}
	decisionsResource = &resource{
		path: "/decisions", topic: "decisions", columns: decisionColumns, own: decisionOwn, limit: 100, maxLimit: 1000,
		source: newDecisionSource,
	}
	decisionResource = &resource{
		path: "/decisions/{request_id}", columns: decisionColumns, own: decisionOwn, limit: 100, maxLimit: 1000, source: newDecisionSource,
	}
	clusterResource = &resource{path: "/cluster", topic: "cluster", columns: memberColumns, source: newMemberSource, fleeting: true}
	streamResource  = &resource{path: "/stream", own: []string{"topics", "topic"}, source: newTopicSource, columns: []string{"key"}}

	// resources and topicNames are set by init: sources refer to them in turn.
	resources  []*resource
	topicNames []string
)

func init() {
	resources = []*resource{
		providersResource, providerResource,
		tableResource("/chains", store.ChainDim),
		tableResource("/regions", store.RegionDim),
		tableResource("/methods", store.MethodDim),
		tableResource("/strategies", store.StrategyDim),
		tableResource("/nodes", store.NodeDim),
		tableResource("/profiles", store.ProfileDim),
		{
			path: "/stats", own: []string{"by", "compare"}, required: []string{"by"}, source: newTableSource,
			columns: append(slices.Clone(dimensionNames), tableColumns(nil)...),
		},
		{path: "/rank", topic: "", columns: rankColumns, own: []string{"formula"}, required: []string{"chain"}, source: newRankSource},
		{
			path: "/series", own: []string{"metric", "by", "step"}, required: []string{"metric"}, columns: []string{"key"}, source: newSeriesSource,
		},
		{path: "/histogram", own: []string{"by", "step"}, columns: []string{"key"}, source: newHistogramSource},
		{path: "/attention", topic: "attention", columns: alarmColumns, source: newAttentionSource},
		{path: "/circuits", topic: "circuits", columns: circuitColumns, source: newCircuitSource},
		{path: "/circuits/changes", topic: "circuit_changes", columns: changeColumns, source: newChangeSource},
		{path: "/blocks", topic: "blocks", columns: blockColumns, source: newBlockSource},
		{path: "/provider_health", topic: "provider_health", columns: healthColumns, source: newHealthSource},
		{path: "/senders", topic: "senders", columns: senderColumns, source: newSenderSource},
		decisionsResource, decisionResource,
		{path: "/snapshot", columns: []string{"key"}, source: newSnapshotSource},
		streamResource,
		clusterResource,
		{path: "/runtime", columns: runtimeColumns, source: newRuntimeSource, fleeting: true},
		{path: "/limits", columns: limitColumns, source: newLimitSource, fleeting: true},
		{path: "/subscribers", columns: subscriberColumns, source: newSubscriberSource, fleeting: true},
	}

	for _, r := range resources {
		if r.topic != "" {
			topicNames = append(topicNames, r.topic)
		}
	}
}

func resourceOfTopic(topic string) *resource {
	i := slices.IndexFunc(resources, func(r *resource) bool { return r.topic == topic })
	return resources[i]
}
