package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"remuda/cmd/remuda/internal/node"
)

// serveCommand runs a node until it is told to stop.
type serveCommand struct {
	Node                string            `help:"Name of this node (default: the host name)."`
	Region              string            `default:"local" help:"Region of this node, and of events that name none."`
	Cluster             string            `help:"Name of the cluster; with it, or with --join, this node is part of one (default: remuda)."`
	Join                []string          `placeholder:"HOST:PORT" help:"Gossip addresses of members to join."`
	Gossip              string            `default:"127.0.0.1:7401" help:"Address to gossip on, UDP and TCP."`
	Advertise           string            `placeholder:"HOST" help:"Where members reach this node, if not at the address of --gossip."`
	PeerHTTP            string            `name:"peer-http" placeholder:"ADDR" help:"Address at which members alone ask this node over HTTP (default: that of --http)."`
	SecretFile          string            `placeholder:"FILE" help:"Secret of the cluster; needed beyond this machine. Several lines: the first is used, all are accepted."`
	GossipPacket        int               `default:"1400" help:"Largest UDP packet in bytes, as far as the network carries it."`
	DataDir             string            `placeholder:"DIR" help:"Where to keep checkpoints, so that windows survive a stop."`
	Tick                time.Duration     `default:"500ms" help:"How often changes are packed and told to members; 25ms for each member if that is more."`
	MaxSeries           int               `help:"Series held; beyond it new ones lose their method (default: 100000, or one for each 16 KiB of the memory limit)."`
	MaxSeriesPerProfile int               `help:"The same for each profile (default: --max-series)."`
	MaxLatestValues     int               `default:"100000" help:"Circuits, heights and health reports held."`
	DedupBytes          size              `help:"Memory that identities of events may take, in bytes or as 64MiB (default: 64MiB, or a sixth of the memory limit)."`
	MaxBody             size              `default:"8MiB" help:"Size of a body as sent."`
	MaxInflated         size              `default:"64MiB" help:"Size of a body once decompressed."`
	MaxLine             size              `default:"64KiB" help:"Size of one event."`
	MaxInFlight         size              `help:"Memory that bodies of events may hold (default: a sixth of the memory limit, at most 256MiB)."`
	MaxSubscribers      int               `default:"20000" help:"Open streams."`
	MaxViews            int               `default:"1000" help:"Different queries that are streamed."`
	ReadMemory          size              `help:"Memory that reads and streams may hold (default: a quarter of the memory limit; 256MiB without one)."`
	MaxConnections      int               `default:"30000" help:"Open connections."`
	MaxExposed          int               `default:"2500" help:"Label sets of calls in /metrics; the rest is added up as __other__."`
	WriteTimeout        time.Duration     `default:"10s" help:"How long a reader of a stream may take to take and acknowledge a frame."`
	AllowedHosts        []string          `placeholder:"HOST" help:"Host names that requests may name, besides IP addresses and localhost; *.example.com for all below one, .example.com for it too."`
	UIDir               string            `name:"ui-dir" type:"existingdir" help:"Serve the dashboard from this directory, to work on it."`
	ChainAlias          map[string]string `mapsep:"," help:"Names of chains by EIP-155 number, besides the forty that are known: 1135=lisk,…"`
	HTTP                string            `name:"http" default:"127.0.0.1:7400" help:"Address to serve on; port 0 takes a free one."`
	Admin               string            `help:"Address of the profiler (/debug/pprof); off by default."`
	Insecure            bool              `help:"Serve beyond this machine although anybody who reaches it may read and write."`
	LogFormat           string            `enum:"text,json" default:"text" help:"Form of the log on standard error: ${enum}."`
	LogLevel            string            `enum:"debug,info,warn,error" default:"info" help:"Least level that is logged: ${enum}."`
}

// Help is the long help of the command.
func (serveCommand) Help() string {
	return `Example: remuda serve --node iad-1 --region us-east-1
         remuda serve --node lhr-1 --region eu-west-1 --http 127.0.0.1:7410 \
           --gossip 127.0.0.1:7411 --join 127.0.0.1:7401

SIGTERM and SIGINT end the node: streams are told, requests under way are
answered, members get the last that was counted, and it exits with status 0 within
10 s. A second signal ends it at once. Status 3: another node has the same name.`
}

// Run runs a node.
func (c *serveCommand) Run(ctx context.Context, unknown strays) error {
	if err := c.checkAddresses(); err != nil {
		return err
	}
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return err
	}
	outliveReaders()
	log, lines := newLog(os.Stderr, c.LogFormat, level)
	defer lines.Close()
	for _, name := range unknown {
		log.Warn("a variable of the environment that is no flag's; see remuda serve --help", "name", name)
	}
	limitMemory(log)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200) // small heaps would be collected several times a second
	}
	options, err := c.options(log)
	if err != nil {
		return err
	}
	n, err := newNode(ctx, options)
	if err != nil {
		return err
	}
	fmt.Printf("remuda %s: node %s (%s) on %s\n", buildVersion(), n.Store().Node(), n.Store().Region(), n.URL())
	return n.Run(ctx)
}

// options are those of the node that the flags describe.
func (c *serveCommand) options(log *slog.Logger) (node.Options, error) {
	switch { // 0 is a default of a node's, and here was asked for
	case c.Tick == 0:
		return node.Options{}, usagef("--tick 0s: must be from 10ms to 5s")
	case c.WriteTimeout == 0:
		return node.Options{}, usagef("--write-timeout 0s: must be 100ms or more")
	case c.MaxConnections == 0:
		return node.Options{}, usagef("--max-connections 0: must be 1 or more")
	}
	return node.Options{
		Node: c.Node, Region: c.Region, HTTP: c.HTTP, Admin: c.Admin, Cluster: c.Cluster, Join: c.Join, Gossip: c.Gossip,
		Advertise: c.Advertise, PeerHTTP: c.PeerHTTP, SecretFile: c.SecretFile, GossipPacket: c.GossipPacket, DataDir: c.DataDir,
		Tick: c.Tick, MaxSeries: c.MaxSeries, MaxSeriesPerProfile: c.MaxSeriesPerProfile, MaxLatestValues: c.MaxLatestValues,
		DedupBytes: int64(c.DedupBytes), MaxBody: int64(c.MaxBody), MaxInflated: int64(c.MaxInflated), MaxLine: int(c.MaxLine),
		MaxInFlight: int64(c.MaxInFlight), MaxSubscribers: c.MaxSubscribers, MaxViews: c.MaxViews, MaxExposed: c.MaxExposed,
		ReadMemory: int64(c.ReadMemory), WriteTimeout: c.WriteTimeout, MaxConnections: c.MaxConnections, AllowedHosts: c.AllowedHosts,
		UIDir: c.UIDir, ChainAliases: c.ChainAlias, Version: buildVersion(), Logger: log, Now: wallClock,
	}, nil
}

// wallClock is the clock of the machine; tests give processes another.
var wallClock = time.Now

// newNode makes a node. What is wrong with an option is told of the flag for it.
func newNode(ctx context.Context, o node.Options) (*node.Node, error) {
	n, err := node.New(ctx, o)
	wrong := new(node.OptionError)
	switch {
	case !errors.As(err, &wrong):
		return n, err
	case wrong.Failed:
		return nil, fmt.Errorf("--%w", wrong)
	case wrong.Option == "":
		return nil, usageError{wrong}
	}
	return nil, usagef("--%w", wrong)
}

// checkAddresses keeps a node without any authentication on this machine unless
// it is told otherwise.
func (c *serveCommand) checkAddresses() error {
	for flag, address := range map[string]string{"--http": c.HTTP, "--admin": c.Admin} {
		if address == "" {
			continue
		}
		local, err := node.IsLoopback(address)
		if err != nil {
			return usagef("%s %s: want host:port, such as 127.0.0.1:7400", flag, address)
		}
		if !local && !c.Insecure {
			return usagef("%s %s can be reached from other machines, and there is no authentication yet: "+
				"serve on 127.0.0.1 behind a proxy that authenticates, or add --insecure", flag, address)
		}
	}
	return nil
}
