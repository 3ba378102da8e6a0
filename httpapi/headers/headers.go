// Package headers has what several packages read of header fields, and write to them.
//
// Fields of requests may be lists. A list may be spread over several fields of one name;
// each part may have a weight.
package headers

import (
	"net/http"
	"strconv"
	"strings"
)

// List is all of a field, whose canonical name is given, "" when there is none.
func List(h http.Header, name string) string {
	switch values := h[name]; len(values) {
	case 0:
		return ""
	case 1:
		return values[0]
	default:
		return strings.Join(values, ",")
	}
}

// TakesGzip reports whether Accept-Encoding prefers gzip to what is not compressed.
func TakesGzip(h http.Header) bool {
	list := List(h, "Accept-Encoding")
	if list == "" {
		return false
	}
	gzip, plain, other := -1.0, -1.0, 0.0 // -1: not mentioned
	for part := range strings.SplitSeq(list, ",") {
		coding, parameters, _ := strings.Cut(part, ";")
		switch q := weight(parameters); strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			gzip = q
		case "identity":
			plain = q
		case "*":
			other = q
		}
	}
	if gzip < 0 {
		gzip = other
	}
	return gzip > 0 && gzip >= plain
}

// weight is that of a part of a list, 0 when it cannot be read.
func weight(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if name != "q" && name != "Q" {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0) {
			return 0
		}
		return min(q, 1)
	}
	return 1
}

// Matches reports whether If-None-Match has an entity tag, weak or not.
func Matches(h http.Header, etag string) bool {
	list := List(h, "If-None-Match")
	if list == etag {
		return etag != ""
	}
	for part := range strings.SplitSeq(list, ",") {
		if strings.TrimPrefix(strings.TrimSpace(part), "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}

// MatchesAny reports whether If-None-Match is a star: any state of what there is.
func MatchesAny(h http.Header) bool { return strings.TrimSpace(List(h, "If-None-Match")) == "*" }

// Values of header fields that answers share. Nobody may change them.
var (
	ContentTypes = map[string][]string{ // by format
		"sse":    {"text/event-stream; charset=utf-8"},
		"json":   {"application/json"},
		"ndjson": {"application/x-ndjson"},
		"csv":    {"text/csv; charset=utf-8"},
		"table":  {"text/plain; charset=utf-8"},
	}
	VaryAccept = []string{"Accept, Accept-Encoding"}
	AskFirst   = []string{"no-cache"} // Cache-Control
	noSniff    = []string{"nosniff"}
	ownOrigin  = []string{"same-origin"}
)

// Guard sets the headers of all answers: browsers neither guess what they are nor hand
// them to pages of other origins.
func Guard(h http.Header) {
	h["X-Content-Type-Options"] = noSniff
	h["Cross-Origin-Resource-Policy"] = ownOrigin
}

// GuardLines are the same on the wire.
const GuardLines = "X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n"
