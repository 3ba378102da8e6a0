package node

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"remuda/httpapi"
)

// TestProfilerHosts: the profiler answers to the names of its node alone.
func TestProfilerHosts(t *testing.T) {
	hosts, err := httpapi.ParseHosts([]string{"*.internal"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"127.0.0.1:6060": http.StatusOK, "n1.internal:6060": http.StatusOK, "evil.example": http.StatusMisdirectedRequest, "": http.StatusMisdirectedRequest,
	} {
		r := httptest.NewRequest(http.MethodGet, "/debug/pprof/cmdline", nil)
		r.Host = host
		w := httptest.NewRecorder()
		profilerHandler(hosts).ServeHTTP(w, r)
		if w.Code != want || w.Header().Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%q: %d %v, want %d", host, w.Code, w.Header(), want)
		}
	}
}
