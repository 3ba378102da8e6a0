package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"remuda/cluster"
	"remuda/cluster/disk"
	"remuda/cluster/wire"
	"remuda/httpapi"
	"remuda/ingest"
	"remuda/ingest/request"
	"remuda/store"
	"remuda/store/ids"
	"remuda/ui"
)

// drainTime is how long a node takes to end at most; contract and service
// managers count on 10 s.
const drainTime = 8 * time.Second

// wallClock is the clock of the machine; tests give processes another.
var wallClock = time.Now

// node is a store with its faces, wired together.
type node struct {
	log      *slog.Logger
	hosts    httpapi.Hosts
	tick     time.Duration
	store    *store.Store
	cluster  *cluster.Cluster // nil for a node alone
	ran      chan struct{}    // closed when the cluster's loop has ended
	dir      *disk.Dir        // nil without --data-dir
	saving   sync.Mutex       // held while dir is written to
	found    disk.Remembered
	api      *httpapi.API
	listener net.Listener
	front    net.Listener // what the server accepts from
	server   *http.Server
	members  net.Listener // for members alone; nil without --peer-http
	forThem  *http.Server // on members
	admin    net.Listener // nil without --admin
}

func (f *nodeFlags) validate() error {
	if f.Node == "" {
		f.Node = hostName()
	}
	for flag, id := range map[string]string{"--node": f.Node, "--region": f.Region} {
		if !ids.Valid(id) {
			return usagef("%s %q: letters, digits and ._:@#=+~- only, at most 128, and not __ at the front", flag, id)
		}
	}
	if f.Tick < 10*time.Millisecond || f.Tick > 5*time.Second {
		return usagef("--tick %v: must be from 10ms to 5s", f.Tick)
	}
	if err := f.validateLimits(); err != nil {
		return err
	}
	for flag, value := range map[string]string{"--secret-file": f.SecretFile, "--advertise": f.Advertise, "--peer-http": f.PeerHTTP} {
		if value != "" && !f.clustered() {
			return usagef("%s is for a cluster: add --join, or --cluster to begin one", flag)
		}
	}
	if f.PeerHTTP == "" {
		return nil
	}
	local, err := isLoopback(f.PeerHTTP)
	switch {
	case err != nil:
		return usagef("--peer-http %s: want host:port, such as 10.0.1.5:7402", f.PeerHTTP)
	case !local && f.SecretFile == "":
		return usagef("--peer-http %s can be reached from other machines: it needs --secret-file", f.PeerHTTP)
	}
	return nil
}

// validateLimits refuses limits with which a node would answer nothing. 0 is the
// default of those that have one further in.
func (f *nodeFlags) validateLimits() error {
	for _, limit := range []struct {
		flag         string
		value, least int64
		zero         bool // may be
	}{
		{"--max-series", int64(f.MaxSeries), 1, true},
		{"--max-series-per-profile", int64(f.MaxSeriesPerProfile), 1, true},
		{"--max-latest-values", int64(f.MaxLatestValues), 1, true},
		{"--dedup-bytes", int64(f.DedupBytes), 1 << 20, true}, // some ten thousand identities
		{"--max-body", int64(f.MaxBody), 1 << 10, true},
		{"--max-inflated", int64(f.MaxInflated), 1 << 10, true},
		{"--max-line", int64(f.MaxLine), 256, true},
		{"--max-in-flight", int64(f.MaxInFlight), 1 << 20, true},
		{"--read-memory", int64(f.ReadMemory), 1 << 20, true},
		{"--max-subscribers", int64(f.MaxSubscribers), 1, true},
		{"--max-views", int64(f.MaxViews), 1, true},
		{"--max-exposed", int64(f.MaxExposed), 1, true},
		{"--max-connections", int64(f.MaxConnections), 1, false},
	} {
		if limit.value < limit.least && !(limit.zero && limit.value == 0) {
			return usagef("%s %d: must be %d or more", limit.flag, limit.value, limit.least)
		}
	}
	if f.WriteTimeout < 100*time.Millisecond {
		return usagef("--write-timeout %v: must be 100ms or more", f.WriteTimeout)
	}
	return nil
}

func (f *nodeFlags) clustered() bool { return f.Cluster != "" || len(f.Join) > 0 }

// newNode makes a node that listens but does not serve yet.
func newNode(ctx context.Context, f *nodeFlags, address, admin string, log *slog.Logger) (_ *node, err error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	cacheBytes, totalBytes := f.fitMemory(debug.SetMemoryLimit(-1)) // which only asks
	hosts, err := httpapi.ParseHosts(f.AllowedHosts)
	if err != nil {
		return nil, usagef("--allowed-hosts %w", err)
	}
	n := &node{log: log, hosts: hosts, tick: f.Tick, ran: make(chan struct{})}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--http: %w", err)
	}
	connections, ofMembers := connectionsWithin(descriptorLimit(), f.MaxConnections), 0
	if f.PeerHTTP != "" {
		connections, ofMembers = connectionsWithMembers(descriptorLimit(), f.MaxConnections)
	}
	if connections < f.MaxConnections {
		log.Warn("descriptors do not suffice for --max-connections; see ulimit -n, or LimitNOFILE",
			"max_connections", f.MaxConnections, "descriptors", descriptorLimit(), "connections", connections)
	}
	n.listener = limit(listener.(*net.TCPListener), connections, spareConnections) // it was asked for TCP
	if f.PeerHTTP != "" {
		members, err := net.Listen("tcp", f.PeerHTTP)
		if err != nil {
			return nil, fmt.Errorf("--peer-http: %w", err)
		}
		n.members = limit(members.(*net.TCPListener), ofMembers, 0)
	}
	if admin != "" {
		if n.admin, err = net.Listen("tcp", admin); err != nil {
			return nil, fmt.Errorf("--admin: %w", err)
		}
	}
	if err := n.makeStore(ctx, f, totalBytes); err != nil {
		return nil, err
	}
	in, err := ingest.New(ingest.Options{
		Store: n.store, MaxBody: int64(f.MaxBody), MaxInflated: int64(f.MaxInflated), MaxLine: int(f.MaxLine),
		MaxInFlight: int64(f.MaxInFlight),
	})
	if err != nil {
		return nil, usageError{err} // of its options
	}
	dashboard := ui.Handler()
	if f.UIDir != "" {
		dashboard = ui.DirHandler(f.UIDir)
	}
	options := httpapi.Options{
		Store: n.store, Ingester: request.Ingester{Ingester: in}, UI: dashboard, Version: buildVersion(), Logger: log, AllowedHosts: hosts,
		WriteTimeout: f.WriteTimeout, MaxSubscribers: f.MaxSubscribers, MaxViews: f.MaxViews, ReadMemory: int64(f.ReadMemory),
		MaxConnections: connections,
		MaxExposed:     f.MaxExposed, CacheBytes: cacheBytes,
	}
	if n.cluster != nil {
		options.Cluster = n.cluster
		if n.members == nil {
			options.Members = n.cluster.Handler()
		} else {
			n.forThem = newServer(n.cluster.Handler(), log)
		}
	}
	if n.api, err = httpapi.New(options); err != nil {
		return nil, err
	}
	n.front = n.api.Listener(n.listener)
	n.server = newServer(n.api, log)
	n.server.ConnContext = httpapi.ConnContext
	return n, nil
}

func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 60 * time.Second, WriteTimeout: 30 * time.Second,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// makeStore makes the store of this run. Its number comes first: from the disk,
// the members, or the clock.
func (n *node) makeStore(ctx context.Context, f *nodeFlags, totalBytes int64) (err error) {
	least := uint64(0)
	begin := func(uint64) error { return nil }
	if f.DataDir != "" {
		if n.dir, err = disk.Open(f.DataDir, n.log); err != nil {
			return fmt.Errorf("--data-dir: %w", err)
		}
		least, begin = n.dir.NextIncarnation(), func(incarnation uint64) error {
			if err := n.dir.Begin(incarnation); err != nil {
				return fmt.Errorf("--data-dir: %w", err)
			}
			return nil
		}
	}
	incarnation := max(least, uint64(wallClock().UnixMilli()))
	if f.clustered() {
		asked := n.listener
		if n.members != nil {
			asked = n.members
		}
		n.cluster, err = cluster.Join(ctx, cluster.Options{
			Node: f.Node, Region: f.Region, Cluster: f.Cluster, Gossip: f.Gossip, Join: f.Join, Advertise: f.Advertise,
			HTTPAddr: asked.Addr().String(), SecretFile: f.SecretFile, Packet: f.GossipPacket, Tick: f.Tick,
			Incarnation: incarnation, Begin: begin, Logger: n.log,
		})
		if err != nil {
			return err
		}
		incarnation = n.cluster.Incarnation()
	} else if err := begin(incarnation); err != nil {
		return err
	}
	n.store, err = store.New(store.Options{
		Node: f.Node, Region: f.Region, Incarnation: incarnation, MaxSeries: f.MaxSeries,
		MaxSeriesPerProfile: f.MaxSeriesPerProfile, MaxLatestValues: f.MaxLatestValues, DedupBytes: int64(f.DedupBytes), TotalBytes: totalBytes,
		ChainAliases: f.ChainAlias, Now: wallClock,
	})
	if err != nil {
		return usageError{err} // of its options
	}
	if n.dir != nil {
		if n.found, err = n.dir.Restore(n.store); err != nil {
			return fmt.Errorf("--data-dir: %w", err)
		}
	}
	return nil
}

// close frees what newNode made, as far as it came.
func (n *node) close() {
	if n.api != nil {
		n.api.Close()
	}
	if n.cluster != nil {
		if err := n.cluster.Close(); err != nil {
			n.log.Warn("the cluster did not end well", "error", err)
		}
	}
	for _, l := range []net.Listener{n.listener, n.members, n.admin} {
		if l != nil {
			_ = l.Close()
		}
	}
	if n.dir != nil {
		if err := n.dir.Close(); err != nil {
			n.log.Warn("the data directory did not close", "error", err)
		}
	}
}

// url is where the node is reached.
func (n *node) url() string { return "http://" + n.listener.Addr().String() }

// errKilled, as the cause of the end of a run's context, ends it as kill -9 would:
// nobody is told.
var errKilled = errors.New("killed")

// run serves until the context ends, and then drains.
func (n *node) run(ctx context.Context) error {
	defer n.close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ignoreClosed(n.server.Serve(n.front)) })
	group.Go(func() error {
		defer close(n.ran)
		if n.cluster != nil {
			return n.cluster.Run(ctx, n.store, n.found)
		}
		return n.ticks(ctx)
	})
	if n.members != nil {
		group.Go(func() error { return ignoreClosed(n.forThem.Serve(n.members)) })
	}
	if n.dir != nil {
		group.Go(func() error { return n.checkpoints(ctx) })
	}
	group.Go(func() error {
		<-ctx.Done()
		if errors.Is(context.Cause(ctx), errKilled) {
			return n.closeServers()
		}
		return n.drain(context.Cause(ctx))
	})
	if n.admin != nil {
		profiler := &http.Server{Handler: profilerHandler(n.hosts), ReadHeaderTimeout: 5 * time.Second}
		group.Go(func() error { return ignoreClosed(profiler.Serve(n.admin)) })
		group.Go(func() error {
			<-ctx.Done()
			return profiler.Close()
		})
	}
	n.log.Info("serving", "url", n.url(), "node", n.store.Node(), "region", n.store.Region(), "version", buildVersion())
	return group.Wait()
}

// ticks packs what changed, until the context ends.
func (n *node) ticks(ctx context.Context) error {
	ticker := time.NewTicker(n.tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if step := n.store.Tick(); step != nil {
				n.log.Warn("the wall clock stepped", "by", step.By)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// checkpoints writes one every minute. That one cannot be written is no reason to
// stop counting.
func (n *node) checkpoints(ctx context.Context) error {
	ticker := time.NewTicker(disk.CheckpointEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := n.checkpoint(); err != nil {
				n.log.Warn(err.Error())
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// checkpoint writes one. The store tells readers what became of it.
func (n *node) checkpoint() error {
	n.saving.Lock()
	defer n.saving.Unlock()
	var known func(store.OriginID) (wire.Status, bool)
	if n.cluster != nil {
		known = n.cluster.Status
	}
	err := n.dir.Save(n.store, known)
	reason := ""
	if err != nil {
		reason = err.Error()
		if on := (*fs.PathError)(nil); errors.As(err, &on) {
			reason = on.Err.Error() // where the directory is, is nobody's business
		}
		err = fmt.Errorf("the checkpoint could not be written; the one before stays: %w", err)
	}
	n.store.CheckpointMade(reason)
	return err
}

// drain ends streams with a bye, lets the last be counted and hands it to the
// members, lets requests under way end, and closes what is left when its time is up. Its
// error is that of the last checkpoint: without that the windows are not kept.
func (n *node) drain(cause error) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := n.api.Shutdown(ctx); err != nil {
		n.log.Warn("streams did not end in time", "error", err)
	}
	if !n.api.FinishPosts(ctx) {
		n.log.Warn("some events may be acknowledged that no member gets")
	}
	<-n.ran
	if n.cluster == nil {
		n.store.Tick() // for the checkpoint
	}
	if n.cluster != nil && !errors.Is(cause, cluster.ErrEvicted) {
		// Members fetch the last from here, so the server still serves.
		if err := n.cluster.Leave(ctx); err != nil {
			n.log.Warn("the members could not be told", "error", err)
		}
	}
	err := n.server.Shutdown(ctx)
	if n.forThem != nil {
		err = errors.Join(err, n.forThem.Shutdown(ctx))
	}
	if err != nil {
		n.log.Warn("requests did not end in time", "error", err)
		_ = n.closeServers()
	}
	err = nil
	if n.dir != nil {
		err = n.checkpoint()
	}
	n.log.Info("drained", "took", time.Since(began).Round(time.Millisecond))
	return err
}

func (n *node) closeServers() error {
	err := n.server.Close()
	if n.forThem != nil {
		err = errors.Join(err, n.forThem.Close())
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

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
			http.Error(w, "this node does not serve the host named in the request; see --allowed-hosts", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
