package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"remuda/store/cell"
	"remuda/store/ids"
)

// TestNamesOfMembers: what another node calls a series is judged as the names in events are.
func TestNamesOfMembers(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, err := New(Options{Node: "a", DedupBytes: 1 << 20, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{
		"base": true, "eip155:1.x_y@z#=+~-": true, ids.Other: true, strings.Repeat("a", 128): true,
		"": false, "__x": false, "a b": false, "a/b": false, "a,b": false, "a\nb": false, "a\x7f": false, "\x1b[2J": false,
		"é": false, "\xff": false, "<script>": false, strings.Repeat("a", 129): false,
	} {
		for at := range keyDims {
			dims := []string{"default", "base", "p", "m", "s", "r"}
			dims[at] = name
			key := strings.Join(dims, "\x00") + "\x00\x00\x00"
			state := RowState{Key: key, Born: 1, Stamp: 1, Lifetime: cell.Lifetime{1}}
			if err := s.Merge(OriginID{"b", 1}, &state); (err == nil) != ok || !ok && !errors.Is(err, ErrDamaged) {
				t.Errorf("%q as dimension %d: %v", name, at, err)
			}
		}
	}
	for _, p := range s.Profiles() {
		if !ids.ValidName(p) {
			t.Errorf("there is a profile %q", p)
		}
	}
}
