// Package node is what `remuda serve` runs: a store and what fills it, its HTTP face, its
// part in a cluster, and its checkpoints, wired together.
package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
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
	"remuda/ui"
)

// drainTime is how long a node takes to end at most; contract and service
// managers count on 10 s.
const drainTime = 8 * time.Second

// A Node is a process of remuda, or one of several in a process. Make it with [New], and
// [Node.Run] it once.
type Node struct {
	options  Options
	log      *slog.Logger
	hosts    httpapi.Hosts
	store    *store.Store
	cluster  *cluster.Cluster // nil for a node alone
	ran      chan struct{}    // closed when the cluster's loop has ended
	dir      *disk.Dir        // nil without a directory
	saving   sync.Mutex       // held while dir is written to
	found    disk.Remembered
	api      *httpapi.API
	listener net.Listener
	front    net.Listener // what the server accepts from
	server   *http.Server
	members  net.Listener // for members alone; nil without an address of their own
	forThem  *http.Server // on members
	admin    net.Listener // nil without a profiler
}

// New makes a node that listens but does not serve yet; a member of a cluster has joined
// it. An [*OptionError] says which option cannot be. The context is
// for the joining alone.
func New(ctx context.Context, o Options) (_ *Node, err error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	cacheBytes, totalBytes := o.fitMemory(debug.SetMemoryLimit(-1)) // which only asks
	hosts, err := httpapi.ParseHosts(o.AllowedHosts)
	if err != nil {
		return nil, &OptionError{Option: "allowed-hosts", Err: err}
	}
	n := &Node{options: o, log: o.Logger, hosts: hosts, ran: make(chan struct{})}
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	connections, err := n.listen(ctx)
	if err != nil {
		return nil, err
	}
	if err := n.makeStore(ctx, totalBytes); err != nil {
		return nil, err
	}
	in, err := ingest.New(ingest.Options{
		Store: n.store, MaxBody: o.MaxBody, MaxInflated: o.MaxInflated, MaxLine: o.MaxLine, MaxInFlight: o.MaxInFlight,
	})
	if err != nil {
		return nil, &OptionError{Err: err}
	}
	dashboard := ui.Handler()
	if o.UIDir != "" {
		dashboard = ui.DirHandler(o.UIDir)
	}
	options := httpapi.Options{
		Store: n.store, Ingester: request.Ingester{Ingester: in}, UI: dashboard, Version: o.Version, Logger: n.log, AllowedHosts: hosts,
		WriteTimeout: o.WriteTimeout, MaxSubscribers: o.MaxSubscribers, MaxViews: o.MaxViews, ReadMemory: o.ReadMemory,
		MaxConnections: connections, MaxExposed: o.MaxExposed, CacheBytes: cacheBytes,
	}
	if n.cluster != nil {
		options.Cluster = n.cluster
		if n.members == nil {
			options.Members = n.cluster.Handler()
		} else {
			n.forThem = newServer(n.cluster.Handler(), n.log)
		}
	}
	if n.api, err = httpapi.New(options); err != nil {
		return nil, err
	}
	n.front = n.api.Listener(n.listener)
	n.server = newServer(n.api, n.log)
	n.server.ConnContext = httpapi.ConnContext
	return n, nil
}

// listen opens the listeners, and returns how many connections clients may have.
func (n *Node) listen(ctx context.Context) (connections int, err error) {
	o := &n.options
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.HTTP)
	if err != nil {
		return 0, failed("http", err)
	}
	connections, ofMembers := connectionsWithin(descriptorLimit(), o.MaxConnections), 0
	if o.PeerHTTP != "" {
		connections, ofMembers = connectionsWithMembers(descriptorLimit(), o.MaxConnections)
	}
	if connections < o.MaxConnections {
		n.log.Warn("descriptors do not suffice for all connections that there may be; see ulimit -n, or LimitNOFILE",
			"max_connections", o.MaxConnections, "descriptors", descriptorLimit(), "connections", connections)
	}
	n.listener = limit(listener.(*net.TCPListener), connections, spareConnections) // it was asked for TCP
	if o.PeerHTTP != "" {
		members, err := new(net.ListenConfig).Listen(ctx, "tcp", o.PeerHTTP)
		if err != nil {
			return 0, failed("peer-http", err)
		}
		n.members = limit(members.(*net.TCPListener), ofMembers, 0)
	}
	if o.Admin != "" {
		if n.admin, err = new(net.ListenConfig).Listen(ctx, "tcp", o.Admin); err != nil {
			return 0, failed("admin", err)
		}
	}
	return connections, nil
}

func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 60 * time.Second, WriteTimeout: 30 * time.Second,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// makeStore makes the store of this run. Its number comes first: from the disk,
// the members, or the clock.
func (n *Node) makeStore(ctx context.Context, totalBytes int64) (err error) {
	o := &n.options
	least := uint64(0)
	begin := func(uint64) error { return nil }
	if o.DataDir != "" {
		if n.dir, err = disk.Open(o.DataDir, n.log); err != nil {
			return failed("data-dir", err)
		}
		least, begin = n.dir.NextIncarnation(), func(incarnation uint64) error {
			if err := n.dir.Begin(incarnation); err != nil {
				return failed("data-dir", err)
			}
			return nil
		}
	}
	incarnation := max(least, uint64(o.Now().UnixMilli()))
	if o.clustered() {
		asked := n.listener
		if n.members != nil {
			asked = n.members
		}
		n.cluster, err = cluster.Join(ctx, cluster.Options{
			Node: o.Node, Region: o.Region, Cluster: o.Cluster, Gossip: o.Gossip, Join: o.Join, Advertise: o.Advertise,
			HTTPAddr: asked.Addr().String(), SecretFile: o.SecretFile, Packet: o.GossipPacket, Tick: o.Tick,
			Incarnation: incarnation, Begin: begin, Logger: n.log,
		})
		if wrong := (cluster.OptionError{}); errors.As(err, &wrong) {
			return &OptionError{Option: wrong.Option, Err: wrong.Err}
		}
		if err != nil {
			return err
		}
		incarnation = n.cluster.Incarnation()
	} else if err := begin(incarnation); err != nil {
		return err
	}
	n.store, err = store.New(store.Options{
		Node: o.Node, Region: o.Region, Incarnation: incarnation, MaxSeries: o.MaxSeries,
		MaxSeriesPerProfile: o.MaxSeriesPerProfile, MaxLatestValues: o.MaxLatestValues, DedupBytes: o.DedupBytes, TotalBytes: totalBytes,
		ChainAliases: o.ChainAliases, Now: o.Now,
	})
	if err != nil {
		return &OptionError{Err: err}
	}
	if n.dir != nil {
		if n.found, err = n.dir.Restore(n.store); err != nil {
			return failed("data-dir", err)
		}
	}
	return nil
}

// Close frees what New made, as far as it came. It is for a node that does not run; Run
// ends with it.
func (n *Node) Close() {
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

// URL is where the node is reached.
func (n *Node) URL() string { return "http://" + n.Address() }

// Address is where the node listens, as host:port.
func (n *Node) Address() string { return n.listener.Addr().String() }

// Gossip is where members of a cluster reach it, as host:port; "" without a cluster.
func (n *Node) Gossip() string {
	if n.cluster == nil {
		return ""
	}
	return n.cluster.Address()
}

// Store is what it counts in.
func (n *Node) Store() *store.Store { return n.store }

// ErrKilled is a cause of the end of a run's context that ends it as kill -9 would: nobody
// is told.
var ErrKilled = errors.New("killed")

// Run serves until the context ends, and then drains, for 8 s at most.
func (n *Node) Run(ctx context.Context) error {
	defer n.Close()
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
		if errors.Is(context.Cause(ctx), ErrKilled) {
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
	n.log.Info("serving", "url", n.URL(), "node", n.store.Node(), "region", n.store.Region(), "version", n.options.Version)
	return group.Wait()
}

// ticks packs what changed, until the context ends.
func (n *Node) ticks(ctx context.Context) error {
	ticker := time.NewTicker(n.options.Tick)
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
func (n *Node) checkpoints(ctx context.Context) error {
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
func (n *Node) checkpoint() error {
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
func (n *Node) drain(cause error) error {
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

func (n *Node) closeServers() error {
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
