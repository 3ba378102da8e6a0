package httpapi

import (
	"encoding/json"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"remuda/store"
)

// params is a request's query string, read strictly: a name or a word that is
// not known is refused with the nearest one that is.
type params struct {
	filter    store.Filter
	window    store.Window
	by        []store.Dim
	sort      string
	descend   bool
	limit     int
	fields    []string
	regions   bool // expand=by_region
	methods   bool // expand=methods
	format    string
	interval  time.Duration
	maxFrames int
	watch     bool

	// Of single resources.
	step        time.Duration
	metrics     []string
	beforeTS    int64
	beforeSeq   uint64
	failed      bool
	succeeded   bool
	categories  []string
	minDuration uint64 // µs
	requestID   string
	lassoRank   bool
	topics      []string
	parts       []*part // of topic, in a stream
	compare     bool

	pause     func() // of a view: called between pieces of a computation, may wait
	canonical string // the query without what only says how to deliver it
}

var (
	filterNames = map[string]store.Dim{
		"profile": store.ProfileDim, "chain": store.ChainDim, "provider_id": store.ProviderDim, "region": store.RegionDim,
		"node": store.NodeDim, "method": store.MethodDim, "transport": store.TransportDim, "strategy": store.StrategyDim,
		"request_origin": store.RequestOriginDim,
	}
	commonNames = []string{"window", "sort", "limit", "fields", "expand", "format", "interval", "max_frames", "watch"}
	windowNames = []string{"10s", "1m", "5m", "15m", "1h"}
	formatNames = []string{"json", "sse", "ndjson", "csv", "table"}
	intervals   = []time.Duration{
		100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second,
		5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
	}
)

const (
	defaultInterval = 500 * time.Millisecond
	defaultLimit    = 1000
	maxLimit        = 10_000
	maxValues       = 100  // values of one parameter
	maxValueLength  = 1024 // bytes of one value
)

// parse reads the query string of a request for a resource.
func (res *resource) parse(raw string) (*params, error) {
	p := &params{
		window: store.Window1m, limit: defaultLimit, interval: defaultInterval, by: res.by,
	}
	if res.limit > 0 {
		p.limit = res.limit
	}
	p.filter[store.RequestOriginDim] = []string{"client"}
	if res.path != "/profiles" {
		p.filter[store.ProfileDim] = []string{"default"}
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, newProblem("invalid_parameter", "the query string is not well-formed: "+err.Error())
	}
	for name, list := range values {
		if res == streamResource && name == "topic" {
			for _, value := range list[1:] {
				if err := p.addPart(value); err != nil {
					return nil, err
				}
			}
			list = list[:1]
		}
		if len(list) > 1 {
			return nil, parameterProblem("invalid_parameter", name, name+" is given more than once; several values go into one, separated by commas")
		}
		if len(list[0]) > maxValueLength*maxValues {
			return nil, parameterProblem("invalid_parameter", name, name+" is too long")
		}
		if err := p.set(res, name, list[0]); err != nil {
			return nil, err
		}
	}
	for _, name := range res.required {
		if !values.Has(name) {
			return nil, missingParameter(name)
		}
	}
	if res == streamResource && len(p.topics)+len(p.parts) == 0 {
		return nil, parameterProblem("missing_parameter", "topics", "topics, or topic, is required here")
	}
	p.canonical = p.canonicalQuery()
	return p, nil
}

// set reads one parameter.
func (p *params) set(res *resource, name, value string) error {
	d, filter := filterNames[name]
	filter = filter && !slices.Contains(res.without, name)
	if !filter && !slices.Contains(commonNames, name) && !slices.Contains(res.own, name) {
		return unknownParameter(res, name)
	}
	if len(split(value)) == 0 {
		if slices.Contains(res.required, name) {
			return missingParameter(name)
		}
		return parameterProblem("invalid_parameter", name, name+" is empty; leave it out, or give it a value")
	}
	if filter {
		return p.setFilter(d, name, value)
	}
	switch name {
	case "window":
		i := slices.Index(windowNames, value)
		if i < 0 {
			return unknownValue(name, value, windowNames)
		}
		p.window = store.Window(i)
	case "sort":
		column := strings.TrimPrefix(value, "-")
		if !slices.Contains(res.columns, column) {
			return unknownValue(name, column, res.columns)
		}
		p.sort, p.descend = column, column != value
	case "limit":
		top := maxLimit
		if res.maxLimit > 0 {
			top = res.maxLimit
		}
		n, ok := whole(value)
		if !ok || n < 1 || n > top {
			return parameterProblem("invalid_parameter", name, "limit must be from 1 to "+strconv.Itoa(top))
		}
		p.limit = n
	case "fields":
		for _, f := range split(value) {
			if f != "key" && !slices.Contains(res.columns, f) {
				return unknownValue(name, f, res.columns)
			}
			p.fields = append(p.fields, f)
		}
	case "expand":
		for _, e := range split(value) {
			switch e {
			case "by_region":
				p.regions = true
			case "methods":
				p.methods = true
			default:
				return unknownValue(name, e, []string{"by_region", "methods"})
			}
		}
	case "format":
		if !slices.Contains(formatNames, value) {
			return unknownValue(name, value, formatNames)
		}
		p.format = value
	case "interval":
		d, ok := duration(value)
		if !ok || d < 100*time.Millisecond || d > time.Minute {
			return parameterProblem("invalid_parameter", name, "interval must be from 100ms to 60s")
		}
		p.interval = intervals[slices.IndexFunc(intervals, func(i time.Duration) bool { return i >= d })]
	case "max_frames":
		n, ok := whole(value)
		if !ok || n < 1 {
			return parameterProblem("invalid_parameter", name, "max_frames must be a whole number above 0")
		}
		p.maxFrames = n
	case "watch":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return parameterProblem("invalid_parameter", name, "watch must be 0 or 1")
		}
		p.watch = on
	default:
		return p.setOwn(name, value)
	}
	return nil
}

// setOwn reads the parameters that only some resources have.
func (p *params) setOwn(name, value string) error {
	switch name {
	case "by":
		p.by = nil
		for _, v := range split(value) {
			i := slices.Index(dimensionNames, v)
			if i < 0 {
				return unknownValue(name, v, dimensionNames)
			}
			if d := store.Dim(i); !slices.Contains(p.by, d) {
				p.by = append(p.by, d)
			}
		}
	case "step":
		d, ok := duration(value)
		if !ok || d <= 0 || d > time.Hour {
			return parameterProblem("invalid_parameter", name, "step must be a duration such as 10s, up to 1h")
		}
		p.step = d
	case "metric":
		p.metrics = nil
		for _, v := range split(value) {
			if !slices.Contains(seriesMetrics, v) {
				return unknownValue(name, v, seriesMetrics)
			}
			p.metrics = append(p.metrics, v)
		}
	case "cursor":
		ts, seq, _ := strings.Cut(value, ".")
		p.beforeTS, _ = strconv.ParseInt(ts, 10, 64) // what they make of anything else is told by the next line
		p.beforeSeq, _ = strconv.ParseUint(seq, 10, 64)
		if value != p.cursor() {
			return parameterProblem("invalid_parameter", name, "cursor must be a next_cursor of this node")
		}
	case "result":
		for _, v := range split(value) {
			switch v {
			case "success":
				p.succeeded = true
			case "error":
				p.failed = true
			default:
				return unknownValue(name, v, []string{"success", "error"})
			}
		}
	case "error_category":
		p.categories = split(value)
	case "min_duration_ms":
		f, ok := number(value)
		if !ok || f < 0 || f > 24*60*60*1000 {
			return parameterProblem("invalid_parameter", name, "min_duration_ms must be from 0 to 86400000")
		}
		p.minDuration = uint64(f * 1000)
	case "formula":
		switch value {
		case "lasso":
			p.lassoRank = true
		case "wilson":
			p.lassoRank = false
		default:
			return unknownValue(name, value, []string{"wilson", "lasso"})
		}
	case "compare":
		if value != "previous" {
			return unknownValue(name, value, []string{"previous"})
		}
		p.compare = true
	case "topic":
		return p.addPart(value)
	case "topics":
		for _, v := range split(value) {
			if !slices.Contains(topicNames, v) {
				return unknownValue(name, v, topicNames)
			}
			if !slices.Contains(p.topics, v) {
				p.topics = append(p.topics, v)
			}
		}
	}
	return nil
}

var enumerated = map[store.Dim][]string{
	store.TransportDim:     {"http", "ws"},
	store.RequestOriginDim: {"client", "system", "all"},
}

func (p *params) setFilter(d store.Dim, name, value string) error {
	list := split(value)
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

func split(value string) []string {
	var list []string
	for v := range strings.SplitSeq(value, ",") {
		if v = strings.TrimSpace(v); v != "" {
			list = append(list, v)
		}
	}
	return list
}

func missingParameter(name string) error {
	return parameterProblem("missing_parameter", name, name+" is required here")
}

// canonicalQuery spells the query in one way, however it was asked, without
// format, interval, max_frames and watch.
func (p *params) canonicalQuery() string {
	var b strings.Builder
	add := func(name string, list ...string) {
		if len(list) > 0 && list[0] != "" {
			b.WriteString("&" + name + "=" + url.QueryEscape(strings.Join(list, ",")))
		}
	}
	for d := range store.NumDims {
		add(d.String(), p.filter[d]...)
	}
	add("window", p.window.String())
	for _, d := range p.by {
		add("by", d.String())
	}
	add("limit", strconv.Itoa(p.limit))
	if p.descend {
		add("sort", "-"+p.sort)
	} else {
		add("sort", p.sort)
	}
	add("fields", p.fields...)
	if p.regions {
		add("expand", "by_region")
	}
	if p.methods {
		add("expand", "methods")
	}
	add("metric", p.metrics...)
	add("topics", p.topics...)
	for _, part := range p.parts {
		add("topic", part.name)
	}
	if p.compare {
		add("compare", "previous")
	}
	add("error_category", p.categories...)
	add("request_id", p.requestID)
	if p.step > 0 {
		add("step", p.step.String())
	}
	if p.beforeTS != 0 || p.beforeSeq != 0 {
		add("cursor", p.cursor())
	}
	if p.minDuration > 0 {
		add("min_duration_us", strconv.FormatUint(p.minDuration, 10))
	}
	if p.lassoRank {
		add("formula", "lasso")
	}
	if p.failed != p.succeeded {
		add("failed", strconv.FormatBool(p.failed))
	}
	return b.String()
}

// cursor is where a page begins.
func (p *params) cursor() string {
	return strconv.FormatInt(p.beforeTS, 10) + "." + strconv.FormatUint(p.beforeSeq, 10)
}

// number reads a number as JSON spells it. Others take more: signs, leading zeros,
// hexadecimals, infinities.
func number(value string) (f float64, ok bool) {
	if strings.Trim(value, "-+.0123456789eE") != "" { // neither null nor space
		return 0, false
	}
	return f, json.Unmarshal([]byte(value), &f) == nil
}

// whole reads a whole number; 20.0 and 2e1 are some, as in events.
func whole(value string) (n int, ok bool) {
	f, ok := number(value)
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int(f), true
}

var durationForm = regexp.MustCompile(`^(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+$`)

// duration reads a duration of which every number is one of JSON's.
func duration(value string) (time.Duration, bool) {
	d, err := time.ParseDuration(value)
	return d, err == nil && durationForm.MatchString(value)
}
