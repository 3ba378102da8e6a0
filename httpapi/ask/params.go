package ask

import (
	"encoding/json"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"remuda/httpapi/problem"
	"remuda/store"
	"remuda/store/cell"
)

// Params is a request's query string, read strictly: a name or a word that is
// not known is refused with the nearest one that is.
type Params struct {
	Filter    store.Filter
	Window    cell.Window
	By        []store.Dim
	Sort      string // a column, "" for the order that rows have of their own
	Descend   bool
	Limit     int
	Fields    []string // sorted; none: all
	Regions   bool     // expand=by_region
	Methods   bool     // expand=methods
	Format    string   // "": by Accept
	Interval  time.Duration
	MaxFrames int // 0: as many as there are
	Watch     bool

	// Of single resources.
	Step        time.Duration
	Metrics     []string
	BeforeTS    int64
	BeforeSeq   uint64
	Results     []cell.Result // sorted; none: all
	Categories  []string
	MinDuration uint64 // µs
	RequestID   string
	LassoRank   bool
	Topics      []string
	Parts       []*Part // of the parameter topic
	Compare     bool

	// Canonical spells the query in one way, however it was asked, without what only
	// says how to deliver the answer.
	Canonical string

	delivers bool // it says how to deliver the answer
}

const (
	defaultInterval = 500 * time.Millisecond
	defaultLimit    = 1000
	maxLimit        = 10_000
	maxValues       = 100  // values of one parameter
	maxValueLength  = 1024 // bytes of one value
)

// defaults are the parameters of a resource of which nothing is said.
func (res *Resource) defaults() *Params {
	p := &Params{Window: cell.Window1m, Limit: defaultLimit, Interval: defaultInterval, By: res.By}
	if res.Limit > 0 {
		p.Limit = res.Limit
	}
	p.Filter[store.RequestOriginDim] = []string{store.Client.String()}
	if !res.Profiles {
		p.Filter[store.ProfileDim] = []string{"default"}
	}
	return p
}

// Parse reads the query string of a request for a resource.
func (res *Resource) Parse(raw string) (*Params, error) {
	p := res.defaults()
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, problem.New("invalid_parameter", "the query string is not well-formed: "+err.Error())
	}
	for name, list := range values {
		if res.Topics != nil && name == "topic" {
			for _, value := range list[1:] {
				if err := p.addPart(res, value); err != nil {
					return nil, err
				}
			}
			list = list[:1]
		}
		if len(list) > 1 {
			return nil, problem.OfParameter("invalid_parameter", name, name+" is given more than once; several values go into one, separated by commas")
		}
		if len(list[0]) > maxValueLength*maxValues {
			return nil, problem.OfParameter("invalid_parameter", name, name+" is too long")
		}
		if err := p.set(res, name, list[0]); err != nil {
			return nil, err
		}
	}
	for _, name := range res.Required {
		if !values.Has(name) {
			return nil, missingParameter(name)
		}
	}
	if res.Topics != nil && len(p.Topics)+len(p.Parts) == 0 {
		return nil, problem.OfParameter("missing_parameter", "topics", "topics, or topic, is required here")
	}
	p.Canonical = p.canonicalQuery()
	return p, nil
}

// set reads one parameter.
func (p *Params) set(res *Resource, name, value string) error {
	q := res.parameter(name)
	if q == nil {
		return unknownParameter(res, name)
	}
	if len(split(value)) == 0 {
		if slices.Contains(res.Required, name) {
			return missingParameter(name)
		}
		return problem.OfParameter("invalid_parameter", name, name+" is empty; leave it out, or give it a value")
	}
	p.delivers = p.delivers || q.spell == nil
	return q.read(p, res, value)
}

// SetPath reads the part of the path that is a parameter.
func (p *Params) SetPath(res *Resource, part string) {
	if d := slices.Index(dimensionNames, res.Name()); d >= 0 {
		p.Filter[d] = []string{part}
	} else {
		p.RequestID = part
	}
	p.Canonical = p.canonicalQuery()
}

// CallChains makes one name of all spellings of a chain.
func (p *Params) CallChains(chains *store.Chains) {
	list := p.Filter[store.ChainDim]
	if len(list)+len(p.Parts) == 0 {
		return
	}
	for i := range list {
		list[i] = chains.Called(list[i])
	}
	slices.Sort(list)
	p.Filter[store.ChainDim] = slices.Compact(list)
	for _, part := range p.Parts {
		part.Params.CallChains(chains)
	}
	p.Canonical = p.canonicalQuery()
}

// Of returns the parameters of a resource inside of a larger answer, which p are of:
// rows, their order and how many there are is the resource's default, all else is shared.
func (p *Params) Of(res *Resource) *Params {
	q, usual := *p, res.defaults()
	q.By, q.Limit = usual.By, usual.Limit
	q.Fields, q.Sort, q.Topics, q.Parts = nil, "", nil, nil
	if res.Profiles {
		q.Filter[store.ProfileDim] = nil
	}
	return &q
}

// Several says whether rows of more than one profile may be in an answer.
func (p *Params) Several() bool { return len(p.Filter[store.ProfileDim]) != 1 }

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
	return problem.OfParameter("missing_parameter", name, name+" is required here")
}

// canonicalQuery makes Canonical.
func (p *Params) canonicalQuery() string {
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
