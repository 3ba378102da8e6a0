package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"remuda/httpapi"
)

// TestHosts: the names that requests may ask by.
func TestHosts(t *testing.T) {
	hosts, err := httpapi.ParseHosts([]string{"Remuda.Example.com.", "*.svc.cluster.local", " .example.org", "my_service", "10.0.0.1", "xn--bcher-kva.example"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"localhost": true, "localhost:7400": true, "127.0.0.1": true, "[::1]:7400": true, "::1": true, "LOCALHOST.": true,
		"remuda.example.com": true, "REMUDA.example.com.:80": true, "a.remuda.example.com": false, "example.com": false,
		"remuda.default.svc.cluster.local": true, "a.svc.cluster.local:7400": true, "svc.cluster.local": false, ".svc.cluster.local": false,
		"evil-svc.cluster.local": false, "a.svc.cluster.local.evil.example": false,
		"example.org": true, "a.b.example.org": true, "badexample.org": false, "my_service:7400": true, "xn--bcher-kva.example": true,
		"": false, "*.svc.cluster.local": true, "evil.example": false, "127.0.0.1.evil.example": false,
	} {
		if got := hosts.Allow(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
	for text, want := range map[string]string{
		"": "no name", ".": "no name", "*": "whole domain", "*.": "whole domain", "*.*.example.com": "whole domain", "a*.example.com": "whole domain",
		"https://example.com": "not a URL", "example.com/": "not a URL", "example.com:7400": "any port", "a..b": "between dots",
		"..example.com": "between dots", strings.Repeat("a", 64) + ".com": "between dots", strings.Repeat("a.", 127) + "com": "253",
		"bücher.example": "xn--", "a b": "letters", "a,b": "letters", "user@host": "letters", "[::1]:7400": "any port", "10.0.0.1:7400": "any port",
	} {
		if _, err := httpapi.ParseHosts([]string{"ok.example", text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", text, err, want)
		}
	}
}

// TestGuards: every answer keeps browsers from handing it to other origins.
func TestGuards(t *testing.T) {
	n := newTestNode(t, func(o *httpapi.Options) { o.UI = http.NotFoundHandler() })
	for _, path := range []string{"/", "/healthz", "/metrics", "/openapi.json", "/api/v1/providers", "/api/v1/nothing", "/api/v1/providers?format=sse&max_frames=1", "/api/v1/providers?format=ndjson&watch=1&max_frames=1"} {
		_, head, _ := n.get(path)
		checkGuards(t, path, head)
	}
	for range 3 { // the second goes the fast way
		for _, body := range []string{"[]", "{", "[{}]"} {
			resp, err := n.server.Client().Post(n.server.URL+"/api/v1/events", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			checkGuards(t, "a post", resp.Header)
		}
	}
}

func checkGuards(t *testing.T, what string, head http.Header) {
	t.Helper()
	if head.Get("Cross-Origin-Resource-Policy") != "same-origin" || head.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s: %v", what, head)
	}
}
