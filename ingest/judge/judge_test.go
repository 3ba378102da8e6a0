package judge

import (
	"testing"

	"remuda/store"
)

// TestFieldsOfFaults: the store can tell every field and every code that an event may
// be refused for.
func TestFieldsOfFaults(t *testing.T) {
	for field := range NumFields {
		if f := store.FaultOf("missing", field.String()); f.Field() == "" || f.Field() != field.String() {
			t.Errorf("%s is told as %q", field, f.Field())
		}
	}
	if name := store.FieldName(int(NumFields)); name != "" {
		t.Errorf("no event has a %s", name)
	}
	for code := range map[string]bool{
		"malformed": true, "missing": true, "wrong_type": true, "empty": true, "too_long": true, "bad_character": true, "negative": true,
		"not_finite": true, "out_of_range": true, "duplicate_name": true, "unknown_value": true, "unknown_type": true, "too_old": true,
		"too_many_series": true, "wrong_unit": true, "malformed_body": true,
	} {
		if f := store.FaultOf(code, ""); f.Code() != code {
			t.Errorf("%s is told as %q", code, f.Code())
		}
	}
}
