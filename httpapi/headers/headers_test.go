package headers

import (
	"net/http"
	"testing"
)

// TestTakesGzip: weights are honoured, the most specific decides, and several fields
// are one list.
func TestTakesGzip(t *testing.T) {
	for _, c := range []struct {
		fields []string
		want   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"gzip"}, true},
		{[]string{"GZip;q=0.1"}, true},
		{[]string{"br, x-gzip"}, true},
		{[]string{"br"}, false},
		{[]string{"notgzip"}, false},
		{[]string{"gzip;q=0"}, false},
		{[]string{"gzip; q=0.000"}, false},
		{[]string{"gzip;Q=0"}, false},
		{[]string{"gzip;q=x"}, false},
		{[]string{"gzip;q=nan"}, false},
		{[]string{"gzip;q=-1"}, false},
		{[]string{"*"}, true},
		{[]string{"*;q=0"}, false},
		{[]string{"gzip;q=0, *"}, false},
		{[]string{"*;q=0, gzip"}, true},
		{[]string{"identity, gzip;q=0.5"}, false},
		{[]string{"identity;q=0.2, gzip;q=0.5"}, true},
		{[]string{"br", "gzip"}, true},
		{[]string{"*", "gzip;q=0"}, false},
	} {
		if got := TakesGzip(http.Header{"Accept-Encoding": c.fields}); got != c.want {
			t.Errorf("%q: %v", c.fields, got)
		}
	}
}

// TestMatches: entity tags are compared weakly, in lists over several fields.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		fields []string
		want   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{`"a"`}, true},
		{[]string{`W/"a"`}, true},
		{[]string{`"b", W/"a"`}, true},
		{[]string{`"b"`, `"a"`}, true},
		{[]string{`"b"`, `"c"`}, false},
		{[]string{`a`}, false},
		{[]string{`"ab"`}, false},
		{[]string{`*`}, false},
	} {
		h := http.Header{"If-None-Match": c.fields}
		for _, etag := range []string{`"a"`, `W/"a"`} {
			if got := Matches(h, etag); got != c.want {
				t.Errorf("%q has %s: %v", c.fields, etag, got)
			}
		}
		if MatchesAny(h) != (len(c.fields) == 1 && c.fields[0] == "*") {
			t.Errorf("%q is any", c.fields)
		}
	}
}
