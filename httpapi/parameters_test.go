package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"remuda/httpapi/answer"
	"remuda/httpapi/ask"
	"remuda/ingest"
	"remuda/ingest/request"
	"remuda/store"
)

// meanings are, for each parameter, ways to spell each of several things that it can
// mean; "" is to leave it out. Answers to the last two differ at the resources of at.
var meanings = map[string]struct {
	at     string
	values [][]string
}{
	"profile":         {"/providers /decisions /circuits", [][]string{{"shop"}, {"shop,default", "default, shop"}}},
	"chain":           {"/providers /stats /series /decisions /circuits /circuits/changes", [][]string{{""}, {"c"}, {"d", " d,"}, {"c,d", "d,c,d"}}},
	"provider_id":     {"/providers /stats /series /decisions /circuits /circuits/changes", [][]string{{""}, {"p"}, {"q"}, {"p,q", "q,p"}}},
	"region":          {"/providers /stats /series /decisions /circuits /circuits/changes", [][]string{{""}, {"r1"}, {"r2"}, {"r1,r2", "r2,r1"}}},
	"node":            {"/providers /stats /series /decisions /circuits /circuits/changes", [][]string{{""}, {"n1"}, {"n2"}, {"n1,n2", "n2,n1"}}},
	"method":          {"/providers /stats /series /decisions", [][]string{{""}, {"m1"}, {"m2"}, {"m1,m2", "m2,m1"}}},
	"transport":       {"/providers /stats /series /decisions /circuits /circuits/changes", [][]string{{""}, {"http"}, {"ws"}, {"http,ws", "ws,http"}}},
	"strategy":        {"/providers /stats /series /decisions", [][]string{{""}, {"s1"}, {"s2"}, {"s1,s2", "s2,s1"}}},
	"request_origin":  {"/providers /stats /series /decisions", [][]string{{"", "client"}, {"all", "client,all"}, {"client,system", "system,client"}, {"system"}}},
	"window":          {"/providers", [][]string{{"1m", ""}, {"10s"}, {"5m"}, {"15m"}, {"1h"}}},
	"sort":            {"/providers", [][]string{{""}, {"key"}, {"-key"}}},
	"limit":           {"/providers", [][]string{{"1", "1.0", "1e0"}, {"2"}}},
	"fields":          {"/providers", [][]string{{""}, {"key", "key,key"}}},
	"expand":          {"/providers", [][]string{{""}, {"by_region"}, {"methods"}, {"by_region,methods", "methods,by_region"}}},
	"format":          {"", [][]string{{"", "json", "ndjson"}}},
	"interval":        {"", [][]string{{"", "500ms", "0.5s", "1s", "10s"}}},
	"max_frames":      {"", [][]string{{"", "1", "2"}}},
	"watch":           {"", [][]string{{"", "0", "1"}}},
	"by":              {"/stats", [][]string{{"chain"}, {"chain,provider_id"}, {"provider_id,chain", "provider_id, chain,provider_id"}}},
	"step":            {"/series", [][]string{{"10s", "10000ms"}, {"1m", "60s"}}},
	"metric":          {"/series", [][]string{{"total_calls"}, {"samples"}, {"total_calls,samples"}, {"samples,total_calls"}}},
	"cursor":          {"/decisions", [][]string{{"", "0.0"}, {"5.7"}, {"5.8"}, {"99999999999999.8"}}},
	"result":          {"/decisions", [][]string{{"", "success,error,cancelled", "error,cancelled,success"}, {"success,error", "error,success"}, {"success"}, {"cancelled"}, {"error"}}},
	"error_category":  {"/decisions", [][]string{{""}, {"timeout"}, {"rate_limit"}, {"timeout,rate_limit", "rate_limit,timeout"}}},
	"min_duration_ms": {"/decisions", [][]string{{"", "0"}, {"20", "2e1", "20.0"}, {"20.001"}, {"1e6"}}},
	"formula":         {"/rank", [][]string{{"", "wilson"}, {"lasso"}}},
	"compare":         {"/providers", [][]string{{""}, {"previous"}}},
	"topics":          {"", [][]string{{"chains"}, {"nodes"}, {"nodes,chains", "nodes,chains,nodes"}, {"chains,nodes"}}},
	"topic":           {"", [][]string{{"chains"}, {"chains?window=5m"}, {"nodes"}}},
}

// toldAPI is that of a node which was told of several of everything, at a moment that stays.
func toldAPI(t *testing.T) *API {
	t.Helper()
	now := time.Now().Truncate(time.Minute)
	s, err := store.New(store.Options{Node: "n1", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(ingest.Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Store: s, Ingester: request.Ingester{Ingester: in}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	var lines []string
	for i, more := range []string{
		``, `"method":"m2"`, `"transport":"ws"`, `"strategy":"s2"`, `"request_origin":"system"`, `"source_region":"r2"`, `"profile":"shop"`,
		`"result":"error","error_category":"timeout"`, `"result":"error","error_category":"rate_limit"`,
		fmt.Sprintf(`"ts":%d`, now.Add(-3*time.Minute).UnixMilli()), fmt.Sprintf(`"ts":%d`, now.Add(-40*time.Minute).UnixMilli()), `"result":"cancelled"`,
	} {
		for j, line := range []string{`"chain":"c","provider_id":"p"`, `"chain":"d","provider_id":"p"`, `"chain":"c","provider_id":"q"`} {
			line = fmt.Sprintf(`{%s,"weight":100,"duration_ms":%d`, line, 5+20*i+3*j)
			for name, usual := range map[string]string{"method": "m1", "strategy": "s1", "source_region": "r1", "source_node": "g", "result": "success"} {
				if !strings.Contains(more, `"`+name+`"`) {
					line += fmt.Sprintf(`,%q:%q`, name, usual)
				}
			}
			lines = append(lines, strings.TrimSuffix(line+","+more, ",")+"}")
		}
	}
	for _, line := range []string{
		`"chain":"c","provider_id":"p"`, `"chain":"d","provider_id":"p"`, `"chain":"c","provider_id":"q"`, `"chain":"c","provider_id":"p","source_region":"r2"`,
		`"chain":"c","provider_id":"p","transport":"ws"`, `"chain":"c","provider_id":"p","profile":"shop"`,
	} {
		for name, usual := range map[string]string{"source_region": "r1", "source_node": "g", "transport": "http"} {
			if !strings.Contains(line, `"`+name+`"`) {
				line += fmt.Sprintf(`,%q:%q`, name, usual)
			}
		}
		to := "closed"
		if strings.Contains(line, `"chain":"d"`) {
			to = "open"
		}
		lines = append(lines, `{"type":"circuit","from":"half_open","to":"`+to+`",`+line+`}`)
	}
	lines = append(
		lines, `{"type":"block","chain":"c","provider_id":"p","source_node":"g","source_region":"r1","height":7,"source":"ws"}`,
		`{"type":"health","chain":"c","provider_id":"p","source_node":"g","source_region":"r1","status":"healthy","consecutive_failures":0,"consecutive_successes":3,"latency_ms":4}`,
		`{"chain":"c","provider_id":"p","method":"m1","strategy":"s1","source_region":"r1","source_node":"g","request_id":"r","duration_ms":5,"result":"success"}`,
	)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/api/v1/events?strict=1", strings.NewReader(strings.Join(lines, "\n")))
	r.Header.Set("Content-Type", "application/x-ndjson")
	if a.ServeHTTP(w, r); w.Code != http.StatusAccepted {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return a
}

// TestParametersTell goes over all parameters of all resources: queries that differ in
// what one of them means have different canonical forms and entity tags, and different
// answers where it has something to say; those that spell it in another way, or want the
// answer delivered in another way, have the same.
func TestParametersTell(t *testing.T) {
	a := toldAPI(t)
	get := func(res *answer.Resource, query url.Values) (etag string, content []byte) {
		t.Helper()
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/api/v1"+strings.ReplaceAll(res.Path, "{provider_id}", "p")+"?"+query.Encode(), nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%s?%s: %d %s", res.Path, query.Encode(), w.Code, w.Body)
		}
		_, content, _ = bytes.Cut(w.Body.Bytes(), []byte(`"truncated":`)) // what is before is about the answer
		return w.Header().Get("ETag"), content
	}
	for _, res := range a.answers.Resources() {
		base := make(url.Values)
		for _, name := range res.Required {
			base.Set(name, meanings[name].values[0][0])
		}
		switch res.Path {
		case "/rank":
			base.Set("chain", "c")
		case "/stream":
			base.Set("topics", "senders")
		}
		for _, name := range res.ParameterNames() {
			about := meanings[name]
			if about.values == nil {
				t.Fatalf("there are no values of %s", name)
			}
			seen := make(map[string]string) // canonical forms, entity tags
			var last []byte
			for i, spellings := range about.values {
				var canonical, tag string
				var content []byte
				for j, value := range spellings {
					query := make(url.Values)
					for name, list := range base {
						query[name] = list
					}
					query.Set(name, value)
					if value == "" {
						if slices.Contains(res.Required, name) {
							continue
						}
						query.Del(name)
					}
					asked, err := a.answers.Ask(res, query.Encode())
					if err != nil {
						t.Fatalf("%s?%s: %v", res.Path, query.Encode(), err)
					}
					if j == 0 || canonical == "" {
						canonical = asked.Canonical
					}
					if asked.Canonical != canonical {
						t.Errorf("%s: %s=%s is %s, and with %q %s", res.Path, name, value, asked.Canonical, spellings[0], canonical)
					}
					if res.Topics != nil || res.Path == "/decisions/{request_id}" || len(about.values) == 1 {
						continue
					}
					gotTag, got := get(res, query)
					if j == 0 {
						tag, content = gotTag, got
					}
					if !res.Fleeting && (gotTag != tag || !bytes.Equal(got, content)) {
						t.Errorf("%s: another answer with %s=%s than with %q", res.Path, name, value, spellings[0])
					}
				}
				for _, form := range []string{canonical, tag} {
					if same, ok := seen[form]; ok && form != "" {
						t.Errorf("%s: %s=%s and %s are both %s", res.Path, name, spellings[0], same, form)
					}
					seen[form] = spellings[0]
				}
				if i == len(about.values)-1 && slices.Contains(strings.Fields(about.at), res.Path) && bytes.Equal(content, last) {
					t.Errorf("%s: %s=%s changes nothing", res.Path, name, spellings[0])
				}
				last = content
			}
		}
	}
	for _, res := range a.answers.Resources() {
		if !res.Named() { // the path is part of what is asked
			continue
		}
		one, another := &ask.Params{}, &ask.Params{}
		one.SetPath(&res.Resource, "x")
		another.SetPath(&res.Resource, "y")
		if one.Canonical == another.Canonical || !strings.Contains(one.Canonical, "=x") {
			t.Errorf("%s: %s is asked for as %s is", res.Path, one.Canonical, another.Canonical)
		}
	}
	for name, about := range meanings {
		i := slices.IndexFunc(a.answers.Resources(), func(res *answer.Resource) bool {
			return slices.Contains(res.ParameterNames(), name) && (about.at == "" || slices.Contains(strings.Fields(about.at), res.Path))
		})
		if i < 0 {
			t.Errorf("%s is no parameter", name)
		}
	}
}
