package httpapi

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"time"

	"remuda/httpapi/answer"
	"remuda/httpapi/ask"
)

// resources are those of the node itself.
func (a *API) resources() []*answer.Resource {
	return []*answer.Resource{
		answer.Listed(ask.Resource{Path: "/runtime", Columns: []string{"key", "value", "unit", "detail"}}, a.runtimeValues),
		answer.Listed(ask.Resource{Path: "/limits", Columns: []string{"key", "limit", "current", "unit", "detail"}}, a.limits),
		answer.Listed(ask.Resource{Path: "/subscribers", Columns: []string{
			"key", "path", "query", "format", "remote_addr", "interval_ms", "since_at", "frames_total", "snapshots_total", "bytes_total",
			"lag_ms", "last_write_at",
		}}, a.subscribers),
	}
}

// runtimeSamples are what operators of the old system watched with their VM's
// tools, under this runtime's names.
var runtimeSamples = []struct {
	key, metric, unit, detail string
	quantile                  float64 // of a histogram; 0 for a plain number
}{
	{"goroutines", "/sched/goroutines:goroutines", "goroutines", "a stream over TLS, HTTP/2 or as NDJSON is some; one of server-sent events on plain HTTP/1.1 is none", 0},
	{"threads_max", "/sched/gomaxprocs:threads", "threads", "processors that run Go code at once", 0},
	{"scheduler_latency_p50", "/sched/latencies:seconds", "s", "how long a runnable goroutine waits for a processor", 0.5},
	{"scheduler_latency_p99", "/sched/latencies:seconds", "s", "how long a runnable goroutine waits for a processor", 0.99},
	{"gc_cycles", "/gc/cycles/total:gc-cycles", "cycles", "garbage collections since the start", 0},
	{"gc_pause_p99", "/sched/pauses/total/gc:seconds", "s", "stop of all goroutines by the collector", 0.99},
	{"gc_cpu", "/cpu/classes/gc/total:cpu-seconds", "s", "processor time of the collector since the start", 0},
	{"cpu", "/cpu/classes/user:cpu-seconds", "s", "processor time of Go code since the start", 0},
	{"heap_live", "/gc/heap/live:bytes", "bytes", "reachable at the last collection", 0},
	{"heap_objects", "/memory/classes/heap/objects:bytes", "bytes", "objects, the dead but unswept included", 0},
	{"memory_total", "/memory/classes/total:bytes", "bytes", "all memory that the runtime has mapped", 0},
	{"mutex_wait", "/sync/mutex/wait/total:seconds", "s", "time that goroutines have waited for locks since the start", 0},
}

func (a *API) runtimeValues(c *answer.Collection) {
	samples := make([]metrics.Sample, len(runtimeSamples))
	for i := range runtimeSamples {
		samples[i].Name = runtimeSamples[i].metric
	}
	metrics.Read(samples)
	for i, s := range runtimeSamples {
		r := c.Add(s.key)
		switch v := samples[i].Value; v.Kind() {
		case metrics.KindUint64:
			r.Count("value", v.Uint64())
		case metrics.KindFloat64:
			r.Number("value", v.Float64(), 1e6)
		case metrics.KindFloat64Histogram:
			if upper, ok := quantile(v.Float64Histogram(), s.quantile); ok {
				r.Number("value", upper, 1e9)
			} else {
				r.Null("value")
			}
		default:
			r.Null("value")
		}
		r.Text("unit", s.unit)
		r.Text("detail", s.detail)
	}
	posted := a.posts.Figures()
	for _, own := range []struct {
		key    string
		value  float64
		unit   string
		detail string
	}{
		{"ingest_requests", float64(posted.Requests), "requests", "bodies of events since the start"},
		{"ingest_time", posted.Took.Seconds(), "s", "time spent on them, reading included"},
		{"cpus", float64(runtime.NumCPU()), "cpus", "processors of the machine"},
		{"uptime", time.Since(started).Seconds(), "s", "since the process started"},
	} {
		r := c.Add(own.key)
		r.Number("value", own.value, 1e3)
		r.Text("unit", own.unit)
		r.Text("detail", own.detail)
	}
}

var started = time.Now()

// quantile is the upper bound of the bucket that a quantile falls into.
func quantile(h *metrics.Float64Histogram, q float64) (upper float64, ok bool) {
	var total, below uint64
	for _, n := range h.Counts {
		total += n
	}
	if total == 0 {
		return 0, false
	}
	rank := uint64(math.Ceil(q * float64(total)))
	for i, n := range h.Counts {
		if below += n; below >= rank {
			upper = h.Buckets[i+1]
			if math.IsInf(upper, 1) {
				upper = h.Buckets[i]
			}
			return upper, true
		}
	}
	return 0, false
}

// limits lists every bound of the node with its current use.
func (a *API) limits(c *answer.Collection) {
	add := func(key string, limit, current int64, unit, detail string) {
		r := c.Add(key)
		r.Integer("limit", limit)
		if current < 0 {
			r.Null("current")
		} else {
			r.Integer("current", current)
		}
		r.Text("unit", unit)
		r.Text("detail", detail)
	}
	addMemory(c)
	u := a.store.Usage()
	streamed := a.streams.Figures()
	inFlight, maxInFlight := a.ingester.InFlight()
	maxBody, maxInflated, maxLine := a.ingester.Limits()
	const none = -1
	add("series", int64(u.MaxSeries), int64(u.Series), "series", "beyond it new series lose their method, then everything but their profile: overflow_calls")
	add("series_per_profile", int64(u.MaxSeriesPerProfile), none, "series", "the same for each profile")
	add("profiles", int64(u.MaxProfiles), int64(u.Profiles), "profiles", "beyond it events of a new profile are refused: too_many_series")
	add("latest_values", int64(u.MaxLatestValues), int64(u.LatestValues), "values", "beyond it circuits, heights and health with a new key are refused: too_many_series")
	add("senders_per_profile", int64(u.MaxSenders), int64(u.Senders), "senders", "beyond it new senders are shown as one")
	add("error_categories", int64(u.MaxCategories), int64(u.Categories), "names", "beyond it new names are counted as __other__")
	add("dedup_memory", u.MaxDedupBytes, u.DedupBytes, "bytes", "identities of events")
	add("dedup_identities", u.MaxDedupBytes/16*7/8, u.DedupIdentities, "identities", "beyond it the dedup period is shortened")
	add("dedup_period", 120_000, u.DedupPeriod.Milliseconds(), "ms", "for how long every repeat is found; shorter than the limit when memory did not last")
	add("body", maxBody, none, "bytes", "a larger body is answered with 413")
	add("body_inflated", maxInflated, none, "bytes", "a body that is larger once decompressed is answered with 413")
	add("window_totals", u.MaxTotalBytes, u.TotalBytes, "bytes", "sums of windows that are kept from one read to the next; beyond it each read makes them, and takes longer")
	add("line", int64(maxLine), none, "bytes", "a longer event is refused: too_long")
	add("bytes_in_flight", maxInFlight, inFlight, "bytes", "held by bodies; beyond it slow ones are cut, then 503 with Retry-After")
	waiting, longest := a.ingester.Waiting()
	add("bodies_waiting", int64(a.options.MaxConnections), int64(waiting), "bodies", "for their turn, unread; one for each connection at most")
	add("body_wait", longest.Milliseconds(), none, "ms", "for a turn; from 1,000 on some, beyond it all get 503 with Retry-After")
	add("subscribers", int64(a.options.MaxSubscribers), int64(streamed.Subscribers), "streams", "beyond it 503 with Retry-After")
	add("views", int64(a.options.MaxViews), int64(streamed.Views), "views", "different queries that are streamed; beyond it 503 with Retry-After")
	add("exposed_label_sets", int64(a.options.MaxExposed), int64(a.exposed.count()), "sets", "of calls, as of the last scrape of /metrics; beyond it they are added up as __other__")
	readMemory, maxReadMemory := a.memory.Held()
	add("read_memory", maxReadMemory, readMemory, "bytes", "rows and texts of reads under way, tables and frames of streams; beyond it 503 with Retry-After")
	wide, maxWide := a.memory.Wide()
	add("wide_reads", int64(maxWide), int64(wide), "reads", "that need more than a MiB, computed at a time; others wait a second, then 503 with Retry-After")
	add("cache", a.options.CacheBytes, none, "bytes", "rendered answers")
	add("write_timeout", a.options.WriteTimeout.Milliseconds(), none, "ms", "a stream whose reader takes longer to acknowledge a frame is cut")
	if a.options.MaxConnections > 0 {
		add("connections", int64(a.options.MaxConnections), none, "connections", "beyond it new ones wait to be accepted")
	}
}

// addMemory adds what the runtime may use, and what it uses by its own count.
func addMemory(c *answer.Collection) {
	used := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(used)
	r := c.Add("memory")
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 { // it only asks
		r.Integer("limit", limit)
	} else {
		r.Null("limit")
	}
	r.Count("current", used[0].Value.Uint64()-used[1].Value.Uint64())
	r.Text("unit", "bytes")
	r.Text("detail", "of the process, by GOMEMLIMIT or the control group; near it the collector works more, and bounds that are not given are less")
}

func (a *API) subscribers(c *answer.Collection) {
	for _, s := range a.streams.Subscribers() {
		r := c.Add(strconv.FormatUint(s.ID, 10))
		r.Text("path", s.Path)
		r.Text("query", s.Query)
		r.Text("format", s.Format)
		r.Text("remote_addr", s.Remote)
		r.Integer("interval_ms", s.Interval.Milliseconds())
		r.Integer("since_at", s.Since.UnixMilli())
		r.Count("frames_total", s.Frames)
		r.Count("snapshots_total", s.Snapshots)
		r.Count("bytes_total", s.Bytes)
		r.Integer("lag_ms", s.Lag.Milliseconds())
		r.Instant("last_write_at", s.LastWrite)
	}
}
