package store

import (
	"testing"
	"time"
)

// TestLatenessOfABody: it is of all of the last body, however its events come and
// are ordered.
func TestLatenessOfABody(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	n := newRateNode(t, "a", &now)
	var body Body
	part := func(senders ...string) {
		var events []Event
		for i, name := range senders {
			at := now.UnixMilli() - int64(i)*10_000
			events = append(events, Event{
				TS: at, SentTS: at, Sent: FieldTS, Profile: "p", Chain: "c", ProviderID: "x", Method: "m", Strategy: "s",
				SourceNode: name, SourceRegion: "r", Weight: 1,
			})
		}
		n.ApplyPart(events, &body)
	}
	want := func(sender string, lateness, offset int64) {
		t.Helper()
		for _, s := range n.Senders(Filter{}) {
			if s.SourceNode == sender && (s.LatenessMillis != lateness || s.OffsetMillis != offset) {
				t.Errorf("%s is %d ms late, its newest %d; want %d and %d", sender, s.LatenessMillis, s.OffsetMillis, lateness, offset)
			}
		}
	}
	part("one", "other", "one", "other", "one")
	want("one", 40_000, 0)
	want("other", 30_000, 10_000)
	part("other")
	want("one", 40_000, 0)
	want("other", 30_000, 0)
	body.Reset()
	part("none", "one")
	want("one", 10_000, 10_000)
}
