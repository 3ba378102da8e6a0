package ask

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"remuda/httpapi/problem"
	"remuda/store"
	"remuda/store/cell"
)

// parameter is one that queries may have. How it is read and how the canonical form
// spells what was read stand side by side: what is not in that form would be answered
// with what another query is answered with.
type parameter struct {
	name   string
	common bool // all resources have it; the others say so
	read   func(p *Params, res *Resource, value string) error

	// spell adds what was read in one way, however it was spelled, or nothing where that
	// is the same as leaving it out. It is nil when the parameter only says how to
	// deliver the answer.
	spell func(p *Params, add func(value string))
}

// parameters are all there are. They are set by init: the queries of topics are read by
// them in turn.
var parameters []*parameter

func init() {
	for d := range store.NumDims {
		parameters = append(parameters, &parameter{
			d.String(), true,
			func(p *Params, _ *Resource, value string) error { return p.setFilter(d, value) },
			func(p *Params, add func(string)) { add(strings.Join(p.Filter[d], ",")) },
		})
	}
	parameters = append(parameters, []*parameter{
		{"window", true, readWindow, func(p *Params, add func(string)) { add(p.Window.String()) }},
		{"sort", true, readSort, func(p *Params, add func(string)) {
			if p.Descend {
				add("-" + p.Sort)
			} else {
				add(p.Sort)
			}
		}},
		{"limit", true, readLimit, func(p *Params, add func(string)) { add(strconv.Itoa(p.Limit)) }},
		{"fields", true, readFields, func(p *Params, add func(string)) { add(strings.Join(p.Fields, ",")) }},
		{"expand", true, readExpand, func(p *Params, add func(string)) {
			if p.Regions {
				add("by_region")
			}
			if p.Methods {
				add("methods")
			}
		}},
		{"format", true, readFormat, nil},
		{"interval", true, readInterval, nil},
		{"max_frames", true, readMaxFrames, nil},
		{"watch", true, readWatch, nil},
		{"by", false, readBy, func(p *Params, add func(string)) {
			for _, d := range p.By {
				add(d.String())
			}
		}},
		{"step", false, readStep, func(p *Params, add func(string)) {
			if p.Step > 0 {
				add(p.Step.String())
			}
		}},
		{"metric", false, readMetric, func(p *Params, add func(string)) { add(strings.Join(p.Metrics, ",")) }},
		{"cursor", false, readCursor, func(p *Params, add func(string)) {
			if p.BeforeTS != 0 || p.BeforeSeq != 0 {
				add(p.cursor())
			}
		}},
		{"result", false, readResult, func(p *Params, add func(string)) {
			if len(p.Results) < len(results) {
				var words []string
				for _, r := range p.Results {
					words = append(words, r.String())
				}
				add(strings.Join(words, ","))
			}
		}},
		{"error_category", false, readErrorCategory, func(p *Params, add func(string)) { add(strings.Join(p.Categories, ",")) }},
		{"min_duration_ms", false, readMinDuration, func(p *Params, add func(string)) {
			if p.MinDuration > 0 {
				add(strconv.FormatFloat(float64(p.MinDuration)/1000, 'f', -1, 64))
			}
		}},
		{"formula", false, readFormula, func(p *Params, add func(string)) {
			if p.LassoRank {
				add("lasso")
			}
		}},
		{"compare", false, readCompare, func(p *Params, add func(string)) {
			if p.Compare {
				add("previous")
			}
		}},
		{"topics", false, readTopics, func(p *Params, add func(string)) { add(strings.Join(p.Topics, ",")) }},
		{"topic", false, readTopic, func(p *Params, add func(string)) {
			for _, part := range p.Parts {
				add(part.Name)
			}
		}},
		// It is of a path.
		{"request_id", false, nil, func(p *Params, add func(string)) { add(p.RequestID) }},
	}...)
}

var (
	dimensionNames = func() (names []string) {
		for d := range store.NumDims {
			names = append(names, d.String())
		}
		return names
	}()
	windowNames = func() (names []string) {
		for w := range cell.NumWindows {
			names = append(names, w.String())
		}
		return names
	}()
	formatNames = []string{"json", "sse", "ndjson", "csv", "table"}
	intervals   = []time.Duration{
		100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second,
		5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
	}
)

// allOrigins is every value of request_origin, which is otherwise what clients have asked for.
const allOrigins = "all"

func (p *Params) setFilter(d store.Dim, value string) error {
	name, list := d.String(), split(value)
	if len(list) > maxValues {
		return problem.OfParameter("invalid_parameter", name, name+" takes at most 100 values")
	}
	words := d.Values()
	if d == store.RequestOriginDim {
		words = append(slices.Clone(words), allOrigins)
	}
	if words != nil {
		for _, v := range list {
			if !slices.Contains(words, v) {
				return unknownValue(name, v, words)
			}
		}
	}
	if d == store.RequestOriginDim && slices.Contains(list, allOrigins) {
		list = nil
	}
	slices.Sort(list)
	p.Filter[d] = slices.Compact(list)
	return nil
}

func readWindow(p *Params, _ *Resource, value string) error {
	i := slices.Index(windowNames, value)
	if i < 0 {
		return unknownValue("window", value, windowNames)
	}
	p.Window = cell.Window(i)
	return nil
}

func readSort(p *Params, res *Resource, value string) error {
	column := strings.TrimPrefix(value, "-")
	if !slices.Contains(res.Columns, column) {
		return unknownValue("sort", column, res.Columns)
	}
	p.Sort, p.Descend = column, column != value
	return nil
}

func readLimit(p *Params, res *Resource, value string) error {
	top := maxLimit
	if res.MaxLimit > 0 {
		top = res.MaxLimit
	}
	n, ok := whole(value)
	if !ok || n < 1 || n > top {
		return problem.OfParameter("invalid_parameter", "limit", "limit must be from 1 to "+strconv.Itoa(top))
	}
	p.Limit = n
	return nil
}

func readFields(p *Params, res *Resource, value string) error {
	for _, f := range split(value) {
		if f != "key" && !slices.Contains(res.Columns, f) {
			return unknownValue("fields", f, res.Columns)
		}
		p.Fields = append(p.Fields, f)
	}
	slices.Sort(p.Fields) // a row has its own order
	p.Fields = slices.Compact(p.Fields)
	if len(p.Fields) > 1 { // the key comes with the others
		p.Fields = slices.DeleteFunc(p.Fields, func(f string) bool { return f == "key" })
	}
	return nil
}

func readExpand(p *Params, _ *Resource, value string) error {
	for _, e := range split(value) {
		switch e {
		case "by_region":
			p.Regions = true
		case "methods":
			p.Methods = true
		default:
			return unknownValue("expand", e, []string{"by_region", "methods"})
		}
	}
	return nil
}

func readFormat(p *Params, _ *Resource, value string) error {
	if !slices.Contains(formatNames, value) {
		return unknownValue("format", value, formatNames)
	}
	p.Format = value
	return nil
}

func readInterval(p *Params, _ *Resource, value string) error {
	d, ok := duration(value)
	if !ok || d < 100*time.Millisecond || d > time.Minute {
		return problem.OfParameter("invalid_parameter", "interval", "interval must be from 100ms to 60s")
	}
	p.Interval = intervals[slices.IndexFunc(intervals, func(i time.Duration) bool { return i >= d })]
	return nil
}

func readMaxFrames(p *Params, _ *Resource, value string) error {
	n, ok := whole(value)
	if !ok || n < 1 {
		return problem.OfParameter("invalid_parameter", "max_frames", "max_frames must be a whole number above 0")
	}
	p.MaxFrames = n
	return nil
}

func readWatch(p *Params, _ *Resource, value string) error {
	on, err := strconv.ParseBool(value)
	if err != nil {
		return problem.OfParameter("invalid_parameter", "watch", "watch must be 0 or 1")
	}
	p.Watch = on
	return nil
}

func readBy(p *Params, _ *Resource, value string) error {
	p.By = nil
	for _, v := range split(value) {
		i := slices.Index(dimensionNames, v)
		if i < 0 {
			return unknownValue("by", v, dimensionNames)
		}
		if d := store.Dim(i); !slices.Contains(p.By, d) {
			p.By = append(p.By, d)
		}
	}
	return nil
}

func readStep(p *Params, _ *Resource, value string) error {
	d, ok := duration(value)
	if !ok || d <= 0 || d > time.Hour {
		return problem.OfParameter("invalid_parameter", "step", "step must be a duration such as 10s, up to 1h")
	}
	p.Step = d
	return nil
}

func readMetric(p *Params, res *Resource, value string) error {
	p.Metrics = nil
	for _, v := range split(value) {
		if !slices.Contains(res.Metrics, v) {
			return unknownValue("metric", v, res.Metrics)
		}
		p.Metrics = append(p.Metrics, v)
	}
	return nil
}

func readCursor(p *Params, _ *Resource, value string) error {
	ts, seq, _ := strings.Cut(value, ".")
	p.BeforeTS, _ = strconv.ParseInt(ts, 10, 64) // what they make of anything else is told by the next line
	p.BeforeSeq, _ = strconv.ParseUint(seq, 10, 64)
	if value != p.cursor() {
		return problem.OfParameter("invalid_parameter", "cursor", "cursor must be a next_cursor of this node")
	}
	return nil
}

// cursor is where a page begins.
func (p *Params) cursor() string {
	return strconv.FormatInt(p.BeforeTS, 10) + "." + strconv.FormatUint(p.BeforeSeq, 10)
}

func readResult(p *Params, _ *Resource, value string) error {
	for _, v := range split(value) {
		at := slices.Index(results, v)
		if at < 0 {
			return unknownValue("result", v, results)
		}
		p.Results = append(p.Results, cell.Result(at))
	}
	slices.Sort(p.Results)
	p.Results = slices.Compact(p.Results)
	return nil
}

// results are the words for how a request may end, in the order of their values.
var results = []string{cell.Success.String(), cell.Failure.String(), cell.Cancelled.String()}

func readErrorCategory(p *Params, _ *Resource, value string) error {
	p.Categories = split(value)
	slices.Sort(p.Categories)
	p.Categories = slices.Compact(p.Categories)
	return nil
}

func readMinDuration(p *Params, _ *Resource, value string) error {
	f, ok := number(value)
	if !ok || f < 0 || f*1000 > cell.MaxMicros {
		return problem.OfParameter("invalid_parameter", "min_duration_ms", "min_duration_ms must be from 0 to "+strconv.Itoa(cell.MaxMicros/1000))
	}
	p.MinDuration = uint64(f * 1000)
	return nil
}

func readFormula(p *Params, _ *Resource, value string) error {
	switch value {
	case "lasso":
		p.LassoRank = true
	case "wilson":
		p.LassoRank = false
	default:
		return unknownValue("formula", value, []string{"wilson", "lasso"})
	}
	return nil
}

func readCompare(p *Params, _ *Resource, value string) error {
	if value != "previous" {
		return unknownValue("compare", value, []string{"previous"})
	}
	p.Compare = true
	return nil
}

func readTopics(p *Params, res *Resource, value string) error {
	known := res.topicNames()
	for _, v := range split(value) {
		if !slices.Contains(known, v) {
			return unknownValue("topics", v, known)
		}
		if !slices.Contains(p.Topics, v) {
			p.Topics = append(p.Topics, v)
		}
	}
	return nil
}

func readTopic(p *Params, res *Resource, value string) error { return p.addPart(res, value) }
