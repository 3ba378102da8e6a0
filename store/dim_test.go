package store

import (
	"fmt"
	"strings"
	"testing"

	"remuda/store/ids"
)

// TestDimensions: every dimension has a name and a place of its own, the key of a call
// has each where it belongs, and only there, and overflow takes what it says.
func TestDimensions(t *testing.T) {
	names, places := make(map[string]bool), make(map[string]bool)
	strs, bytes := 0, 0
	for d := range NumDims {
		about := dimensions[d]
		place := fmt.Sprint(about.in, about.at)
		if d.String() == "" || names[d.String()] || places[place] || (about.in == noKey) != (d == NodeDim) {
			t.Errorf("%d, %q: %+v", d, d, about)
		}
		names[d.String()], places[place] = true, true
		switch about.in {
		case keyString:
			strs++
		case keyByte:
			bytes++
		}
	}
	if strs != keyDims || bytes != keyTail {
		t.Errorf("%d strings and %d bytes", strs, bytes)
	}
	// The order is part of the wire format.
	want := "a\x00b\x00c\x00d\x00e\x00f\x00\x00\x01"
	e := &Event{Profile: "a", Chain: "b", ProviderID: "c", Method: "d", Strategy: "e", SourceRegion: "f", RequestOrigin: System}
	key := appendKey(nil, e, e.ProviderID, HTTP)
	if string(key) != want {
		t.Fatalf("%q", key)
	}
	values := map[Dim]string{
		ProfileDim: "a", ChainDim: "b", ProviderDim: "c", MethodDim: "d", StrategyDim: "e", RegionDim: "f",
		TransportDim: HTTP.String(), RequestOriginDim: System.String(), NodeDim: "",
	}
	for level, kept := range []string{"abcdef", "abc-ef", "a-----"} {
		var s series
		s.setKey(string(overflowKey(key, level)))
		for d := range NumDims {
			value := values[d]
			if len(value) == 1 && !strings.Contains(kept, value) {
				value = ids.Other
			}
			if s.dim(d) != value {
				t.Errorf("level %d: %s is %q, want %q", level, d, s.dim(d), value)
			}
		}
	}
}
