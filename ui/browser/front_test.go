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
	proxy := proxyTo(tb, n)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !instead(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	tb.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return &node{tb: tb, url: server.URL}
}

// proxyTo hands requests on to a node.
func proxyTo(tb testing.TB, n *node) http.Handler {
	tb.Helper()
	target, err := url.Parse(n.url)
	if err != nil {
		tb.Fatal(err)
	}
	return &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
}
