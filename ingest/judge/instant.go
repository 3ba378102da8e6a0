package judge

import (
	"strconv"
	"strings"
	"time"
)

// Instant judges a point in time that was given as a number, or could not be read for the
// reason of a code, and returns it in ms since the epoch, or 0. A number in another unit
// would be an instant too, of another age: it is refused by how far from now it is. text is
// how it was spelled.
//
// With now = 1,800,000,000,000 (January 2027) 1,800,000,000 looks like seconds: it is a
// thousandth of now. So does anything within a factor of 32 of that, which as ms would be
// of the first months of 1970.
func (c *Case) Instant(f Field, ms uint64, code string, text []byte) int64 {
	// Fast path: of the last hours, or the next ones.
	if ago := c.now - int64(ms); code == "" && ago < 2*maxAge && ago > -2*maxAge {
		return int64(ms)
	}
	detail := "must be " + instantForms
	if unit := c.unitOf(text); unit != "" && code != "negative" && code != "not_finite" {
		code, detail = "wrong_unit", "looks like "+unit+": "+detail
	}
	if code != "" {
		c.Fault(Fault{Field: f, Code: code, Detail: detail})
		return 0
	}
	return int64(ms)
}

const instantForms = "whole milliseconds since the epoch, or RFC 3339 text such as 2026-01-31T12:00:00.123Z"

// unitOf names the unit in which a number would be some instant of our time; "" when
// that is milliseconds, or none.
func (c *Case) unitOf(number []byte) string {
	const apart = 32 // units are a thousand apart: this is about half way, as factors go
	n, _ := strconv.ParseFloat(string(number), 64)
	switch at := n / float64(max(c.now, 1)); {
	case at > 1000*apart:
		return "nanoseconds"
	case at > apart:
		return "microseconds"
	case at < 1.0/apart && at > 1.0/1000/apart:
		return "seconds"
	}
	return ""
}

// TextInstant judges a point in time in RFC 3339 text, and returns it in ms since the
// epoch, and the ns that it has beyond them.
func (c *Case) TextInstant(f Field, text string) (ms int64, nanos uint32) {
	// The RFC takes letters in lower case, and not, as time.Parse does, an hour of one
	// digit and a comma.
	const hourEnds = len("2006-01-02T15")
	at, err := time.Parse(time.RFC3339, strings.ToUpper(text))
	if err != nil || text[hourEnds] != ':' || strings.IndexByte(text, ',') >= 0 {
		c.WrongType(f, instantForms)
		return 0, 0
	}
	return at.UnixMilli(), uint32(at.Nanosecond() % 1_000_000)
}
