package httpapi

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"remuda/store"
)

// parameter is one that queries may have. How it is read and how the canonical form
// spells what was read stand side by side: what is not in that form would be answered
// with what another query is answered with.
type parameter struct {
	name   string
	common bool // all resources have it; the others say so
	read   func(p *params, res *resource, value string) error

	// spell adds what was read in one way, however it was spelled, or nothing where that
	// is the same as leaving it out. It is nil when the parameter only says how to
	// deliver the answer.
	spell func(p *params, add func(value string))
}

// parameters are all there are. They are set by init: topics are read by them in turn.
var parameters []*parameter

func init() {
	for d := range store.NumDims {
		parameters = append(parameters, &parameter{
			d.String(), true,
			func(p *params, _ *resource, value string) error { return p.setFilter(d, value) },
			func(p *params, add func(string)) { add(strings.Join(p.filter[d], ",")) },
		})
	}
	parameters = append(parameters, []*parameter{
		{"window", true, readWindow, func(p *params, add func(string)) { add(p.window.String()) }},
		{"sort", true, readSort, func(p *params, add func(string)) {
			if p.descend {
				add("-" + p.sort)
			} else {
				add(p.sort)
			}
		}},
		{"limit", true, readLimit, func(p *params, add func(string)) { add(strconv.Itoa(p.limit)) }},
		{"fields", true, readFields, func(p *params, add func(string)) { add(strings.Join(p.fields, ",")) }},
		{"expand", true, readExpand, func(p *params, add func(string)) {
			if p.regions {
				add("by_region")
			}
			if p.methods {
				add("methods")
			}
		}},
		{"format", true, readFormat, nil},
		{"interval", true, readInterval, nil},
		{"max_frames", true, readMaxFrames, nil},
		{"watch", true, readWatch, nil},
		{"by", false, readBy, func(p *params, add func(string)) {
			for _, d := range p.by {
				add(d.String())
			}
		}},
		{"step", false, readStep, func(p *params, add func(string)) {
			if p.step > 0 {
				add(p.step.String())
			}
		}},
		{"metric", false, readMetric, func(p *params, add func(string)) { add(strings.Join(p.metrics, ",")) }},
		{"cursor", false, readCursor, func(p *params, add func(string)) {
			if p.beforeTS != 0 || p.beforeSeq != 0 {
				add(p.cursor())
			}
		}},
		{"result", false, readResult, func(p *params, add func(string)) {
			if p.failed != p.succeeded {
				add(resultOf(p.failed))
			}
		}},
		{"error_category", false, readErrorCategory, func(p *params, add func(string)) { add(strings.Join(p.categories, ",")) }},
		{"min_duration_ms", false, readMinDuration, func(p *params, add func(string)) {
			if p.minDuration > 0 {
				add(string(appendMillis(nil, store.Micros(p.minDuration))))
			}
		}},
		{"formula", false, readFormula, func(p *params, add func(string)) {
			if p.lassoRank {
				add("lasso")
			}
		}},
		{"compare", false, readCompare, func(p *params, add func(string)) {
			if p.compare {
				add("previous")
			}
		}},
		{"topics", false, readTopics, func(p *params, add func(string)) { add(strings.Join(p.topics, ",")) }},
		{"topic", false, readTopic, func(p *params, add func(string)) {
			for _, part := range p.parts {
				add(part.name)
			}
		}},
		// It is of a path.
		{"request_id", false, nil, func(p *params, add func(string)) { add(p.requestID) }},
	}...)
}

// parameter is one that the resource has, nil if it has none of the name.
func (res *resource) parameter(name string) *parameter {
	i := slices.IndexFunc(parameters, func(q *parameter) bool { return q.name == name && res.has(q) })
	if i < 0 {
		return nil
	}
	return parameters[i]
}

func (res *resource) has(q *parameter) bool {
	return q.common && !slices.Contains(res.without, q.name) || slices.Contains(res.own, q.name)
}

// parameterNames are those of the parameters that the resource has.
func (res *resource) parameterNames() (names []string) {
	for _, q := range parameters {
		if res.has(q) {
			names = append(names, q.name)
		}
	}
	return names
}

var (
	windowNames = func() (names []string) {
		for w := range store.NumWindows {
			names = append(names, w.String())
		}
		return names
	}()
	formatNames = []string{"json", "sse", "ndjson", "csv", "table"}
	intervals   = []time.Duration{
		100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second,
		5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
	}
	enumerated = map[store.Dim][]string{
		store.TransportDim:     {"http", "ws"},
		store.RequestOriginDim: {"client", "system", "all"},
	}
)

func (p *params) setFilter(d store.Dim, value string) error {
	name, list := d.String(), split(value)
	if len(list) > maxValues {
		return parameterProblem("invalid_parameter", name, name+" takes at most 100 values")
	}
	if words := enumerated[d]; words != nil {
		for _, v := range list {
			if !slices.Contains(words, v) {
				return unknownValue(name, v, words)
			}
		}
	}
	if d == store.RequestOriginDim && slices.Contains(list, "all") {
		list = nil
	}
	slices.Sort(list)
	p.filter[d] = slices.Compact(list)
	return nil
}

func readWindow(p *params, _ *resource, value string) error {
	i := slices.Index(windowNames, value)
	if i < 0 {
		return unknownValue("window", value, windowNames)
	}
	p.window = store.Window(i)
	return nil
}

func readSort(p *params, res *resource, value string) error {
	column := strings.TrimPrefix(value, "-")
	if !slices.Contains(res.columns, column) {
		return unknownValue("sort", column, res.columns)
	}
	p.sort, p.descend = column, column != value
	return nil
}

func readLimit(p *params, res *resource, value string) error {
	top := maxLimit
	if res.maxLimit > 0 {
		top = res.maxLimit
	}
	n, ok := whole(value)
	if !ok || n < 1 || n > top {
		return parameterProblem("invalid_parameter", "limit", "limit must be from 1 to "+strconv.Itoa(top))
	}
	p.limit = n
	return nil
}

func readFields(p *params, res *resource, value string) error {
	for _, f := range split(value) {
		if f != "key" && !slices.Contains(res.columns, f) {
			return unknownValue("fields", f, res.columns)
		}
		p.fields = append(p.fields, f)
	}
	slices.Sort(p.fields) // a row has its own order
	p.fields = slices.Compact(p.fields)
	if len(p.fields) > 1 { // the key comes with the others
		p.fields = slices.DeleteFunc(p.fields, func(f string) bool { return f == "key" })
	}
	return nil
}

func readExpand(p *params, _ *resource, value string) error {
	for _, e := range split(value) {
		switch e {
		case "by_region":
			p.regions = true
		case "methods":
			p.methods = true
		default:
			return unknownValue("expand", e, []string{"by_region", "methods"})
		}
	}
	return nil
}

func readFormat(p *params, _ *resource, value string) error {
	if !slices.Contains(formatNames, value) {
		return unknownValue("format", value, formatNames)
	}
	p.format = value
	return nil
}

func readInterval(p *params, _ *resource, value string) error {
	d, ok := duration(value)
	if !ok || d < 100*time.Millisecond || d > time.Minute {
		return parameterProblem("invalid_parameter", "interval", "interval must be from 100ms to 60s")
	}
	p.interval = intervals[slices.IndexFunc(intervals, func(i time.Duration) bool { return i >= d })]
	return nil
}

func readMaxFrames(p *params, _ *resource, value string) error {
	n, ok := whole(value)
	if !ok || n < 1 {
		return parameterProblem("invalid_parameter", "max_frames", "max_frames must be a whole number above 0")
	}
	p.maxFrames = n
	return nil
}

func readWatch(p *params, _ *resource, value string) error {
	on, err := strconv.ParseBool(value)
	if err != nil {
		return parameterProblem("invalid_parameter", "watch", "watch must be 0 or 1")
	}
	p.watch = on
	return nil
}

func readBy(p *params, _ *resource, value string) error {
	p.by = nil
	for _, v := range split(value) {
		i := slices.Index(dimensionNames, v)
		if i < 0 {
			return unknownValue("by", v, dimensionNames)
		}
		if d := store.Dim(i); !slices.Contains(p.by, d) {
			p.by = append(p.by, d)
		}
	}
	return nil
}

func readStep(p *params, _ *resource, value string) error {
	d, ok := duration(value)
	if !ok || d <= 0 || d > time.Hour {
		return parameterProblem("invalid_parameter", "step", "step must be a duration such as 10s, up to 1h")
	}
	p.step = d
	return nil
}

func readMetric(p *params, _ *resource, value string) error {
	p.metrics = nil
	for _, v := range split(value) {
		if !slices.Contains(seriesMetrics, v) {
			return unknownValue("metric", v, seriesMetrics)
		}
		p.metrics = append(p.metrics, v)
	}
	return nil
}

func readCursor(p *params, _ *resource, value string) error {
	ts, seq, _ := strings.Cut(value, ".")
	p.beforeTS, _ = strconv.ParseInt(ts, 10, 64) // what they make of anything else is told by the next line
	p.beforeSeq, _ = strconv.ParseUint(seq, 10, 64)
	if value != p.cursor() {
		return parameterProblem("invalid_parameter", "cursor", "cursor must be a next_cursor of this node")
	}
	return nil
}

// cursor is where a page begins.
func (p *params) cursor() string {
	return strconv.FormatInt(p.beforeTS, 10) + "." + strconv.FormatUint(p.beforeSeq, 10)
}

func readResult(p *params, _ *resource, value string) error {
	for _, v := range split(value) {
		switch v {
		case resultOf(false):
			p.succeeded = true
		case resultOf(true):
			p.failed = true
		default:
			return unknownValue("result", v, []string{resultOf(false), resultOf(true)})
		}
	}
	return nil
}

func readErrorCategory(p *params, _ *resource, value string) error {
	p.categories = split(value)
	slices.Sort(p.categories)
	p.categories = slices.Compact(p.categories)
	return nil
}

func readMinDuration(p *params, _ *resource, value string) error {
	f, ok := number(value)
	if !ok || f < 0 || f*1000 > store.MaxMicros {
		return parameterProblem("invalid_parameter", "min_duration_ms", "min_duration_ms must be from 0 to "+strconv.Itoa(store.MaxMicros/1000))
	}
	p.minDuration = uint64(f * 1000)
	return nil
}

func readFormula(p *params, _ *resource, value string) error {
	switch value {
	case "lasso":
		p.lassoRank = true
	case "wilson":
		p.lassoRank = false
	default:
		return unknownValue("formula", value, []string{"wilson", "lasso"})
	}
	return nil
}

func readCompare(p *params, _ *resource, value string) error {
	if value != "previous" {
		return unknownValue("compare", value, []string{"previous"})
	}
	p.compare = true
	return nil
}

func readTopics(p *params, _ *resource, value string) error {
	for _, v := range split(value) {
		if !slices.Contains(topicNames, v) {
			return unknownValue("topics", v, topicNames)
		}
		if !slices.Contains(p.topics, v) {
			p.topics = append(p.topics, v)
		}
	}
	return nil
}

func readTopic(p *params, _ *resource, value string) error { return p.addPart(value) }
