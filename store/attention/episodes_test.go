package attention

import (
	"strconv"
	"testing"
	"time"

	"remuda/store"
	"remuda/store/cell"
)

// TestOnsetsInTurns: very many alarms at once are dated by several refreshes, each of
// which looks through a share of what there is, and from then on they stay.
func TestOnsetsInTurns(t *testing.T) {
	const n = 1000
	now := time.UnixMilli(1_800_000_000_000)
	s, err := store.New(store.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s.Apply([]store.Event{{
			TS: now.UnixMilli(), Profile: "default", Chain: "base", ProviderID: "p" + strconv.Itoa(i), Method: "m", Strategy: "s", SourceNode: "g",
			SourceRegion: "r", Weight: 30, DurationMicros: 5000, UpstreamMicros: 5000, Result: cell.Failure, ErrorCategory: "timeout",
		}})
	}
	began := now.UnixMilli() / 1000 * 1000
	now = now.Add(20 * time.Second)
	s.Tick()
	e := new(Episodes)
	for look := 1; look <= onsetShare+1; look++ {
		dated := 0
		_, list := New(s, e, store.Filter{}, cell.Window1m).Refresh()
		for i := range list {
			if alarm := &list[i]; alarm.Subject == "provider" && alarm.SinceAt == began {
				dated++
			}
		}
		if want := min(look*n/onsetShare, n); dated != want {
			t.Errorf("look %d: %d of %d are dated, not %d", look, dated, n, want)
		}
	}
}

// TestEpisodes: since when an alarm is there is known for as long as somebody looks, and
// beyond the cap it is always new.
func TestEpisodes(t *testing.T) {
	var e Episodes
	now := int64(1_800_000_000_000)
	since := func(key string) int64 {
		at, _ := e.see(key, now, true)
		return at
	}
	began := now
	since("a")
	for range 100 {
		now += episodeKept
		if at := since("a"); at != began {
			t.Fatalf("looked at every minute, and since %d", at-began)
		}
	}
	now += episodeKept + 1
	if at := since("a"); at != now {
		t.Errorf("not looked at for longer, and since %d", at-now)
	}
	if _, settled := e.see("b", now, false); settled {
		t.Error("calls have not told yet")
	}
	if e.settle("b", now-5); since("b") != now-5 {
		t.Error("what calls told is lost")
	}
	for i := range maxEpisodes {
		e.see("more "+strconv.Itoa(i), now, true)
	}
	if len(e.known)+len(e.before) != maxEpisodes {
		t.Errorf("%d are kept", len(e.known)+len(e.before))
	}
	now++
	if last := "more " + strconv.Itoa(maxEpisodes-1); since(last) != now || since("a") != now-1 {
		t.Error("there was no room for the last, and the first is to stay")
	}
	now += 2*episodeKept + 2
	since("a")
	now += episodeKept + 1
	if since("c"); len(e.known)+len(e.before) > 2 {
		t.Errorf("%d are kept that nobody looks at", len(e.known)+len(e.before))
	}
}
