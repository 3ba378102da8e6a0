// Package httpapi is the HTTP face of a node: REST, live streams, the exposition
// for Prometheus, and the OpenAPI document that describes all of it.
//
// An [API] is an http.Handler and safe for concurrent use. It reads the store and
// hands bodies of events to an Ingester; it owns no goroutine but those of its
// requests, one that learns of readers that went away, and timers that bring views up
// to date and drop those that nobody reads.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"remuda/httpapi/answer"
	"remuda/httpapi/ask"
	"remuda/httpapi/headers"
	"remuda/httpapi/memory"
	"remuda/httpapi/post"
	"remuda/httpapi/problem"
	"remuda/httpapi/stream"
	"remuda/store"
)

// A Cluster is this node's part in a cluster.
type Cluster interface {
	// Reasons says why this node should not be asked yet, nil when it may be.
	Reasons() []string
	// Find has the store learn what members know of a request.
	Find(ctx context.Context, requestID string)
	// Figures calls yield with the figures for the exposition, each once, which go out
	// under the names that they have here.
	Figures(yield func(name, help string, value float64))
}

// Options configure an API. Store and Ingester are required; the zero value of a
// limit takes its default.
type Options struct {
	Store          *store.Store
	Ingester       post.Ingester
	UI             http.Handler // serves everything that is not the API; default: nothing
	Version        string
	Cluster        Cluster       // default: this node is alone
	Members        http.Handler  // answers what members ask under /internal/; default: nothing is there
	Logger         *slog.Logger  // default slog.Default()
	AllowedHosts   Hosts         // that requests may name; default: IP addresses and localhost
	WriteTimeout   time.Duration // for one frame of a stream; default 10 s
	Heartbeat      time.Duration // of silence before a comment is sent; default 15 s
	BodyTimeout    time.Duration // for the body of a request; default 15 s
	MaxSubscribers int           // open streams; default 20,000
	MaxViews       int           // different queries that are streamed; default 1,000
	MaxExposed     int           // label sets of calls in the exposition; default 2,500
	CacheBytes     int64         // of rendered bodies; default 32 MiB
	ReadMemory     int64         // bytes that reads and streams may hold; default 256 MiB
	MaxConnections int           // as the listener enforces it, for /limits
}

// API is the HTTP face of a node. See the package documentation.
type API struct {
	options  Options
	store    *store.Store
	ingester post.Ingester
	log      *slog.Logger
	router   *chi.Mux
	direct   map[string]http.HandlerFunc // GETs of paths without parameters, which need no router
	memory   *memory.Pool
	answers  *answer.Answers
	streams  *stream.Streams
	posts    *post.Posts
	metrics  http.Handler
	exposed  *exposed
	draining atomic.Bool
}

// New returns an API. Close frees it.
func New(o Options) (*API, error) {
	if o.Store == nil || o.Ingester == nil {
		return nil, errors.New("httpapi: a store and an ingester are needed")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	defaultTo(&o.WriteTimeout, 10*time.Second)
	defaultTo(&o.Heartbeat, 15*time.Second)
	defaultTo(&o.BodyTimeout, 15*time.Second)
	defaultTo(&o.MaxSubscribers, 20_000)
	defaultTo(&o.MaxViews, 1000)
	defaultTo(&o.MaxExposed, 2500)
	defaultTo(&o.CacheBytes, 32<<20)
	defaultTo(&o.ReadMemory, 256<<20)
	a := &API{options: o, store: o.Store, ingester: o.Ingester, log: o.Logger, memory: memory.New(o.ReadMemory, max(runtime.GOMAXPROCS(0)/2, 1)), exposed: newExposed(o.MaxExposed)}
	var err error
	if a.answers, err = answer.New(answer.Options{Store: o.Store, Memory: a.memory, Cache: o.CacheBytes, Own: a.resources()}); err != nil {
		return nil, err
	}
	if a.streams, err = stream.New(stream.Options{
		Node: o.Store.Node(), Incarnation: o.Store.Incarnation(), Now: o.Store.Now, Memory: a.memory, Logger: o.Logger,
		WriteTimeout: o.WriteTimeout, Heartbeat: o.Heartbeat, MaxSubscribers: o.MaxSubscribers, MaxViews: o.MaxViews,
	}); err != nil {
		a.answers.Close()
		return nil, err
	}
	a.posts = post.New(post.Options{
		Ingester: o.Ingester, Now: o.Store.Now, Logger: o.Logger, Allow: a.options.AllowedHosts.Allow, BodyTimeout: o.BodyTimeout, Fail: a.fail,
	})
	a.metrics = newMetrics(a)
	a.router = a.routes()
	return a, nil
}

func defaultTo[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// FinishPosts waits for the posts that are under way, cuts off those whose bodies
// take too long, and reports whether all had ended when the context did. It comes
// after Shutdown, from which on posts are refused.
func (a *API) FinishPosts(ctx context.Context) bool { return a.posts.Finish(ctx) }

// Shutdown ends every stream with a bye and waits for them, until the context ends.
func (a *API) Shutdown(ctx context.Context) error {
	a.draining.Store(true)
	a.posts.Drain()
	return a.streams.Shutdown(ctx)
}

// Close frees what New made, and ends the connections that were taken over. The API
// must not be used afterwards.
func (a *API) Close() {
	a.posts.Close()
	a.streams.Close()
	a.answers.Close()
}

// Listener returns the listener that a server of the API is to accept from, which
// accepts from l. The server closes it, and Close waits for its goroutines.
//
// A connection of l with a method Spare() bool that returns true is one beyond a bound. It
// is for one answer, and that is 503 but for what machines ask of a node's health: so that
// a node that is full is not taken for dead.
func (a *API) Listener(l net.Listener) net.Listener { return a.posts.Listener(l) }

type spareKey struct{}

// ConnContext lets streams ask the connections of a server what was acknowledged, and says
// which are spare ones (see [API.Listener]): it is for http.Server.ConnContext. Without it
// what counts is what sockets take, and no connection is a spare one.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	if post.IsSpare(conn) {
		ctx = context.WithValue(ctx, spareKey{}, true)
	}
	return stream.ConnContext(ctx, conn)
}

// routes is the table of contents of the API.
func (a *API) routes() *chi.Mux {
	r := chi.NewRouter()
	r.Post("/api/v1/events", a.posts.ServeHTTP)
	a.direct = make(map[string]http.HandlerFunc)
	for _, res := range a.answers.Resources() {
		handler := a.read(res)
		if !res.Named() {
			a.direct["/api/v1"+res.Path] = handler
		}
		r.Get("/api/v1"+res.Path, handler)
		r.Head("/api/v1"+res.Path, handler)
	}
	for path, handler := range map[string]http.HandlerFunc{
		"/healthz": a.healthz, "/readyz": a.readyz, "/metrics": a.metrics.ServeHTTP, "/openapi.json": a.openAPI,
	} {
		r.Get(path, handler)
		r.Head(path, handler)
	}
	if a.options.Members != nil {
		r.Handle("/internal/*", a.options.Members)
	}
	r.NotFound(a.notFound)
	r.MethodNotAllowed(a.methodNotAllowed)
	return r
}

// anyHost are the paths that machines ask, who may know the node by any name or, with
// HTTP/1.0, by none. There is nothing there that a page of another site is after.
var anyHost = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	headers.Guard(w.Header())
	if r.Context().Value(spareKey{}) != nil {
		w.Header().Set("Connection", "close")
		if !anyHost[r.URL.Path] {
			a.fail(w, r, problem.ToRetry("overloaded", "this node has as many connections as it may", time.Second))
			return
		}
	}
	if !a.options.AllowedHosts.Allow(r.Host) && !anyHost[r.URL.Path] {
		a.fail(w, r, problem.New("misdirected", "this node does not serve the host named in the request"))
		return
	}
	if r.Method != http.MethodGet && crossOrigin(r) {
		a.fail(w, r, problem.New("cross_origin", "a page of another origin may not change anything here"))
		return
	}
	if r.Method == http.MethodGet {
		if handler := a.direct[r.URL.Path]; handler != nil { // fast path of the same route
			handler(w, r)
			return
		}
	}
	a.router.ServeHTTP(w, r)
}

var sameOrigin = http.NewCrossOriginProtection()

func crossOrigin(r *http.Request) bool { return sameOrigin.Check(r) != nil }

func (a *API) notFound(w http.ResponseWriter, r *http.Request) {
	if a.options.UI != nil && !strings.HasPrefix(r.URL.Path, "/api/") && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		a.options.UI.ServeHTTP(w, r)
		return
	}
	a.fail(w, r, problem.New("not_found", "there is nothing at this path; /openapi.json lists what there is"))
}

func (a *API) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	p := problem.New("method_not_allowed", "this path does not take "+ask.Clip(r.Method))
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		if a.router.Match(chi.NewRouteContext(), method, r.URL.Path) {
			allowed = append(allowed, method)
		}
	}
	p.Allow = strings.Join(allowed, ", ")
	a.fail(w, r, p)
}

// pathParam is a part of the path. The router matches the escaped path where there
// is one, as there is for a request_id with a slash.
func pathParam(r *http.Request, name string) string {
	part := chi.URLParam(r, name)
	if plain, err := url.PathUnescape(part); r.URL.RawPath != "" && err == nil {
		return plain
	}
	return part
}

// read is the handler of a collection in all its faces.
func (a *API) read(res *answer.Resource) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := a.answers.Ask(res, r.URL.RawQuery)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		p := q.Params
		if res.Named() {
			p.SetPath(&res.Resource, pathParam(r, res.Name()))
		}
		format, err := ask.Negotiate(p, r.Header, &res.Resource)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		if p.RequestID != "" && a.options.Cluster != nil && !a.answers.Decided(p) {
			a.options.Cluster.Find(r.Context(), p.RequestID)
		}
		if format == "sse" || format == "ndjson" && p.Watch {
			err = a.streams.Serve(w, r, stream.Query{
				Key: res.Path + p.Canonical, Text: p.Canonical, Format: format, Interval: p.Interval, MaxFrames: p.MaxFrames,
				Content: func(pause func(), l *memory.Lease) stream.Source { return a.answers.Content(res, p, pause, l) },
			})
		} else {
			err = a.answers.Document(w, r, res, q, format)
		}
		if err != nil {
			a.fail(w, r, err)
		}
	}
}

// fail answers with a problem; clients that asked for a table get one plain line.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problem.Of(err)
	if p.Status >= 500 && p.Code == "internal" {
		a.log.Error("request failed", "path", r.URL.Path, "error", err)
	}
	p.Write(w, r, ask.WantsTable(r))
}
