package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"regexp"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"remuda/httpapi"
	"remuda/ingest"
	"remuda/store"
	"remuda/ui"
)

// drainTime is how long a node takes to end at most; contract and service
// managers count on 10 s.
const drainTime = 8 * time.Second

// node is a store with its faces, wired together.
type node struct {
	log      *slog.Logger
	tick     time.Duration
	store    *store.Store
	api      *httpapi.API
	listener net.Listener
	server   *http.Server
	admin    net.Listener // nil without --admin
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9._:@#=+~-]{1,128}$`)

// newNode makes a node that listens but does not serve yet.
func newNode(f *nodeFlags, address, admin string, log *slog.Logger) (*node, error) {
	if f.Node == "" {
		f.Node = hostName()
	}
	for flag, id := range map[string]string{"--node": f.Node, "--region": f.Region} {
		if !idForm.MatchString(id) {
			return nil, fmt.Errorf("%s %q: letters, digits and ._:@#=+~- only, at most 128", flag, id)
		}
	}
	if f.Tick < 10*time.Millisecond || f.Tick > 5*time.Second {
		return nil, fmt.Errorf("--tick %v: must be from 10ms to 5s", f.Tick)
	}
	st, err := store.New(store.Options{
		Node: f.Node, Region: f.Region, MaxSeries: f.MaxSeries, MaxSeriesPerProfile: f.MaxSeriesPerProfile,
		MaxLatestValues: f.MaxLatestValues, DedupBytes: f.DedupBytes,
	})
	if err != nil {
		return nil, err
	}
	in, err := ingest.New(ingest.Options{
		Store: st, MaxBody: f.MaxBody, MaxInflated: f.MaxInflated, MaxLine: f.MaxLine, MaxInFlight: f.MaxInFlight,
		ChainAliases: f.ChainAlias,
	})
	if err != nil {
		return nil, err
	}
	dashboard := ui.Handler()
	if f.UIDir != "" {
		dashboard = ui.DirHandler(f.UIDir)
	}
	api, err := httpapi.New(httpapi.Options{
		Store: st, Ingester: in, UI: dashboard, Version: buildVersion(), Logger: log, AllowedHosts: f.AllowedHosts,
		WriteTimeout: f.WriteTimeout, MaxSubscribers: f.MaxSubscribers, MaxViews: f.MaxViews, MaxConnections: f.MaxConnections,
	})
	if err != nil {
		return nil, err
	}
	n := &node{log: log, tick: f.Tick, store: st, api: api}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		api.Close()
		return nil, fmt.Errorf("--http: %w", err)
	}
	n.listener = netutil.LimitListener(listener, f.MaxConnections)
	if admin != "" {
		if n.admin, err = net.Listen("tcp", admin); err != nil {
			_ = listener.Close()
			api.Close()
			return nil, fmt.Errorf("--admin: %w", err)
		}
	}
	n.server = &http.Server{
		Handler: api, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 60 * time.Second, WriteTimeout: 30 * time.Second,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return n, nil
}

// url is where the node is reached.
func (n *node) url() string { return "http://" + n.listener.Addr().String() }

// run serves until the context ends, and then drains.
func (n *node) run(ctx context.Context) error {
	defer n.api.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ignoreClosed(n.server.Serve(n.listener)) })
	group.Go(func() error { return n.ticks(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		return n.drain()
	})
	if n.admin != nil {
		profiler := &http.Server{Handler: profilerHandler(), ReadHeaderTimeout: 5 * time.Second}
		group.Go(func() error { return ignoreClosed(profiler.Serve(n.admin)) })
		group.Go(func() error {
			<-ctx.Done()
			return profiler.Close()
		})
	}
	n.log.Info("serving", "url", n.url(), "node", n.store.Node(), "region", n.store.Region(), "version", buildVersion())
	return group.Wait()
}

// ticks packs what changed, until the context ends and once more after it.
func (n *node) ticks(ctx context.Context) error {
	ticker := time.NewTicker(n.tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			n.store.Tick()
		case <-ctx.Done():
			n.store.Tick()
			return nil
		}
	}
}

// drain ends streams with a bye, lets requests under way end, and closes what is
// left when its time is up.
func (n *node) drain() error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := n.api.Shutdown(ctx); err != nil {
		n.log.Warn("streams did not end in time", "error", err)
	}
	if err := n.server.Shutdown(ctx); err != nil {
		n.log.Warn("requests did not end in time", "error", err)
		_ = n.server.Close()
	}
	n.log.Info("drained", "took", time.Since(began).Round(time.Millisecond))
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func profilerHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
