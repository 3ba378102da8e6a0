package json

import (
	"fmt"
	"strings"
	"testing"

	"remuda/ingest/judge"
)

// TestInstants: ts is whole milliseconds or RFC 3339 text, to the millisecond.
func TestInstants(t *testing.T) {
	now := testNow.UnixMilli() // 2027-01-15T08:00:00Z
	for text, want := range map[string]int64{
		"1800000000000":                    now,
		"1800000000000.0":                  now,
		"18e11":                            now,
		fmt.Sprint(now - 3_600_000):        now - 3_600_000,
		fmt.Sprint(now + 5000):             now + 5000,
		fmt.Sprint(now + 5001):             now, // stamped at arrival
		fmt.Sprint(10 * now):               now,
		`"2027-01-15T08:00:00Z"`:           now,
		`"2027-01-15t08:00:00z"`:           now,
		`"2027-01-15T08:00:00.000Z"`:       now,
		`"2027-01-15T08:00:00+00:00"`:      now,
		`"2027-01-15T13:30:00+05:30"`:      now,
		`"2027-01-14T20:00:00-12:00"`:      now,
		`"2027-01-15T07:59:59.5Z"`:         now - 500,
		`"2027-01-15T07:59:58.123456789Z"`: now - 1877,
		`"2027-01-15T07:59:58.999999999Z"`: now - 1001,
		`"\u0032027-01-15T08:00:00Z"`:      now,
		`"2027-01-15T09:00:00Z"`:           now, // an hour ahead
		`"9999-12-31T23:59:59Z"`:           now,
	} {
		if e, f := decodeOne(t, decisionWith(`,"ts":`+text)); f.Code != "" || e.TS != want {
			t.Errorf("%s: %d, want %d (%s: %s)", text, e.TS, want, f.Code, f.Detail)
		}
	}
}

// TestUnitsOfInstants: an instant in another unit, or as other text, is not an instant
// of another age. It is refused, and the detail names the unit that it seems to have,
// and always the one that is wanted.
func TestUnitsOfInstants(t *testing.T) {
	for text, want := range map[string][2]string{
		"1800000000":                      {"wrong_unit", "seconds"},
		"1799999995":                      {"wrong_unit", "seconds"},
		"1800003600":                      {"wrong_unit", "seconds"},
		"1800000000.123":                  {"wrong_unit", "seconds"},
		"1.8e9":                           {"wrong_unit", "seconds"},
		"1262304000":                      {"wrong_unit", "seconds"}, // of 2010
		"1800000000000000":                {"wrong_unit", "microseconds"},
		"1800000000000000.5":              {"wrong_unit", "microseconds"},
		"1800000000000000000":             {"wrong_unit", "nanoseconds"},
		"1.8e18":                          {"wrong_unit", "nanoseconds"},
		"9007199254740993":                {"wrong_unit", "microseconds"},
		"1e300":                           {"wrong_unit", "nanoseconds"},
		"1e999":                           {"not_finite", "milliseconds"},
		"-1800000000":                     {"negative", "milliseconds"},
		"1800000000000.5":                 {"wrong_type", "milliseconds"},
		"true":                            {"wrong_type", "a number"},
		"0":                               {"too_old", "hour"},
		"1":                               {"too_old", "hour"},
		"1799990000000":                   {"too_old", "hour"},
		`"2027-01-15T06:00:00Z"`:          {"too_old", "hour"},
		`"0001-01-01T00:00:00Z"`:          {"too_old", "hour"},
		`"1800000000"`:                    {"wrong_type", "milliseconds"},
		`"1800000000000"`:                 {"wrong_type", "milliseconds"},
		`""`:                              {"wrong_type", "milliseconds"},
		`"now"`:                           {"wrong_type", "RFC 3339"},
		`"2027-01-15"`:                    {"wrong_type", "RFC 3339"},
		`"2027-01-15T08:00:00"`:           {"wrong_type", "RFC 3339"}, // of which zone?
		`"2027-01-15 08:00:00Z"`:          {"wrong_type", "RFC 3339"},
		`"2027-1-15T8:00:00Z"`:            {"wrong_type", "RFC 3339"},
		`"2027-02-30T08:00:00Z"`:          {"wrong_type", "RFC 3339"},
		`"2027-01-15T25:00:00Z"`:          {"wrong_type", "RFC 3339"},
		`"2027-01-15T08:00:00,5Z"`:        {"wrong_type", "RFC 3339"},
		`"2027-01-15T08:00:00+99:00"`:     {"wrong_type", "RFC 3339"},
		`"Fri, 15 Jan 2027 08:00:00 GMT"`: {"wrong_type", "RFC 3339"},
		`"2027-01-15T8:00:00Z"`:           {"wrong_type", "RFC 3339"},
		`["2027-01-15T08:00:00Z"]`:        {"wrong_type", "a number"},
	} {
		_, f := decodeOne(t, decisionWith(`,"ts":`+text))
		if f.Code != want[0] || f.Field != judge.TS || !strings.Contains(f.Detail, want[1]) {
			t.Errorf("%s: %s of field %d: %s; want %s, %s", text, f.Code, f.Field, f.Detail, want[0], want[1])
		}
	}
}
