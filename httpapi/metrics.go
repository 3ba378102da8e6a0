package httpapi

import (
	"maps"
	"net/http"
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// exposition collects at scrape time what this node itself counted since it
// started, so that the sum over nodes is the cluster, and its own health.
type exposition struct {
	api   *API
	descs map[string]*prometheus.Desc
}

var callLabels = []string{"profile", "chain", "provider_id", "transport"}

func newMetrics(a *API) http.Handler {
	e := &exposition{api: a, descs: make(map[string]*prometheus.Desc)}
	for name, d := range map[string]struct {
		help   string
		labels []string
	}{
		"remuda_calls_total":                    {"Calls counted by this node, by weight.", callLabels},
		"remuda_call_errors_total":              {"Calls that failed, by weight.", callLabels},
		"remuda_provider_errors_total":          {"Calls that failed by fault of the provider, by weight.", callLabels},
		"remuda_requests_total":                 {"Requests that ended at the provider, by weight.", callLabels},
		"remuda_request_errors_total":           {"Requests that ended in an error, by weight.", callLabels},
		"remuda_failovers_total":                {"Failovers before requests ended, by weight.", callLabels},
		"remuda_samples_total":                  {"Calls as they were sent, without weight.", callLabels},
		"remuda_call_latency_seconds":           {"Latencies of successful calls, by weight.", callLabels},
		"remuda_exposition_truncated":           {"1 when there are more label sets of calls than are exposed: the rest is added up as __other__.", nil},
		"remuda_events_accepted_total":          {"Events accepted.", nil},
		"remuda_events_duplicate_total":         {"Events that were known already.", nil},
		"remuda_events_rejected_total":          {"Events refused.", []string{"code"}},
		"remuda_ingest_requests_total":          {"Bodies of events received.", nil},
		"remuda_ingest_refused_bodies_total":    {"Bodies refused as a whole.", []string{"code"}},
		"remuda_ingest_bytes_total":             {"Bytes of bodies of events, as they came.", nil},
		"remuda_ingest_seconds_total":           {"Time spent on bodies of events.", nil},
		"remuda_ingest_bytes_in_flight":         {"Bytes that bodies hold.", nil},
		"remuda_ingest_bodies_waiting":          {"Bodies that wait for their turn.", nil},
		"remuda_store_series":                   {"Series held.", nil},
		"remuda_store_series_limit":             {"Series that may be held.", nil},
		"remuda_store_latest_values":            {"Circuits, heights and health reports held.", nil},
		"remuda_store_senders":                  {"Senders known.", nil},
		"remuda_store_revision":                 {"Number of the store's last change.", nil},
		"remuda_overflow_calls_total":           {"Calls that lost dimensions to a cap, by weight.", nil},
		"remuda_dedup_bytes":                    {"Memory of identities.", nil},
		"remuda_dedup_identities":               {"Identities held.", nil},
		"remuda_dedup_period_seconds":           {"For how long every repeat is found.", nil},
		"remuda_checkpoints_written_total":      {"Checkpoints that were written.", nil},
		"remuda_checkpoints_failed_total":       {"Checkpoints that could not be written.", nil},
		"remuda_checkpoint_timestamp_seconds":   {"When the last checkpoint of this run was written; 0 while none was.", nil},
		"remuda_clock_steps_total":              {"Times that the store's clock followed a jump of the wall clock.", nil},
		"remuda_subscribers":                    {"Open streams.", nil},
		"remuda_subscribers_cut_total":          {"Streams cut because their readers did not take a frame in time.", nil},
		"remuda_views":                          {"Different queries being streamed.", nil},
		"remuda_frames_computed_total":          {"Frames computed; each is shared by all subscribers of its view.", nil},
		"remuda_frames_written_total":           {"Frames written to subscribers.", nil},
		"remuda_stream_bytes_total":             {"Bytes written to subscribers.", nil},
		"remuda_cluster_members":                {"Members that are up, this node included.", nil},
		"remuda_cluster_inline_total":           {"Sequences of other nodes that came whole by gossip.", nil},
		"remuda_cluster_pulled_total":           {"Sequences of other nodes that were pulled.", nil},
		"remuda_cluster_pulls_total":            {"Pulls from other nodes.", nil},
		"remuda_cluster_gaps_total":             {"Sequences of other nodes found missing.", nil},
		"remuda_cluster_divergence_total":       {"Times that this node and another had different totals of one sequence: 0 unless there is a fault.", nil},
		"remuda_cluster_gossiped_bytes_total":   {"Bytes of this node's deltas, before gossip repeats them.", nil},
		"remuda_cluster_gossip_in_bytes_total":  {"Bytes of gossip received: deltas with their repetitions, and membership.", nil},
		"remuda_cluster_gossip_out_bytes_total": {"Bytes of gossip sent: deltas with their repetitions, and membership.", nil},
		"remuda_cluster_received_bytes_total":   {"Bytes of marks and states received from members who were asked.", nil},
		"remuda_cluster_answered_bytes_total":   {"Bytes of marks and states sent to members who asked.", nil},
		"remuda_cluster_heads_only_total":       {"Sequences of which only the head was gossiped, because of what was waiting.", nil},
		"remuda_cluster_skipped_total":          {"Sequences that were not gossiped at all, because of what was waiting.", nil},
		"remuda_cluster_ignored_total":          {"Messages of members that could not be read, of another version or dropped.", nil},
		"remuda_cluster_refused_total":          {"Internal requests refused because they did not come from a member.", nil},
		"remuda_cluster_repeated_total":         {"Internal requests refused because they came again, or were for a former run of this node.", nil},
		"remuda_cluster_queued_events":          {"Events waiting to be gossiped.", nil},
		"remuda_cluster_inline_budget_bytes":    {"What an event may carry inline.", nil},
		"remuda_build_info":                     {"1, labelled with what runs.", []string{"version", "go_version", "node"}},
	} {
		e.descs[name] = prometheus.NewDesc(name, d.help, d.labels, nil)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(e, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Describe implements prometheus.Collector.
func (e *exposition) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range e.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (e *exposition) Collect(ch chan<- prometheus.Metric) {
	counter := func(name string, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(e.descs[name], prometheus.CounterValue, v, labels...)
	}
	gauge := func(name string, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(e.descs[name], prometheus.GaugeValue, v, labels...)
	}
	a := e.api
	sets, more := a.exposed.collect(a.store)
	for i := range sets {
		labels, c := sets[i].labels, &sets[i].callCounts
		counter("remuda_calls_total", float64(c.calls), labels...)
		counter("remuda_call_errors_total", float64(c.errors), labels...)
		counter("remuda_provider_errors_total", float64(c.providerErrors), labels...)
		counter("remuda_requests_total", float64(c.requests), labels...)
		counter("remuda_request_errors_total", float64(c.requestErrors), labels...)
		counter("remuda_failovers_total", float64(c.failovers), labels...)
		counter("remuda_samples_total", float64(c.samples), labels...)
		ch <- prometheus.MustNewConstSummary(e.descs["remuda_call_latency_seconds"], c.calls-c.errors, c.latency/1e6, nil, labels...)
	}
	truncated := 0.0
	if more {
		truncated = 1
	}
	gauge("remuda_exposition_truncated", truncated)

	u := a.store.Usage()
	counter("remuda_events_accepted_total", float64(u.EventsAccepted))
	counter("remuda_events_duplicate_total", float64(u.EventsDuplicate))
	a.ingest.mu.Lock()
	rejected, failed := maps.Clone(a.ingest.rejected), maps.Clone(a.ingest.failed)
	a.ingest.mu.Unlock()
	for code, n := range rejected {
		counter("remuda_events_rejected_total", float64(n), code)
	}
	for code, n := range failed {
		counter("remuda_ingest_refused_bodies_total", float64(n), code)
	}
	inFlight, _ := a.ingester.InFlight()
	counter("remuda_ingest_requests_total", float64(a.ingest.requests.Load()))
	counter("remuda_ingest_bytes_total", float64(a.posts.received()))
	counter("remuda_ingest_seconds_total", float64(a.ingest.nanos.Load())/1e9)
	gauge("remuda_ingest_bytes_in_flight", float64(inFlight))
	waiting, _ := a.ingester.Waiting()
	gauge("remuda_ingest_bodies_waiting", float64(waiting))
	gauge("remuda_store_series", float64(u.Series))
	gauge("remuda_store_series_limit", float64(u.MaxSeries))
	gauge("remuda_store_latest_values", float64(u.LatestValues))
	gauge("remuda_store_senders", float64(u.Senders))
	gauge("remuda_store_revision", float64(a.store.Revision()))
	counter("remuda_overflow_calls_total", float64(u.OverflowCalls))
	gauge("remuda_dedup_bytes", float64(u.DedupBytes))
	gauge("remuda_dedup_identities", float64(u.DedupIdentities))
	gauge("remuda_dedup_period_seconds", u.DedupPeriod.Seconds())
	counter("remuda_clock_steps_total", float64(u.ClockSteps))
	made := a.store.Checkpoints()
	counter("remuda_checkpoints_written_total", float64(made.Written))
	counter("remuda_checkpoints_failed_total", float64(made.Failed))
	gauge("remuda_checkpoint_timestamp_seconds", float64(made.WrittenAt)/1000)
	gauge("remuda_subscribers", float64(a.streams.count()))
	counter("remuda_subscribers_cut_total", float64(a.streams.cut.Load()))
	gauge("remuda_views", float64(a.streams.viewCount()))
	counter("remuda_frames_computed_total", float64(a.streams.computed.Load()))
	counter("remuda_frames_written_total", float64(a.streams.written.Load()))
	counter("remuda_stream_bytes_total", float64(a.streams.bytes.Load()))
	if a.options.Cluster != nil {
		a.options.Cluster.Figures(func(name string, v float64) {
			if strings.HasSuffix(name, "_total") {
				counter(name, v)
			} else {
				gauge(name, v)
			}
		})
	}
	gauge("remuda_build_info", 1, a.options.Version, runtime.Version(), a.store.Node())
}
