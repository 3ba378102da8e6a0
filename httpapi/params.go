package httpapi

import (
	"encoding/json"
	"math"
	"net/url"
	"regexp"
	"slices"
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

	delivers  bool   // it says how to deliver the answer
	pause     func() // of a view: called between pieces of a computation, may wait
	canonical string // see canonicalQuery
}

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
	q := res.parameter(name)
	if q == nil {
		return unknownParameter(res, name)
	}
	if len(split(value)) == 0 {
		if slices.Contains(res.required, name) {
			return missingParameter(name)
		}
		return parameterProblem("invalid_parameter", name, name+" is empty; leave it out, or give it a value")
	}
	p.delivers = p.delivers || q.spell == nil
	return q.read(p, res, value)
}

// setPath reads the part of the path that is a parameter.
func (p *params) setPath(res *resource, part string) {
	if res == providerResource {
		p.filter[store.ProviderDim] = []string{part}
	} else {
		p.requestID = part
	}
	p.canonical = p.canonicalQuery()
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

// canonicalQuery spells the query in one way, however it was asked, without what only
// says how to deliver the answer.
func (p *params) canonicalQuery() string {
	var b strings.Builder
	for _, q := range parameters {
		if q.spell == nil {
			continue
		}
		q.spell(p, func(value string) {
			if value != "" {
				b.WriteString("&" + q.name + "=" + url.QueryEscape(value))
			}
		})
	}
	return b.String()
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
