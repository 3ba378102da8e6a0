package node

import (
	"net/http"
	"net/http/pprof"

	"remuda/httpapi"
)

// profilerHandler serves the profiler to whoever asks for it by a name of this node:
// what it shows is for no page of another site.
func profilerHandler(hosts httpapi.Hosts) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		if !hosts.Allow(r.Host) {
			http.Error(w, "this node does not serve the host named in the request", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
