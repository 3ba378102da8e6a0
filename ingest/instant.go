package ingest

import (
	"strconv"
	"strings"
	"time"
)

// instant reads a point in time: whole milliseconds since the epoch, or RFC 3339 text.
// It returns ms, and the ns that a text has beyond them. A number in another unit would
// be an instant too, of another age: it is refused by how far from now it is.
func (d *decoder) instant(f field, pos int) (ms int64, nanos uint32, end int) {
	c := d.data[pos]
	if c == '"' {
		return d.textInstant(f, pos)
	}
	if c != '-' && c-'0' > 9 {
		return 0, 0, d.notNumber(f, pos)
	}
	n, end, bad := d.integer(pos)
	if end < 0 {
		return 0, 0, -1
	}
	// Fast path: of the last hours, or the next ones.
	if ago := d.now - int64(n); bad == "" && ago < 2*maxAge && ago > -2*maxAge {
		return int64(n), 0, end
	}
	detail := "must be " + instantForms
	if unit := d.unitOf(d.data[pos:end]); unit != "" && bad != "negative" && bad != "not_finite" {
		bad, detail = "wrong_unit", "looks like "+unit+": "+detail
	}
	if bad != "" {
		d.fault(fault{field: f, code: bad, detail: detail})
		return 0, 0, end
	}
	return int64(n), 0, end
}

const instantForms = "whole milliseconds since the epoch, or RFC 3339 text such as 2026-01-31T12:00:00.123Z"

// unitOf names the unit in which a number would be some instant of our time; "" when
// that is milliseconds, or none.
func (d *decoder) unitOf(number []byte) string {
	const apart = 32 // units are a thousand apart: this is about half way, as factors go
	n, _ := strconv.ParseFloat(string(number), 64)
	switch at := n / float64(max(d.now, 1)); {
	case at > 1000*apart:
		return "nanoseconds"
	case at > apart:
		return "microseconds"
	case at < 1.0/apart && at > 1.0/1000/apart:
		return "seconds"
	}
	return ""
}

func (d *decoder) textInstant(f field, pos int) (ms int64, nanos uint32, end int) {
	text, end := d.text(pos)
	if end < 0 {
		return 0, 0, -1
	}
	// The RFC takes letters in lower case, and not, as time.Parse does, an hour of one
	// digit and a comma.
	const hourEnds = len("2006-01-02T15")
	at, err := time.Parse(time.RFC3339, strings.ToUpper(text))
	if err != nil || text[hourEnds] != ':' || strings.IndexByte(text, ',') >= 0 {
		d.fault(fault{field: f, code: "wrong_type", detail: "must be " + instantForms})
		return 0, 0, end
	}
	return at.UnixMilli(), uint32(at.Nanosecond() % 1_000_000), end
}
