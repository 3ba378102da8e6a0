package answer

import (
	"slices"

	"remuda/httpapi/value"
	"remuda/store"
	"remuda/store/cell"
)

// figure is a column of what a group of calls adds up to.
type figure struct {
	name string
	is   figureKind
	// append appends its value. Rates divide by what of the time is covered, ms.
	append func(dst []byte, f *store.Figures, covered int64) []byte
}

type figureKind uint8

const (
	metric   figureKind = iota // a point of a series has it, too
	moving                     // a metric that moves with the clock alone
	ofRows                     // only rows have it
	ofWindow                   // only rows have it, and not of the time before the window
)

// figures are all there are. Columns of rows, metrics of series and what is before the
// window are these and no others.
var figures = []figure{
	{"total_calls", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendUint(dst, f.Calls) }},
	{"error_count", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendUint(dst, f.Errors) }},
	{"success_rate_pct", metric, func(dst []byte, f *store.Figures, _ int64) []byte {
		return value.AppendPercent(dst, f.Successes(), f.Ended())
	}},
	{"provider_error_count", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendUint(dst, f.ProviderErrors) }},
	{"availability_pct", metric, func(dst []byte, f *store.Figures, _ int64) []byte {
		return value.AppendPercent(dst, f.Ended()-f.ProviderErrors, f.Ended())
	}},
	{"errors_by_category", ofRows, func(dst []byte, f *store.Figures, _ int64) []byte { return appendCategories(dst, f.Categories) }},
	{"cut_off_calls", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendUint(dst, f.CutOff) }},
	{"cut_off_pct", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendPercent(dst, f.CutOff, f.Calls) }},
	{"not_sent", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendUint(dst, f.NotSent) }},
	{"hedged_calls", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendUint(dst, f.Hedges) }},
	{"hedge_wins", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendUint(dst, f.HedgeWins) }},
	{"samples", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendUint(dst, f.Samples) }},
	{"calls_per_second", moving, func(dst []byte, f *store.Figures, covered int64) []byte { return appendRate(dst, f.Calls, covered) }},
	{"traffic_pct", metric, func(dst []byte, f *store.Figures, _ int64) []byte {
		return value.AppendPercent(dst, f.Calls, f.ScopeCalls)
	}},
	{"requests", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendUint(dst, f.Requests) }},
	{"request_errors", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendUint(dst, f.RequestErrors) }},
	{"failover_count", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendUint(dst, f.Failovers) }},
	{"avg_latency_ms", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendMillis(dst, f.Avg) }},
	{"p50_latency_ms", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendMillis(dst, f.P50) }},
	{"p90_latency_ms", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendMillis(dst, f.P90) }},
	{"p95_latency_ms", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendMillis(dst, f.P95) }},
	{"p99_latency_ms", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendMillis(dst, f.P99) }},
	{"max_latency_ms", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendMillis(dst, f.Max) }},
	{"failure_p95_latency_ms", metric, func(dst []byte, f *store.Figures, _ int64) []byte { return value.AppendMillis(dst, f.FailureP95) }},
	{"last_seen_at", ofWindow, func(dst []byte, f *store.Figures, _ int64) []byte { return appendInstant(dst, f.LastSeenAt) }},
}

// figureColumns and metricNames are those of figures, in rows and in series.
var figureColumns, metricNames = func() (columns, metrics []string) {
	for i := range figures {
		columns = append(columns, figures[i].name)
		if figures[i].is <= moving {
			metrics = append(metrics, figures[i].name)
		}
	}
	return columns, metrics
}()

// figureOf is that of a metric.
func figureOf(metric string) *figure {
	return &figures[slices.IndexFunc(figures, func(f figure) bool { return f.name == metric })]
}

// figures adds what a group of calls adds up to.
func (r *Record) figures(f *store.Figures, covered int64) {
	for i := range figures {
		c := &figures[i]
		from := len(r.buf)
		r.buf = c.append(r.buf, f, covered)
		r.members = append(r.members, memberSpan{name: c.name, from: from, to: len(r.buf), volatile: c.is == moving})
	}
}

// previous adds the same figures of the time before the window, null when they
// are not known. It is as long as the window, so rates go by that.
func (r *Record) previous(f *store.Figures, w cell.Window) {
	if f == nil {
		r.Null("previous")
		return
	}
	r.value("previous", func(dst []byte) []byte {
		var before Record
		before.figures(f, w.Length().Milliseconds())
		for i := range figures {
			if figures[i].is == ofWindow {
				before.drop(figures[i].name)
			}
		}
		return before.appendJSON(dst, nil)
	})
}

// appendPoint appends a point of a series: when it was, and a figure as of then.
func appendPoint(dst []byte, metric *figure, p *store.Point) []byte {
	dst = append(value.AppendInt(append(dst, '['), p.At), ',')
	if p.Known {
		dst = metric.append(dst, &p.Figures, p.CoveredMillis)
	} else {
		dst = append(dst, "null"...)
	}
	return append(dst, ']')
}

// appendRate appends calls per covered second.
func appendRate(dst []byte, calls uint64, covered int64) []byte {
	if covered <= 0 {
		return append(dst, "null"...)
	}
	return value.AppendRounded(dst, float64(calls)*1000/float64(covered), 1000)
}

func appendCategories(dst []byte, list []cell.CategoryCount) []byte {
	dst = append(dst, '{')
	for i, c := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(value.AppendString(dst, c.Category), ':')
		dst = value.AppendUint(dst, c.Count)
	}
	return append(dst, '}')
}
