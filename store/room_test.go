package store

import (
	"fmt"
	"sync"
	"testing"
)

func report(chain string, n int) Event {
	return Event{
		Kind: []Kind{Circuit, Block, Health}[n%3], Profile: "p", Chain: chain, ProviderID: fmt.Sprint("p", n), SourceNode: "s", SourceRegion: "r",
		To: CircuitOpen, TS: 1_800_000_000_000,
	}
}

// TestLatestValuesAreBounded: no batch, and no number of batches at once, goes beyond
// the bound; what is there can be renewed; equal new ones take one place.
func TestLatestValuesAreBounded(t *testing.T) {
	const most = 50
	s, err := New(Options{MaxLatestValues: most, DedupBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var batch []Event
	for n := range most - 10 {
		batch = append(batch, report("c", n), report("c", n), report("c", n))
	}
	if r := s.Apply(batch); r.Rejected != 0 || s.Usage().LatestValues != most-10 {
		t.Fatalf("equal ones: %+v, %d values", r, s.Usage().LatestValues)
	}
	batch = nil
	for n := range 2 * most {
		batch = append(batch, report("c", n))
	}
	if r := s.Apply(batch); r.Accepted != most || r.Rejected != most || s.Usage().LatestValues != most {
		t.Errorf("%+v, %d values", r, s.Usage().LatestValues)
	}
	if r := s.Apply(batch[:most]); r.Accepted != most {
		t.Errorf("renewed: %+v", r)
	}
	if n := s.placesTaken.Load(); n != 0 {
		t.Errorf("%d places are taken", n)
	}

	if s, err = New(Options{MaxLatestValues: most, DedupBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for writer := range 8 {
		all.Go(func() {
			for n := range 40 {
				s.Apply([]Event{report(fmt.Sprint("c", writer), n), report(fmt.Sprint("d", n), writer)})
			}
		})
	}
	all.Wait()
	if n := s.Usage().LatestValues; n != most {
		t.Errorf("%d values, want %d", n, most)
	}
}

// TestAdmittedTogether: the new values of a body that is counted whole or not at all
// need room beside each other.
func TestAdmittedTogether(t *testing.T) {
	s, err := New(Options{MaxLatestValues: 3, DedupBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var body Body
	admitted := 0
	for n := range 5 {
		for range 2 {
			if e := report("c", n); s.Admit(&e, &body) {
				admitted++
			}
		}
	}
	if admitted != 6 {
		t.Errorf("%d were admitted", admitted)
	}
	body.Reset()
	if e := report("c", 9); !s.Admit(&e, &body) {
		t.Error("another body has no room")
	}
}
