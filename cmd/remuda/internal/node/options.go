package node

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"remuda/store/ids"
)

// Options configure a node. The zero value of each takes its default.
type Options struct {
	Node   string // its name; default the host's
	Region string // of the node, and of events that name none; default local
	HTTP   string // address to serve on; default 127.0.0.1:0, a free port of this machine
	Admin  string // address of the profiler; default none

	Cluster      string   // with it, or with Join, the node is part of a cluster
	Join         []string // gossip addresses of members
	Gossip       string   // address to gossip on; default 127.0.0.1:0
	Advertise    string   // the host at which members reach the node; default that of Gossip
	PeerHTTP     string   // address at which members alone ask the node; default HTTP
	SecretFile   string   // needed beyond this machine
	GossipPacket int      // largest packet in bytes; default 1400

	DataDir string        // where checkpoints are kept; default nowhere
	Tick    time.Duration // how often changes are packed and told to members; default 500 ms

	// Bounds. Those of memory go by the memory limit, see fit.go.
	MaxSeries           int // default 100,000, or less
	MaxSeriesPerProfile int // default MaxSeries
	MaxLatestValues     int // default 100,000
	DedupBytes          int64
	MaxBody             int64 // see [ingest.Options]
	MaxInflated         int64
	MaxLine             int
	MaxInFlight         int64
	MaxSubscribers      int // see [httpapi.Options]
	MaxViews            int
	MaxExposed          int
	ReadMemory          int64
	WriteTimeout        time.Duration
	MaxConnections      int // default 30,000, or fewer, as descriptors suffice for

	AllowedHosts []string          // names that requests may name, see [httpapi.ParseHosts]
	UIDir        string            // where the dashboard is served from; default the program
	ChainAliases map[string]string // names of chains by EIP-155 number
	Version      string            // of the program
	Logger       *slog.Logger      // default slog.Default()
	Now          func() time.Time  // the wall clock; default time.Now
}

// An OptionError says which option cannot be, or what of it failed, and why.
type OptionError struct {
	Option string // as a flag of the program is spelled; "" when the error says it
	Err    error
	Failed bool // it may be, and cannot be done now
}

func (e *OptionError) Error() string {
	switch {
	case e.Option == "":
		return e.Err.Error()
	case e.Failed:
		return e.Option + ": " + e.Err.Error()
	}
	return e.Option + " " + e.Err.Error()
}

func (e *OptionError) Unwrap() error { return e.Err }

func failed(option string, err error) error {
	return &OptionError{Option: option, Err: err, Failed: true}
}

func optionErrorf(option, format string, args ...any) error {
	return &OptionError{Option: option, Err: fmt.Errorf(format, args...)}
}

// complete fills in defaults and refuses what cannot be.
func (o *Options) complete() error {
	defaultTo(&o.Node, hostName())
	defaultTo(&o.Region, "local")
	defaultTo(&o.HTTP, "127.0.0.1:0")
	defaultTo(&o.Gossip, "127.0.0.1:0")
	defaultTo(&o.Tick, 500*time.Millisecond)
	defaultTo(&o.MaxConnections, 30_000)
	defaultTo(&o.WriteTimeout, 10*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for option, id := range map[string]string{"node": o.Node, "region": o.Region} {
		if !ids.Valid(id) {
			return optionErrorf(option, "%q: letters, digits and ._:@#=+~- only, at most 128, and not __ at the front", id)
		}
	}
	if o.Tick < 10*time.Millisecond || o.Tick > 5*time.Second {
		return optionErrorf("tick", "%v: must be from 10ms to 5s", o.Tick)
	}
	if err := o.validateLimits(); err != nil {
		return err
	}
	for option, value := range map[string]string{"secret-file": o.SecretFile, "advertise": o.Advertise, "peer-http": o.PeerHTTP} {
		if value != "" && !o.clustered() {
			return optionErrorf(option, "is for a cluster: that needs members to join, or a name to begin one")
		}
	}
	if o.PeerHTTP == "" {
		return nil
	}
	local, err := IsLoopback(o.PeerHTTP)
	switch {
	case err != nil:
		return optionErrorf("peer-http", "%s: want host:port, such as 10.0.1.5:7402", o.PeerHTTP)
	case !local && o.SecretFile == "":
		return optionErrorf("peer-http", "%s can be reached from other machines: it needs a secret", o.PeerHTTP)
	}
	return nil
}

// validateLimits refuses limits with which a node would answer nothing. 0 is the
// default of those that have one further in.
func (o *Options) validateLimits() error {
	for _, limit := range []struct {
		option       string
		value, least int64
	}{
		{"max-series", int64(o.MaxSeries), 1},
		{"max-series-per-profile", int64(o.MaxSeriesPerProfile), 1},
		{"max-latest-values", int64(o.MaxLatestValues), 1},
		{"dedup-bytes", o.DedupBytes, 1 << 20}, // some ten thousand identities
		{"max-body", o.MaxBody, 1 << 10},
		{"max-inflated", o.MaxInflated, 1 << 10},
		{"max-line", int64(o.MaxLine), 256},
		{"max-in-flight", o.MaxInFlight, 1 << 20},
		{"read-memory", o.ReadMemory, 1 << 20},
		{"max-subscribers", int64(o.MaxSubscribers), 1},
		{"max-views", int64(o.MaxViews), 1},
		{"max-exposed", int64(o.MaxExposed), 1},
		{"max-connections", int64(o.MaxConnections), 1},
	} {
		if limit.value < limit.least && limit.value != 0 {
			return optionErrorf(limit.option, "%d: must be %d or more", limit.value, limit.least)
		}
	}
	if o.WriteTimeout < 100*time.Millisecond {
		return optionErrorf("write-timeout", "%v: must be 100ms or more", o.WriteTimeout)
	}
	return nil
}

func (o *Options) clustered() bool { return o.Cluster != "" || len(o.Join) > 0 }

func defaultTo[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// IsLoopback reports whether an address can be reached from this machine only.
func IsLoopback(address string) (bool, error) {
	host, service, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", service)
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback(), err
}

// hostName is the default name of a node: the host's, as far as an id can hold it.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "node"
	}
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		if r < 0x80 && strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", r) {
			return r
		}
		return '-'
	}, name), "_") // what begins with two is the program's own
}
