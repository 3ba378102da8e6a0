package ids

import (
	"strings"
	"testing"
)

func TestFault(t *testing.T) {
	for id, want := range map[string]string{
		"base": "", "eip155:1.x_y@z#=+~-": "", "_x": "", strings.Repeat("a", Max): "",
		"": "empty", strings.Repeat("a", Max+1): "too_long", Other: "bad_character", "__": "bad_character",
		"a b": "bad_character", "a/b": "bad_character", "a,b": "bad_character", "a\nb": "bad_character", "a\x00": "bad_character",
		"é": "bad_character", "\xff": "bad_character",
	} {
		code, detail := Fault(id)
		if code != want || (detail == "") != (want == "") {
			t.Errorf("%q: %s, %s, want %s", id, code, detail, want)
		}
		if Valid(id) != (want == "") || ValidName(id) != (want == "" || id == Other) {
			t.Errorf("%q: valid %v, as a name %v", id, Valid(id), ValidName(id))
		}
	}
}
