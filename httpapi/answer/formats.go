package answer

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"remuda/httpapi/ask"
	"remuda/httpapi/layout"
)

// render makes the body of an answer.
func render(res *Resource, p *ask.Params, src source, m *meta, format string) []byte {
	var body []byte
	switch format {
	case "ndjson":
		rows, ok := src.(recorder)
		if !ok {
			body = append(appendMeta([]byte{'{'}, m), ',')
			return append(src.appendSnapshot(body), "}\n"...)
		}
		for _, r := range rows.records() {
			body = append(r.appendEvent(body, p.Fields), '\n')
		}
	case "csv":
		return renderCSV(res, p, src.(recorder).records())
	case "table":
		return renderTable(res, p, src.(recorder).records(), m)
	default:
		body = append(appendMeta([]byte{'{'}, m), ',')
		if res == clusterResource { // of a document; in streams they are rows
			return append(appendRows(body, `"members":`, src.(recorder).records(), p.Fields), "}\n"...)
		}
		body = append(src.appendSnapshot(body), "}\n"...)
	}
	return body
}

// columnsOf are the scalar columns of a resource as asked for, circuit in two.
func columnsOf(res *Resource, p *ask.Params) []string {
	list := res.Columns
	if res.Path == "/stats" {
		list = tableColumns(p.By)
	}
	var columns []string
	for _, c := range list {
		if len(p.Fields) > 0 && c != "key" && !slices.Contains(p.Fields, c) {
			continue
		}
		switch c {
		case "circuit":
			columns = append(columns, "circuit_http", "circuit_ws")
		case "errors_by_category", "status_reasons", "by_region", "methods", "attempts", "reasons", "previous":
		case "profile":
			if p.Several() || slices.Contains(p.Fields, c) || res.Path == "/profiles" {
				columns = append(columns, c)
			}
		default:
			columns = append(columns, c)
		}
	}
	return columns
}

// cellText is a value as text: strings without quotes, null as nothing.
func cellText(r *Record, column string) string {
	value := r.find(column)
	if transport, ok := strings.CutPrefix(column, "circuit_"); ok {
		var circuit map[string]string
		if json.Unmarshal(r.find("circuit"), &circuit) == nil {
			return circuit[transport]
		}
	}
	switch {
	case absent(value):
		return ""
	case value[0] == '"':
		var s string
		if json.Unmarshal(value, &s) == nil {
			return s
		}
	}
	return string(value)
}

func renderCSV(res *Resource, p *ask.Params, rows []*Record) []byte {
	var b bytes.Buffer // takes everything
	writeCSV(&b, res, p, slices.Values(rows))
	return b.Bytes()
}

// spreadsheetSafe keeps a text of a sender's from being a formula in a spreadsheet.
func spreadsheetSafe(s string) string {
	if s != "" && strings.ContainsRune("=+@\t", rune(s[0])) {
		return "'" + s
	}
	if len(s) > 1 && s[0] == '-' {
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			return "'" + s
		}
	}
	return s
}

// tableFaces are the columns that eyes want, in their order, with short heads.
var tableFaces = map[string][][2]string{
	"/attention": {
		{"severity", "SEVERITY"},
		{"rule", "RULE"},
		{"key", "WHAT"},
		{"since_at", "SINCE"},
		{"detail", "DETAIL"},
	},
	"/limits": {
		{"key", "WHAT"},
		{"limit", "LIMIT"},
		{"current", "CURRENT"},
		{"unit", "UNIT"},
		{"detail", "DETAIL"},
	},
	"/runtime": {
		{"key", "WHAT"},
		{"value", "VALUE"},
		{"unit", "UNIT"},
		{"detail", "DETAIL"},
	},
	"/providers": {
		{"chain", "CHAIN"},
		{"provider_id", "PROVIDER"},
		{"status", "STATUS"},
		{"circuit_http", "HTTP"},
		{"circuit_ws", "WS"},
		{"total_calls", "CALLS"},
		{"calls_per_second", "CALLS/S"},
		{"success_rate_pct", "SUCCESS%"},
		{"cut_off_pct", "CUT%"},
		{"p50_latency_ms", "P50MS"},
		{"p95_latency_ms", "P95MS"},
		{"p99_latency_ms", "P99MS"},
		{"block_lag_blocks", "LAG"},
		{"traffic_pct", "TRAFFIC%"},
		{"last_seen_at", "LAST"},
	},
	"figures": {
		{"total_calls", "CALLS"},
		{"calls_per_second", "CALLS/S"},
		{"success_rate_pct", "SUCCESS%"},
		{"availability_pct", "AVAIL%"},
		{"cut_off_pct", "CUT%"},
		{"p50_latency_ms", "P50MS"},
		{"p95_latency_ms", "P95MS"},
		{"p99_latency_ms", "P99MS"},
		{"traffic_pct", "TRAFFIC%"},
		{"last_seen_at", "LAST"},
	},
}

// cutOff reports whether any row has calls that were cut off: most gateways cut none.
func cutOff(rows []*Record) bool {
	return slices.ContainsFunc(rows, func(r *Record) bool {
		v := r.find("cut_off_calls")
		return !absent(v) && string(v) != "0"
	})
}

// renderTable aligns rows for eyes: — is no data, 0 is zero.
func renderTable(res *Resource, p *ask.Params, rows []*Record, m *meta) []byte {
	var faces [][2]string
	switch {
	case len(p.Fields) == 0 && tableFaces[res.Path] != nil:
		faces = tableFaces[res.Path]
	case len(p.Fields) > 0 || res.By == nil && res.Path != "/stats":
		for _, c := range columnsOf(res, p) {
			if c != "key" {
				faces = append(faces, [2]string{c, strings.ToUpper(c)})
			}
		}
	case strings.HasPrefix(res.Path, "/providers"):
		faces = tableFaces["/providers"]
	default:
		for _, d := range p.By {
			faces = append(faces, [2]string{d.String(), strings.ToUpper(d.String())})
		}
		faces = append(faces, tableFaces["figures"]...)
	}
	if len(p.Fields) == 0 && !cutOff(rows) {
		faces = slices.DeleteFunc(slices.Clone(faces), func(f [2]string) bool { return f[0] == "cut_off_pct" })
	}
	lines := make([][]string, 0, len(rows)+1)
	head := make([]string, len(faces))
	numeric := make([]bool, len(faces))
	for i, f := range faces {
		head[i], numeric[i] = f[1], len(rows) > 0
	}
	lines = append(lines, head)
	for _, r := range rows {
		line := make([]string, len(faces))
		for i, f := range faces {
			line[i] = tableCell(r, f[0], m.At)
			if v := r.find(f[0]); !absent(v) && v[0] == '"' || strings.HasPrefix(f[0], "circuit_") {
				numeric[i] = false
			}
		}
		lines = append(lines, line)
	}
	text := layout.Append(nil, lines, numeric)
	if j := m.judged; j != nil && j.Providers == 0 {
		text = append(text, "no data: there is nothing to tell by whether anything else is wrong\n"...)
	}
	if m.truncated {
		text = append(text, "… more rows than the limit\n"...)
	}
	return text
}

func tableCell(r *Record, column string, now int64) string {
	text := cellText(r, column)
	if text == "" {
		return "—"
	}
	if strings.HasSuffix(column, "_at") || column == "ts" || column == "at" {
		if at, err := strconv.ParseInt(text, 10, 64); err == nil {
			return (time.Duration(max(now-at, 0)) * time.Millisecond).Round(100*time.Millisecond).String() + " ago"
		}
	}
	return text
}
