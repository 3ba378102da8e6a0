// Package cluster makes the nodes of a cluster hold the same numbers. It joins
// this node to a serf pool, tells the others at every tick what changed here, and
// merges what they tell into the store; what does not arrive that way it asks for
// over HTTP. docs/design.md has the protocol and its rules, docs/wire.md the bytes.
//
// # Concurrency properties
//
// All methods of [Cluster] are safe for concurrent use. One goroutine owns the rules: it
// takes what has happened, an event after another, and begins what they say. Another ticks
// the store and tells the members. What is merged and asked for has goroutines of its own,
// which tell the first what came of it. Everybody else reads the latest bulletin of the
// rules, which is never changed, and waits for nobody.
//
// No lock is held while anything is packed, merged, sent, logged or encoded, but for those
// of the store, a row at a time.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"remuda/cluster/disk"
	"remuda/cluster/link"
	"remuda/cluster/rules"
	"remuda/cluster/wire"
	"remuda/store"
)

// Options configure a cluster. Node, Gossip and HTTPAddr are required; the zero
// value of another field takes its default.
type Options struct {
	Node, Region string
	Cluster      string        // name of the cluster; default "remuda"
	Gossip       string        // address to gossip on
	Join         []string      // addresses of members to join
	Advertise    string        // host that others reach this node at; default the one of Gossip
	HTTPAddr     string        // address that this node serves HTTP on
	SecretFile   string        // see link/secrets.go; without it everything stays on this machine
	Packet       int           // largest UDP packet, in bytes; default 1,400
	Tick         time.Duration // default 500 ms; 25 ms for each member if that is more
	Incarnation  uint64        // at least: the clock, or what a former run's number wants
	Logger       *slog.Logger  // default slog.Default()

	// Begin, if there is one, is told the number of this run before any member is. Its
	// error ends Join. See [disk.Dir.Begin].
	Begin func(incarnation uint64) error

	// For tests: what wraps the transport, and what looks names of seeds up.
	wrap   func(memberlist.Transport) memberlist.Transport
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// A Cluster is this node's part in a cluster.
type Cluster struct {
	options     Options
	capacity    capacity
	secrets     link.Secrets
	log         *slog.Logger
	serf        *serf.Serf
	sockets     *link.Transport // of serf
	mail        *mailbox
	client      *http.Client
	incarnation uint64
	address     string // where members reach this node over HTTP
	claims      claims
	turns       link.Turns
	session     uint64 // of calls of this process, asked their number
	asked       atomic.Uint64
	sessions    link.Sessions // of others
	refused     atomic.Uint64 // requests that did not come from a member
	repeated    atomic.Uint64 // requests that came again
	skipped     atomic.Uint64 // sequences that were not gossiped
	headsOnly   atomic.Uint64 // sequences of which only the head was
	gossiped    atomic.Uint64 // bytes of events of this node
	traffic     link.Traffic  // of gossip
	exchanged   exchanged     // bytes, with each member

	began     time.Time
	store     *store.Store // set before own is
	driver    *driver      // of the goroutine of the rules
	publisher *publisher   // of the goroutine that ticks
	latest    atomic.Pointer[bulletin]
	own       atomic.Pointer[wire.Status] // as of the last tick; nil until Run
	told      map[string]string           // states of members as last logged; of the goroutine of the rules
	rejoining atomic.Bool
	ownSeed   atomic.Bool // the seeds are this node alone
	warned    time.Time   // when it was last logged that no other member is here; of who rejoins
	gone      atomic.Bool // serf is shut down

	tasks sync.WaitGroup
	life  context.Context // of everything beside Run; ended by Close
	end   context.CancelFunc
}

// An OptionError says which option cannot be, and why.
type OptionError struct {
	Option string // as a flag of the program is spelled; "" when the error says it
	Err    error
}

func (e OptionError) Error() string {
	if e.Option == "" {
		return e.Err.Error()
	}
	return e.Option + " " + e.Err.Error()
}

func (e OptionError) Unwrap() error { return e.Err }

func optionErrorf(option, format string, args ...any) error {
	return OptionError{option, fmt.Errorf(format, args...)}
}

// ErrNameTaken ends a node whose name another, older one uses.
var ErrNameTaken = errors.New("another node of this name is running")

// ErrEvicted ends a node whose part of the gossip was shut down.
var ErrEvicted = errors.New("gossip was shut down")

const (
	lookEvery    = 50 * time.Millisecond  // for what is due
	urgentEvery  = 100 * time.Millisecond // at most, ticks between ticks
	leaveTimeout = 2500 * time.Millisecond
	yieldTimeout = 5 * time.Second

	// maxQueued and maxQueuedHeads bound the events that wait to be gossiped: above
	// the first only heads are sent, above the second nothing (R12).
	maxQueued      = 64
	maxQueuedHeads = 256
)

// Join starts to gossip and joins the members given. That none of them answers is
// no error: they may come later. [Cluster.Run] does the rest, [Cluster.Close] ends it.
func Join(ctx context.Context, o Options) (*Cluster, error) {
	o.Cluster = cmp.Or(o.Cluster, "remuda")
	o.Packet = cmp.Or(o.Packet, 1400)
	o.Tick = cmp.Or(o.Tick, 500*time.Millisecond)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.lookup == nil {
		o.lookup = lookup
	}
	c := &Cluster{
		options: o, log: o.Logger, mail: newMailbox(), began: time.Now(),
		claims: claims{node: o.Node}, session: rand.Uint64(), client: newClient(),
	}
	c.latest.Store(nothingYet)
	c.life, c.end = context.WithCancel(context.Background())
	if o.SecretFile != "" {
		var err error
		if c.secrets, err = link.ReadSecrets(o.SecretFile, o.Cluster); err != nil {
			return nil, err
		}
		if mode, others := link.ForOthers(o.SecretFile); others {
			o.Logger.Warn("the secret can be read or changed by others than its owner: chmod 600", "file", o.SecretFile, "mode", mode)
		}
	}
	if err := checkReach(&o, c.secrets); err != nil {
		if errors.As(err, new(OptionError)) {
			return nil, err
		}
		return nil, OptionError{Err: err}
	}
	if o.Packet < 600 || o.Packet > 65_000 {
		return nil, optionErrorf("gossip-packet", "%d: must be from 600 to 65000", o.Packet)
	}
	if len(o.Cluster) > 64 {
		return nil, optionErrorf("cluster", "%s: a name has 64 characters at most", o.Cluster)
	}
	c.capacity = capacity{packet: o.Packet, encrypted: len(c.secrets) > 0, label: o.Cluster, tick: o.Tick}
	events := make(chan serf.Event, 512)
	config, sockets, err := serfConfig(&o, &c.capacity, c.secrets, &c.traffic, &c.claims, events)
	if err != nil {
		return nil, fmt.Errorf("gossip on %s: %w", o.Gossip, err)
	}
	c.sockets = sockets
	if c.serf, err = serf.Create(config); err != nil {
		_ = sockets.Shutdown()
		return nil, fmt.Errorf("gossip on %s: %w", o.Gossip, err)
	}
	sockets.Receive()
	c.claims.begin(c.Address())
	c.tasks.Go(func() { c.mail.run(events, c.life.Done()) })
	c.joinSeeds(ctx)
	c.incarnation = max(o.Incarnation, c.seenBefore(ctx)+1)
	if o.Begin != nil {
		if err := o.Begin(c.incarnation); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	if c.address, err = httpAddress(&o, c.serf.LocalMember().Addr); err == nil {
		self := wire.Peer{Region: o.Region, HTTPAddr: c.address, Incarnation: c.incarnation}
		tags := self.Tags()
		if err = c.serf.SetTags(tags); err != nil && maps.Equal(c.serf.LocalMember().Tags, tags) {
			// They are set. Gossip was too slow to tell them to all in time, and goes on with it.
			c.log.Warn("members are told late about this node", "error", err)
			err = nil
		}
	}
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("tell members about this node: %w", err)
	}
	return c, nil
}

// seenBefore asks the members joined for the newest run of this node that they have
// seen (R9): the clock may have gone back since.
func (c *Cluster) seenBefore(ctx context.Context) (incarnation uint64) {
	asked := 0
	for _, p := range peers(c.serf.Members()) {
		if p.Name == c.options.Node || p.HTTPAddr == "" || p.State != "alive" || asked == 3 {
			continue
		}
		asked++
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		empty := wire.AppendMarks(nil, c.options.Node, nil)
		_, err := c.ask(ctx, addressee{p.Name, p.HTTPAddr, p.Incarnation}, http.MethodPost, marksPath, nil, empty, func(chunk []byte) error {
			_, list, err := wire.ReadMarks(chunk)
			for _, s := range list {
				if s.ID.Node == c.options.Node {
					incarnation = max(incarnation, s.ID.Incarnation)
				}
			}
			return err
		})
		cancel()
		if err == nil {
			break
		}
	}
	return incarnation
}

// Incarnation names this run. The store is made with it.
func (c *Cluster) Incarnation() uint64 { return c.incarnation }

// since is the time since the start, by the monotonic clock.
func (c *Cluster) since() time.Duration { return time.Since(c.began) }

// start begins the rules with a store, and with what a checkpoint remembers.
func (c *Cluster) start(st *store.Store, remembered disk.Remembered) {
	c.store = st
	c.driver = newDriver(st, c.capacity.tickOf, uint64(c.began.UnixNano()))
	c.driver.step(c.since(), rules.Remembered{List: remembered.List, Age: remembered.Age})
	c.publisher = &publisher{store: st, id: store.OriginID{Node: st.Node(), Incarnation: st.Incarnation()}}
	c.refresh()
	c.publish()
	c.closed()
}

// closed takes note of the sequence that the store has just closed.
func (c *Cluster) closed() {
	sequence := c.store.Sequence()
	c.own.Store(&wire.Status{
		ID: c.publisher.id, Mark: sequence, Ahead: sequence, Digest: c.store.Digest(c.publisher.id), Verified: true,
	})
}

// Run keeps the store in step with the cluster until the context ends. It is the
// one who ticks the store. remembered is what [disk.Dir.Restore] returned.
func (c *Cluster) Run(ctx context.Context, st *store.Store, remembered disk.Remembered) error {
	c.start(st, remembered)
	ctx, end := context.WithCancel(ctx)
	var ticking sync.WaitGroup
	ticking.Go(func() { c.tickUntil(ctx) })
	defer ticking.Wait()
	defer end()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	wait := firstRejoin
	rejoin := time.NewTimer(wait)
	defer rejoin.Stop()
	for {
		select {
		case <-c.mail.ready:
		case <-look.C:
		case <-rejoin.C:
			c.rejoin()
			wait = min(2*wait, rejoinEvery)
			rejoin.Reset(wait)
		case <-c.serf.ShutdownCh():
			return ErrEvicted
		case <-ctx.Done():
			return nil
		}
		if err := c.work(ctx); err != nil {
			return err
		}
	}
}

// work takes what has happened, and begins what is due.
func (c *Cluster) work(ctx context.Context) error {
	defer c.publish()
	c.lookForRival(ctx)
	heard, posted, members := c.mail.take()
	var begin []rules.Effect
	for _, list := range heard {
		for _, message := range list {
			begin = append(begin, c.driver.step(c.since(), rules.Heard{Message: message})...)
		}
	}
	c.begin(ctx, begin)
	for _, p := range posted {
		if _, ticked := p.event.(rules.Ticked); ticked {
			c.logMembers()
			c.exchanged.forget(func(member string) bool { _, known := c.bulletin().byName[member]; return known })
		}
		c.begin(ctx, c.driver.step(c.since(), p.event))
		if p.done != nil {
			close(p.done)
		}
	}
	if len(heard) > 0 || len(posted) > 0 || members {
		c.refresh()
	}
	if rival, _, yields := c.driver.rules.Rival(); yields {
		c.log.Error("another node of this name has been running for longer: this one ends",
			"node", c.options.Node, "incarnation", c.incarnation, "other", rival.Incarnation)
		return ErrNameTaken
	}
	c.begin(ctx, c.driver.step(c.since(), rules.Due{}))
	return nil
}

// begin publishes what a step has changed, and begins what it wants, if anything. What is
// begun posts what came of it.
func (c *Cluster) begin(ctx context.Context, effects []rules.Effect) {
	if len(effects) == 0 {
		return
	}
	c.publish()
	for _, effect := range effects {
		switch do := effect.(type) {
		case rules.Merge:
			m := c.driver.merger(do.ID)
			c.tasks.Go(func() {
				c.mail.post(rules.Merged{ID: do.ID, Outcome: m.merge(do.Entries, do.Complete)})
			})
		case rules.Pull:
			m := c.driver.merger(do.ID)
			c.tasks.Go(func() { c.mail.post(c.pull(ctx, do, m)) })
		case rules.Exchange:
			c.tasks.Go(func() { c.mail.post(c.exchange(ctx, do)) })
		}
	}
}

// refresh brings what readers see of the members up to date.
func (c *Cluster) refresh() {
	c.driver.step(c.since(), rules.Members{
		List: peers(c.serf.Members()), Seeded: len(c.options.Join) > 0, OwnSeed: c.ownSeed.Load(),
	})
	list := c.driver.rules.Members(c.since(), c.store)
	for i := range list {
		m := &list[i]
		if m.BytesIn, m.BytesOut = c.exchanged.with(m.Name); m.Name == c.options.Node {
			m.BytesIn, m.BytesOut = c.traffic.Received.Load(), c.traffic.Sent.Load()
		}
	}
	c.store.SetMembers(list)
}

// logMembers logs what has become of members since the last call.
func (c *Cluster) logMembers() {
	before := c.told
	c.told = make(map[string]string)
	for _, p := range peers(c.serf.Members()) {
		c.told[p.Name] = p.State
		if was := before[p.Name]; p.Name != c.options.Node && p.State != was {
			c.log.Info("member "+p.State, "member", p.Name, "region", p.Region, "before", was)
		}
	}
}
