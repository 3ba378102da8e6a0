package httpapi

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"remuda/httpapi/answer"
	"remuda/store"
)

// TestColumns: rows have the columns that their resource lists, all of them and no
// others, as JSON, one by one by fields, and as CSV.
func TestColumns(t *testing.T) {
	a := toldAPI(t)
	server := httptest.NewServer(a)
	defer server.Close()
	stream, err := http.Get(server.URL + "/api/v1/providers?format=ndjson&watch=1") // a subscriber
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	get := func(res *answer.Resource, query url.Values) []byte {
		t.Helper()
		path := strings.NewReplacer("{provider_id}", "p", "{request_id}", "r").Replace(res.Path)
		answer, err := http.Get(server.URL + "/api/v1" + path + "?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var body bytes.Buffer
		if _, err := body.ReadFrom(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s?%s: %s %s %v", path, query.Encode(), answer.Status, body.Bytes(), err)
		}
		return body.Bytes()
	}
	rowsOf := func(body []byte) (rows []map[string]json.RawMessage) {
		t.Helper()
		var document struct{ Rows, Members []map[string]json.RawMessage }
		if err := json.Unmarshal(body, &document); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return append(document.Rows, document.Members...)
	}
	for _, res := range a.answers.Resources() {
		if !res.Tabular() {
			continue
		}
		query := url.Values{"profile": {"default,shop"}} // so that rows say which
		more := map[string]string{"expand": "by_region,methods", "compare": "previous"}
		if len(res.Without) == 0 {
			more["provider_id"] = "p,q" // so that decisions say by what they were found
		}
		if slices.Contains(res.Required, "by") {
			more["by"] = strings.Join(dimensionNames(), ",")
		}
		if slices.Contains(res.Required, "chain") {
			more["chain"] = "c"
		}
		for name, value := range more {
			if slices.Contains(res.ParameterNames(), name) {
				query.Set(name, value)
			}
		}
		rows := rowsOf(get(res, query))
		if len(rows) == 0 {
			t.Fatalf("%s has no rows", res.Path)
		}
		for _, row := range rows {
			if got, want := slices.Sorted(maps.Keys(row)), slices.Sorted(slices.Values(res.Columns)); !slices.Equal(got, want) {
				t.Fatalf("%s: a row has %v, the columns are %v", res.Path, got, want)
			}
		}
		for _, column := range res.Columns {
			query.Set("fields", column)
			want := []string{column, "key"}
			slices.Sort(want)
			want = slices.Compact(want)
			for _, row := range rowsOf(get(res, query)) {
				if got := slices.Sorted(maps.Keys(row)); !slices.Equal(got, want) {
					t.Fatalf("%s: with fields=%s a row has %v", res.Path, column, got)
				}
			}
		}
		query.Del("fields")
		query.Set("format", "csv")
		lines, err := csv.NewReader(bytes.NewReader(get(res, query))).ReadAll()
		if err != nil || len(lines) != len(rows)+1 {
			t.Fatalf("%s as CSV: %d lines, %v", res.Path, len(lines), err)
		}
		for _, row := range rows {
			var key string
			if err := json.Unmarshal(row["key"], &key); err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(lines, func(line []string) bool { return strings.TrimPrefix(line[0], "'") == key })
			if i < 1 {
				t.Fatalf("%s as CSV has no row %s", res.Path, key)
			}
			for name, value := range row {
				at := slices.Index(lines[0], name)
				if nested := value[0] == '{' || value[0] == '['; nested || name == "previous" { // null or not
					if at >= 0 {
						t.Errorf("%s as CSV has %s", res.Path, name)
					}
					continue
				}
				if at < 0 {
					t.Fatalf("%s as CSV has no %s: %v", res.Path, name, lines[0])
				}
				want := strings.TrimSuffix(strings.Trim(string(value), `"`), "null")
				if got := strings.TrimPrefix(lines[i][at], "'"); got != want && !res.Fleeting { // a run-time value may have moved
					t.Errorf("%s as CSV: %s is %q and not %s", res.Path, name, got, value)
				}
			}
		}
		for _, column := range lines[0] {
			if !slices.Contains(res.Columns, column) && !strings.HasPrefix(column, "circuit_") {
				t.Errorf("%s as CSV has %s", res.Path, column)
			}
		}
	}
}

func dimensionNames() (names []string) {
	for d := range store.NumDims {
		names = append(names, d.String())
	}
	return names
}
