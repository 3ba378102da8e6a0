package ingest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"remuda/store"
)

// TestOverload: a body that gets no turn in time is refused as a whole, with a time
// to come again; one that gets a turn late is counted.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := store.New(store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		g, err := New(Options{Store: s})
		if err != nil {
			t.Fatal(err)
		}
		post := func(ctx context.Context) (store.Receipt, error) {
			body := `{"chain":"c","provider_id":"p","method":"m","duration_ms":1,"result":"success"}`
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)).WithContext(ctx)
			r.Header.Set("Content-Type", "application/x-ndjson")
			return g.Ingest(r, false)
		}
		for range cap(g.turns.taken) { // all turns are taken
			if err := g.turns.take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		_, err = post(t.Context())
		var refused *Error
		if !errors.As(err, &refused) || refused.Code() != "overloaded" || refused.RetryAfter() == 0 {
			t.Fatalf("without a turn: %v", err)
		}
		if took := time.Since(began); took != patience {
			t.Errorf("refused after %v, want %v", took, patience)
		}
		if n := s.Usage().EventsAccepted; n != 0 {
			t.Errorf("%d events of a refused body were counted", n)
		}
		if now, _ := g.InFlight(); now != 0 {
			t.Errorf("%d bytes of a refused body are in flight", now)
		}
		gone, cancel := context.WithTimeout(t.Context(), patience/2)
		defer cancel()
		if _, err := post(gone); !errors.As(err, &refused) || refused.Code() != "canceled" {
			t.Errorf("a client that goes away: %v", err)
		}
		time.AfterFunc(patience/2, g.turns.end)
		if receipt, err := post(t.Context()); err != nil || receipt.Accepted != 1 {
			t.Errorf("with a late turn: %+v %v", receipt, err)
		}
		if n := len(g.turns.taken); n != cap(g.turns.taken)-1 {
			t.Errorf("%d turns are taken", n)
		}
	})
}
