package httpapi

import (
	"net/http"
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"remuda/store/cell"
)

// exposition collects at scrape time what this node itself counted since it
// started, so that the sum over nodes is the cluster, and its own health. Names are said
// once, by who collects them.
type exposition struct{ api *API }

func newMetrics(a *API) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(exposition{a}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// callDescs describe the metrics of calls, one for each of cell.Measures.
var callDescs = func() (list [len(cell.Measures)]*prometheus.Desc) {
	for i, m := range cell.Measures {
		list[i] = callDesc("remuda_"+m.Name+"_total", m.Help)
	}
	return list
}()

var callLatency = callDesc("remuda_call_latency_seconds", "Latencies of successful calls, by weight.")

func callDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"profile", "chain", "provider_id", "transport"}, nil)
}

// Describe implements prometheus.Collector: it says nothing, so that what is collected
// need not be known before.
func (e exposition) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (e exposition) Collect(ch chan<- prometheus.Metric) {
	a := e.api
	sets, more := a.exposed.collect(a.store)
	for i := range sets {
		labels, c := sets[i].labels, &sets[i].callCounts
		for i := range cell.Measures {
			ch <- prometheus.MustNewConstMetric(callDescs[i], prometheus.CounterValue, float64(cell.Measures[i].Of(&c.Counts)), labels...)
		}
		ch <- prometheus.MustNewConstSummary(callLatency, c.Successes(), c.latency/1e6, nil, labels...)
	}
	// What counts since the start has a name that says so.
	expose := func(name, help string, v float64) {
		kind := prometheus.GaugeValue
		if strings.HasSuffix(name, "_total") {
			kind = prometheus.CounterValue
		}
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), kind, v)
	}
	byCode := func(name, help string, counts map[string]uint64) {
		desc := prometheus.NewDesc(name, help, []string{"code"}, nil)
		for code, n := range counts {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), code)
		}
	}
	truncated := 0.0
	if more {
		truncated = 1
	}
	expose("remuda_exposition_truncated", "1 when there are more label sets of calls than are exposed: the rest is added up as __other__.", truncated)

	u := a.store.Usage()
	expose("remuda_events_accepted_total", "Events accepted.", float64(u.EventsAccepted))
	expose("remuda_events_duplicate_total", "Events that were known already.", float64(u.EventsDuplicate))
	posted := a.posts.Figures()
	byCode("remuda_events_rejected_total", "Events refused.", posted.Rejected)
	byCode("remuda_ingest_refused_bodies_total", "Bodies refused as a whole.", posted.Failed)
	inFlight, _ := a.ingester.InFlight()
	expose("remuda_ingest_requests_total", "Bodies of events received.", float64(posted.Requests))
	expose("remuda_ingest_bytes_total", "Bytes of bodies of events, as they came.", float64(posted.Bytes))
	expose("remuda_ingest_seconds_total", "Time spent on bodies of events.", posted.Took.Seconds())
	expose("remuda_ingest_bytes_in_flight", "Bytes that bodies hold.", float64(inFlight))
	waiting, _ := a.ingester.Waiting()
	expose("remuda_ingest_bodies_waiting", "Bodies that wait for their turn.", float64(waiting))
	expose("remuda_store_series", "Series held.", float64(u.Series))
	expose("remuda_store_series_limit", "Series that may be held.", float64(u.MaxSeries))
	expose("remuda_store_latest_values", "Circuits, heights and health reports held.", float64(u.LatestValues))
	expose("remuda_store_senders", "Senders known.", float64(u.Senders))
	expose("remuda_store_revision", "Number of the store's last change.", float64(a.store.Revision()))
	expose("remuda_overflow_calls_total", "Calls that lost dimensions to a cap, by weight.", float64(u.OverflowCalls))
	expose("remuda_dedup_bytes", "Memory of identities.", float64(u.DedupBytes))
	expose("remuda_dedup_identities", "Identities held.", float64(u.DedupIdentities))
	expose("remuda_dedup_period_seconds", "For how long every repeat is found.", u.DedupPeriod.Seconds())
	expose("remuda_clock_steps_total", "Times that the store's clock followed a jump of the wall clock.", float64(u.ClockSteps))
	made := a.store.Checkpoints()
	expose("remuda_checkpoints_written_total", "Checkpoints that were written.", float64(made.Written))
	expose("remuda_checkpoints_failed_total", "Checkpoints that could not be written.", float64(made.Failed))
	expose("remuda_checkpoint_timestamp_seconds", "When the last checkpoint of this run was written; 0 while none was.", float64(made.WrittenAt)/1000)
	streamed := a.streams.Figures()
	expose("remuda_subscribers", "Open streams.", float64(streamed.Subscribers))
	expose("remuda_subscribers_cut_total", "Streams cut because their readers did not take a frame in time.", float64(streamed.Cut))
	expose("remuda_views", "Different queries being streamed.", float64(streamed.Views))
	expose("remuda_frames_computed_total", "Frames computed; each is shared by all subscribers of its view.", float64(streamed.Computed))
	expose("remuda_frames_written_total", "Frames written to subscribers.", float64(streamed.Written))
	expose("remuda_stream_bytes_total", "Bytes written to subscribers.", float64(streamed.Bytes))
	if a.options.Cluster != nil {
		a.options.Cluster.Figures(expose)
	}
	ch <- prometheus.MustNewConstMetric(
		prometheus.NewDesc("remuda_build_info", "1, labelled with what runs.", []string{"version", "go_version", "node"}, nil),
		prometheus.GaugeValue, 1, a.options.Version, runtime.Version(), a.store.Node(),
	)
}
