package store

import (
	"testing"
)

// TestNamesAndIdentities: whatever names an event has, another is another.
func TestNamesAndIdentities(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var events []Event
	names := []string{"a", "b", "c", "ab", "x", "0"}
	for _, request := range names {
		for _, name := range names {
			for duration := range uint64(3) {
				e := Event{
					TS: s.Now(), Profile: "p", Chain: "c", ProviderID: name, Method: "m", Strategy: "s", SourceNode: request, SourceRegion: "r",
					RequestID: "r", DurationMicros: duration, UpstreamMicros: duration, Weight: 1,
				}
				events = append(events, e)
				e.SourceNode, e.RequestID = "n", request
				events = append(events, e)
			}
			events = append(events, Event{
				TS: s.Now(), Profile: name, Chain: "c", ProviderID: "x", Method: "m", Strategy: "s", SourceNode: "n", SourceRegion: "r",
				EventID: request, Weight: 1,
			})
		}
	}
	if r := s.Apply(events); r.Accepted != len(events) {
		t.Errorf("%+v of %d", r, len(events))
	}
	if r := s.Apply(events); r.Duplicates != len(events) {
		t.Errorf("again: %+v of %d", r, len(events))
	}
}
