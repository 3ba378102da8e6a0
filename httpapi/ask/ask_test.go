package ask_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"remuda/httpapi/ask"
	"remuda/httpapi/problem"
	"remuda/store"
	"remuda/store/cell"
)

// resources are some that differ in what can be asked of them.
var resources = func() []*ask.Resource {
	stream := &ask.Resource{Path: "/stream", Own: []string{"topics", "topic"}, Columns: []string{"key"}}
	list := []*ask.Resource{
		{
			Path: "/providers", Topic: "providers", By: []store.Dim{store.ChainDim, store.ProviderDim}, Own: []string{"compare"},
			Columns: []string{"key", "chain", "provider_id", "total_calls", "p50_latency_ms", "p95_latency_ms", "p99_latency_ms", "status", "status_reasons"},
		},
		{Path: "/providers/{provider_id}", Columns: []string{"key", "chain", "provider_id"}, Without: []string{"provider_id"}},
		{Path: "/chains", Topic: "chains", By: []store.Dim{store.ChainDim}, Columns: []string{"key", "chain"}},
		{Path: "/profiles", Topic: "profiles", By: []store.Dim{store.ProfileDim}, Columns: []string{"key", "profile"}, Profiles: true},
		{Path: "/rank", Own: []string{"formula"}, Required: []string{"chain"}, Columns: []string{"key", "score"}},
		{Path: "/series", Own: []string{"metric", "by", "step"}, Required: []string{"metric"}, Columns: []string{"key"}, Metrics: []string{"samples"}},
		{
			Path: "/decisions", Topic: "decisions", Columns: []string{"key", "ts"}, Limit: 100, MaxLimit: 1000,
			Own: []string{"cursor", "result", "error_category", "min_duration_ms"},
		},
	}
	stream.Topics = list
	return append(list, stream)
}()

func resource(path string) *ask.Resource {
	path, _, _ = strings.Cut(path, "?")
	return resources[slices.IndexFunc(resources, func(res *ask.Resource) bool { return res.Path == path })]
}

func parse(path string) (*ask.Params, error) {
	_, query, _ := strings.Cut(path, "?")
	return resource(path).Parse(query)
}

// refusal is why a query is refused.
func refusal(t *testing.T, path string) string {
	t.Helper()
	p, err := parse(path)
	if err == nil {
		t.Fatalf("%s is %s", path, p.Canonical)
	}
	if why := problem.Of(err); why.Status != http.StatusBadRequest || !strings.HasSuffix(why.Code, "_parameter") {
		t.Errorf("%s: %+v", path, why)
	}
	return err.Error()
}

func ExampleResource_Parse() {
	chains := ask.Resource{Path: "/chains", By: []store.Dim{store.ChainDim}, Columns: []string{"key", "chain", "total_calls"}}
	p, _ := chains.Parse("window=5m&chain=base,arbitrum&sort=-total_calls&format=csv")
	fmt.Println(p.Canonical)
	_, err := chains.Parse("window=7m")
	fmt.Println(err)
	// Output:
	// &profile=default&chain=arbitrum%2Cbase&request_origin=client&window=5m&sort=-total_calls&limit=1000&by=chain
	// "7m" is no value of window; the nearest is 5m
}

// TestParts: a stream joins what has a name and what has a query of its own, each once.
func TestParts(t *testing.T) {
	p, err := parse("/stream?topics=chains,decisions&topic=providers%3Fwindow=5m&topic=providers%3Fwindow=5m&topic=chains")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Parts) != 2 || p.Parts[0].Params.Window != cell.Window5m || p.Parts[1].Res != resource("/chains") || len(p.Topics) != 2 {
		t.Errorf("%+v", p)
	}
	for query, want := range map[string]string{
		"topics=chain": "chains", "topic=provider": "providers", "topic=stream": "no value of topic", "topic=providers/{provider_id}": "no value of topic",
		"topic=chains%3Fformat=sse": "of the stream", "topic=chains%3Fwindow=7m": "5m",
	} {
		if detail := refusal(t, "/stream?"+query); !strings.Contains(detail, want) {
			t.Errorf("%s: %s, want %q in it", query, detail, want)
		}
	}
	if q := p.Of(resource("/decisions")); q.Limit != 100 || q.Topics != nil || q.Parts != nil || !slices.Equal(q.Filter[store.ProfileDim], []string{"default"}) {
		t.Errorf("%+v", q)
	}
	if q := p.Of(resource("/profiles")); q.Filter[store.ProfileDim] != nil || p.Filter[store.ProfileDim] == nil {
		t.Errorf("%+v of %+v", q, p)
	}
}

// TestSuggestions: case does not count, durations are compared by their value, and
// where nothing is near nothing is suggested.
func TestSuggestions(t *testing.T) {
	for query, want := range map[string]string{
		"LIMIT=1": "limit", "Chain=x": "chain", "max-frames=1": "max_frames", "providerId=x": "provider_id", "regoin=x": "region", "prov=x": "provider_id",
		"window=60s": "1m", "window=300s": "5m", "window=60m": "1h", "window=900S": "15m", "window=1M": "1m", "window=7m": "5m", "window=2h": "1h", "window=0.25h": "15m", "window=59m59s": "1h", "window=10000ms": "10s", "window=-1m": "1m",
		"format=JSON": "json", "format=tabel": "table", "sort=-P95_latency_ms": "p95_latency_ms", "transport=WS": "ws", "fields=stat": "status",
		"format=xml": "", "pretty=true": "", "from=1": "", "to=2": "", "q=x": "", "window=24h": "", "window=1ms": "", "window=x": "", "transport=grpc": "",
	} {
		detail := refusal(t, "/providers?"+query)
		_, suggested, _ := strings.Cut(detail, "the nearest is ")
		if suggested != want {
			t.Errorf("%s: %q, want %q suggested", query, detail, want)
		}
	}
}

// TestQueryNumbers: numbers are those of JSON and finite, within durations too.
func TestQueryNumbers(t *testing.T) {
	for ok, queries := range map[bool][]string{
		true: {
			"decisions?limit=5", "decisions?limit=2e1", "decisions?limit=20.0", "decisions?min_duration_ms=0", "decisions?min_duration_ms=1.5", "decisions?min_duration_ms=1e3", "decisions?min_duration_ms=-0",
			"decisions?cursor=5.7", "decisions?cursor=-5.7", "series?metric=samples&step=1m30s", "series?metric=samples&step=0.5m", "providers?format=sse&max_frames=1&interval=0.2s",
		},
		false: {
			"decisions?limit=%2B5", "decisions?limit=007", "decisions?limit=0x10", "decisions?limit=1_0", "decisions?limit=%205", "decisions?limit=5%20", "decisions?limit=5%0a", "decisions?limit=1.5", "decisions?limit=null", "decisions?limit=true", "decisions?limit=%225%22", "decisions?limit=[5]", "decisions?limit=1e99", "decisions?limit=.5e1", "decisions?limit=5.", "decisions?limit=٥",
			"decisions?min_duration_ms=NaN", "decisions?min_duration_ms=Inf", "decisions?min_duration_ms=%2Binf", "decisions?min_duration_ms=1e400", "decisions?min_duration_ms=.5", "decisions?min_duration_ms=5.", "decisions?min_duration_ms=0x1p4", "decisions?min_duration_ms=01", "decisions?min_duration_ms=-1",
			"decisions?cursor=%2B5.7", "decisions?cursor=05.7", "decisions?cursor=5", "decisions?cursor=5.%2B7", "decisions?cursor=5.7.8",
			"providers?format=sse&max_frames=%2B1", "providers?format=sse&max_frames=1e99", "providers?format=sse&interval=%2B1s", "providers?format=sse&interval=01s", "providers?format=sse&interval=.5s", "series?metric=samples&step=1.s", "series?metric=samples&step=-1s", "series?metric=samples&step=1e1s",
		},
	} {
		for _, query := range queries {
			if _, err := parse("/" + query); (err == nil) != ok {
				t.Errorf("%s: %v", query, err)
			}
		}
	}
}

// TestEmptyParameters: a filter that a script has left empty does not mean all.
func TestEmptyParameters(t *testing.T) {
	for _, query := range []string{
		"providers?chain=", "providers?profile=", "providers?provider_id=%20", "providers?region=,", "providers?method", "providers?node=", "providers?strategy=", "providers?transport=", "providers?request_origin=",
		"providers?window=", "providers?sort=", "providers?limit=", "providers?fields=", "providers?expand=", "providers?format=", "providers?interval=", "providers?max_frames=", "providers?watch=", "providers?compare=",
		"decisions?result=", "decisions?error_category=", "decisions?cursor=", "decisions?min_duration_ms=", "series?metric=samples&by=", "series?metric=", "rank?chain=", "stream?topics=", "stream?topic=", "stream?topic=providers%3Fchain%3D",
	} {
		if detail := refusal(t, "/"+query); detail == "" {
			t.Errorf("%s is taken", query)
		}
	}
	if p, err := parse("/providers?chain=c,"); err != nil || !slices.Equal(p.Filter[store.ChainDim], []string{"c"}) {
		t.Errorf("%v %v", p, err)
	}
}

// TestAccept: the media type that weighs most is given, what is refused is not, and an
// answer is better than none.
func TestAccept(t *testing.T) {
	for _, c := range []struct {
		path   string
		accept []string
		want   string // "": it is not acceptable
	}{
		{"/providers", nil, "json"},
		{"/providers", []string{"*/*"}, "json"},
		{"/providers", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, "json"},
		{"/providers", []string{"image/png"}, "json"},
		{"/providers", []string{"text/csv;q=0.4, application/json;q=0.3"}, "csv"},
		{"/providers", []string{"text/csv;q=0.2", "application/x-ndjson;q=0.3"}, "ndjson"},
		{"/providers", []string{"TEXT/CSV;Q=0.9, application/json;q=0.8"}, "csv"},
		{"/providers", []string{"text/csv;q=0, */*"}, "json"},
		{"/providers", []string{"application/json;q=0, */*"}, "ndjson"},
		{"/providers", []string{"application/*;q=0, text/plain;q=0.1"}, "table"},
		{"/providers", []string{"text/*, application/json;q=0.5"}, "csv"},
		{"/providers", []string{"text/csv;q=0"}, "json"},
		{"/providers", []string{"text/csv;q=x, text/plain;q=0.1"}, "table"},
		{"/providers", []string{"application/json;q=0"}, ""},
		{"/providers", []string{"*/*;q=0"}, ""},
		{"/providers", []string{"application/json; q=0.0", "*/*;q=0.000"}, ""},
		{"/providers?format=json", []string{"*/*;q=0"}, "json"},
		{"/providers?max_frames=1", []string{"text/event-stream"}, "sse"},
		{"/series?metric=samples", []string{"text/csv, application/json;q=0.5"}, "json"},
		{"/series?metric=samples", []string{"text/csv"}, "json"},
		{"/series?metric=samples&format=csv", nil, ""},
		{"/stream?topics=chains&max_frames=1", []string{"application/json"}, "sse"},
		{"/stream?topics=chains&max_frames=1&watch=1", []string{"application/x-ndjson"}, "ndjson"},
		{"/stream?topics=chains&max_frames=1", []string{"text/event-stream;q=0"}, ""},
	} {
		p, err := parse(c.path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ask.Negotiate(p, http.Header{"Accept": c.accept}, resource(c.path))
		if refused := err != nil; got != c.want || refused != (c.want == "") || refused && problem.Of(err).Status != http.StatusNotAcceptable {
			t.Errorf("%+v: %s %v", c, got, err)
		}
	}
}

// TestWantsTable: who asks for a table wants errors as lines.
func TestWantsTable(t *testing.T) {
	for _, c := range []struct {
		query, accept string
		want          bool
	}{
		{"", "", false},
		{"", "text/plain", true},
		{"", "text/plain;q=0.1, application/json", false},
		{"?format=table", "", true},
		{"?format=json", "text/plain", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/providers"+c.query, nil)
		if c.accept != "" {
			r.Header.Set("Accept", c.accept)
		}
		if got := ask.WantsTable(r); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
