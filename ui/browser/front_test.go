package browser

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// front puts a proxy before a node, and returns what the page takes for the node.
// What instead answers, by returning true, the node does not see.
func front(tb testing.TB, n *node, instead func(w http.ResponseWriter, r *http.Request) bool) *node {
	tb.Helper()
	target, err := url.Parse(n.url)
	if err != nil {
		tb.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
		w.WriteHeader(http.StatusBadGateway)
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !instead(w, r) {
			defer func() { _ = recover() }() // the proxy panics when a reader goes amid an answer
			proxy.ServeHTTP(w, r)
		}
	}))
	tb.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return &node{tb: tb, url: server.URL}
}
