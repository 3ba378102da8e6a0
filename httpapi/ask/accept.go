package ask

import (
	"net/http"
	"strings"

	"github.com/munnerz/goautoneg"

	"remuda/httpapi/headers"
	"remuda/httpapi/problem"
)

// forms are the media types of the formats, those first that are better for a client
// to whom several are equal.
var forms = []struct {
	format string
	types  []string
}{
	{"json", []string{"application/json"}},
	{"ndjson", []string{"application/x-ndjson", "application/ndjson"}},
	{"csv", []string{"text/csv"}},
	{"table", []string{"text/plain"}},
	{"sse", []string{"text/event-stream"}},
}

// accepted is the format, of those that are offered, to which Accept gives most weight.
// Where it names none of them it is usual, since an answer is better than none, unless
// just that is refused.
func accepted(h http.Header, usual string, offered func(format string) bool) (format string, ok bool) {
	list := headers.List(h, "Accept")
	if list == "" || list == "*/*" { // nearly always
		return usual, true
	}
	ranges := goautoneg.ParseAccept(strings.ToLower(strings.Join(strings.Fields(list), "")))
	format, ok = usual, true
	best, first := 0.0, len(ranges)
	for _, form := range forms {
		if !offered(form.format) {
			continue
		}
		for _, media := range form.types {
			i := mostSpecific(ranges, media)
			if i < 0 {
				continue
			}
			q := min(ranges[i].Q, 1)
			if q > best || q == best && q > 0 && i < first {
				format, best, first = form.format, q, i
			}
			if form.format == usual && best == 0 {
				ok = false // it is named, and refused
			}
		}
	}
	return format, ok || best > 0
}

// mostSpecific is the index of the range that says most of a media type, -1 when none
// has it.
func mostSpecific(ranges []goautoneg.Accept, media string) int {
	kind, sub, _ := strings.Cut(media, "/")
	at, most := -1, 0
	for i, r := range ranges {
		said := 0
		switch {
		case r.Type == kind && r.SubType == sub:
			said = 3
		case r.Type == kind && r.SubType == "*":
			said = 2
		case r.Type == "*" && r.SubType == "*":
			said = 1
		}
		if said > most {
			at, most = i, said
		}
	}
	return at
}

// Negotiate chooses the format of an answer: ?format= wins over Accept.
func Negotiate(p *Params, h http.Header, res *Resource) (string, error) {
	format := p.Format
	if format == "" {
		usual := "json"
		if res.Topics != nil {
			usual = "sse"
		}
		var ok bool
		if format, ok = accepted(h, usual, func(format string) bool { return res.offers(p, format) }); !ok {
			return "", problem.New("not_acceptable", "Accept refuses all that this can be had as: json, ndjson, csv, table, sse")
		}
	}
	switch {
	case res.Topics != nil && !res.offers(p, format):
		return "", problem.OfParameter("invalid_parameter", "format", "a stream of topics is format=sse, or ndjson with watch=1")
	case p.Watch && format != "ndjson" && format != "sse":
		return "", problem.OfParameter("invalid_parameter", "watch", "watch goes with format=ndjson")
	case !res.offers(p, format):
		return "", problem.New("not_acceptable", "this resource has no rows; ask for json")
	}
	return format, nil
}

// offers reports whether a resource can be had in a format.
func (res *Resource) offers(p *Params, format string) bool {
	switch {
	case res.Topics != nil:
		return format == "sse" || format == "ndjson" && p.Watch
	case format == "csv" || format == "table":
		return res.Tabular()
	}
	return true
}

// WantsTable holds for clients to whom errors are plain lines.
func WantsTable(r *http.Request) bool {
	if format := r.URL.Query().Get("format"); format != "" {
		return format == "table"
	}
	format, _ := accepted(r.Header, "json", func(string) bool { return true })
	return format == "table"
}
