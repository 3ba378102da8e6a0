package link

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A call is admitted once, in whatever order they come; one that is later than the window
// is not.
func TestCallsOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	var s Sessions
	came := make(map[uint64]bool)
	top := uint64(0)
	for range 100_000 {
		serial := max(top, 1) - min(uint64(rng.IntN(2*callWindow)), top)
		if rng.IntN(3) == 0 {
			serial = top + 1 + uint64(rng.IntN(3))
		}
		if rng.IntN(2000) == 0 {
			serial = top + uint64(rng.IntN(3*callWindow))
		}
		want := !came[serial] && (serial > top || top-serial < callWindow)
		if got := s.Admit(Call{Session: 7, Serial: serial}); got != want {
			t.Fatalf("call %d after %d: admitted %v, want %v", serial, top, got, want)
		}
		came[serial], top = true, max(top, serial)
	}
	if !s.Admit(Call{Session: 8, Serial: 1}) || s.Admit(Call{Session: 8, Serial: 1}) {
		t.Error("a second session is not one of its own")
	}
}

// What is remembered of processes that ask is bounded; the one that is forgotten is who
// asked nothing for longest.
func TestCallsBounded(t *testing.T) {
	var s Sessions
	for i := range uint64(maxSessions + 100) {
		s.Admit(Call{Session: 1, Serial: i + 1})
		s.Admit(Call{Session: i + 2, Serial: 1})
	}
	if len(s.list) != maxSessions {
		t.Errorf("%d sessions are remembered, want %d", len(s.list), maxSessions)
	}
	if s.Admit(Call{Session: 1, Serial: 1}) || s.Admit(Call{Session: maxSessions + 101, Serial: 1}) {
		t.Error("one that goes on asking is forgotten")
	}
}

func TestCallText(t *testing.T) {
	want := Call{From: "iad@10.0.0.1:x", Session: 1<<64 - 1, Serial: 17, Run: 1795777508970}
	r := httptest.NewRequest(http.MethodGet, "/?call="+want.String(), nil)
	if got, ok := CallOf(r); !ok || got != want {
		t.Errorf("%v, %v", got, ok)
	}
	for _, text := range []string{"", "a", "a/1/2", "a/1/2/3/4", "a/1/2/-3", "a/1/x/3", "a/1/18446744073709551616/3"} {
		if _, ok := CallOf(httptest.NewRequest(http.MethodGet, "/?call="+text, nil)); ok {
			t.Errorf("%q can be read", text)
		}
	}
}
