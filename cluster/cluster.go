// Package cluster makes the nodes of a cluster hold the same numbers. It joins
// this node to a serf pool, tells the others at every tick what changed here, and
// merges what they tell into the store; what does not arrive that way it asks for
// over HTTP. docs/design.md has the protocol and its rules, docs/wire.md the bytes.
//
// # Concurrency properties
//
// All methods of [Cluster] are safe for concurrent use. One goroutine, [Cluster.Run],
// ticks the store, merges deltas and decides what to ask; what it asks runs beside it.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"remuda/cluster/disk"
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
	SecretFile   string        // see secret.go; without it everything stays on this machine
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
	secrets     secrets
	log         *slog.Logger
	serf        *serf.Serf
	mail        *mailbox
	client      *http.Client
	incarnation uint64
	address     string // where members reach this node over HTTP
	claims      claims
	turns       turns
	session     uint64 // of calls of this process, asked their number
	asked       atomic.Uint64
	sessions    sessions          // of others
	refused     atomic.Uint64     // requests that did not come from a member
	repeated    atomic.Uint64     // requests that came again
	skipped     atomic.Uint64     // sequences that were not gossiped
	headsOnly   atomic.Uint64     // sequences of which only the head was
	gossiped    atomic.Uint64     // bytes of events of this node
	traffic     traffic           // of gossip
	told        map[string]string // states of members as last logged; only tick touches it

	mu        sync.Mutex
	began     time.Time
	store     *store.Store
	protocol  *protocol // nil until Run
	publisher *publisher
	rejoining bool
	ownSeed   bool      // the seeds are this node alone
	warned    time.Time // when it was last logged that no other member is here
	gone      bool      // serf is shut down

	tasks sync.WaitGroup
	life  context.Context // of everything beside Run; ended by Close
	end   context.CancelFunc
}

// An OptionError says which option cannot be, and why.
type OptionError struct{ error }

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
	c.life, c.end = context.WithCancel(context.Background())
	if o.SecretFile != "" {
		var err error
		if c.secrets, err = readSecrets(o.SecretFile, o.Cluster); err != nil {
			return nil, err
		}
		if mode, others := forOthers(o.SecretFile); others {
			o.Logger.Warn("the secret can be read or changed by others than its owner: chmod 600", "file", o.SecretFile, "mode", mode)
		}
	}
	if err := checkReach(&o, c.secrets); err != nil {
		return nil, OptionError{err}
	}
	if o.Packet < 600 || o.Packet > 65_000 {
		return nil, OptionError{fmt.Errorf("--gossip-packet %d: must be from 600 to 65000", o.Packet)}
	}
	if len(o.Cluster) > 64 {
		return nil, OptionError{errors.New("--cluster: the name has 64 characters at most")}
	}
	c.capacity = capacity{packet: o.Packet, encrypted: len(c.secrets) > 0, label: o.Cluster, tick: o.Tick}
	events := make(chan serf.Event, 512)
	config, sockets, err := serfConfig(&o, &c.capacity, c.secrets, &c.traffic, &c.claims, events)
	if err != nil {
		return nil, fmt.Errorf("gossip on %s: %w", o.Gossip, err)
	}
	if c.serf, err = serf.Create(config); err != nil {
		_ = sockets.Shutdown()
		return nil, fmt.Errorf("gossip on %s: %w", o.Gossip, err)
	}
	sockets.receive()
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
		err = c.serf.SetTags(map[string]string{
			regionTag: o.Region, httpTag: c.address, incarnationTag: strconv.FormatUint(c.incarnation, 10),
		})
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
		if p.name == c.options.Node || p.httpAddr == "" || p.state != "alive" || asked == 3 {
			continue
		}
		asked++
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		empty := wire.AppendMarks(nil, c.options.Node, nil)
		_, err := c.ask(ctx, addressee{p.name, p.httpAddr, p.incarnation}, http.MethodPost, marksPath, nil, empty, func(frame []byte) error {
			_, list, err := wire.ReadMarks(frame)
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

// start begins the protocol with a store, and with what a checkpoint remembers.
func (c *Cluster) start(st *store.Store, remembered disk.Remembered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store = st
	c.protocol = newProtocol(st, c.capacity.tickOf, uint64(c.began.UnixNano()))
	c.protocol.remember(c.since(), remembered)
	c.publisher = &publisher{store: st, id: c.protocol.self}
	c.refreshLocked()
}

// refreshLocked brings what readers see of the members up to date.
func (c *Cluster) refreshLocked() {
	c.protocol.setPeers(peers(c.serf.Members()))
	c.protocol.seeded, c.protocol.ownSeed = len(c.options.Join) > 0, c.ownSeed
	own := c.protocol.node(c.options.Node)
	own.bytesIn, own.bytesOut = c.traffic.received.Load(), c.traffic.sent.Load()
	c.store.SetMembers(c.protocol.members(c.since()))
}

// Run keeps the store in step with the cluster until the context ends. It is the
// one who ticks the store. remembered is what [disk.Dir.Restore] returned.
func (c *Cluster) Run(ctx context.Context, st *store.Store, remembered disk.Remembered) error {
	c.start(st, remembered)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	tick := time.NewTimer(c.untilTick())
	defer tick.Stop()
	wait := firstRejoin
	rejoin := time.NewTimer(wait)
	defer rejoin.Stop()
	var lastTick time.Time
	urgent := st.Urgent()
	for {
		select {
		case <-tick.C:
			lastTick = time.Now()
			c.tick()
			tick.Reset(c.untilTick())
			urgent = st.Urgent()
		case <-urgent:
			if wait := urgentEvery - time.Since(lastTick); wait > 0 {
				urgent = nil // the next tick, which is now nearer, brings it
				tick.Reset(min(wait, c.untilTick()))
				continue
			}
			lastTick = time.Now()
			c.tick()
		case <-c.mail.ready:
			c.takeMail()
		case <-look.C:
		case <-rejoin.C:
			c.rejoin()
			wait = min(2*wait, rejoinEvery)
			rejoin.Reset(wait)
			continue
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

// untilTick is how long it is to the next tick. Ticks are at multiples of their
// length, so that a second is closed at its end.
func (c *Cluster) untilTick() time.Duration {
	c.mu.Lock()
	length := c.capacity.tickOf(c.protocol.size())
	c.mu.Unlock()
	return length - time.Duration(c.store.Clock())*time.Millisecond%length
}

// tick closes a sequence and tells the members.
func (c *Cluster) tick() {
	if step := c.store.Tick(); step != nil {
		c.log.Warn("the wall clock stepped", "by", step.By)
	}
	c.logMembers()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.protocol.ticked()
	c.refreshLocked()
	c.protocol.forget(c.since())
	if c.gone || c.protocol.yields() {
		return
	}
	headOnly, skip := backPressure(queued(c.serf))
	if skip {
		c.skipped.Add(1)
		return
	}
	events := c.publisher.publish(c.capacity.budget(c.protocol.size()), headOnly)
	if headOnly {
		c.headsOnly.Add(1)
	}
	for _, event := range events {
		if err := c.serf.UserEvent(eventName, event, false); err != nil {
			c.log.Warn("a delta could not be gossiped", "error", err, "bytes", len(event))
		}
		c.gossiped.Add(uint64(len(event)))
	}
}

// logMembers logs what has become of members since the last call.
func (c *Cluster) logMembers() {
	before := c.told
	c.told = make(map[string]string)
	for _, p := range peers(c.serf.Members()) {
		c.told[p.name] = p.state
		if was := before[p.name]; p.name != c.options.Node && p.state != was {
			c.log.Info("member "+p.state, "member", p.name, "region", p.region, "before", was)
		}
	}
}

// backPressure says what to leave out when so many events wait (R12).
func backPressure(waiting int) (headOnly, skip bool) {
	return waiting > maxQueued, waiting > maxQueuedHeads
}

func (c *Cluster) takeMail() {
	all := c.mail.take()
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.since()
	for _, list := range all {
		for _, message := range list {
			c.protocol.receive(now, message)
		}
	}
	c.refreshLocked()
}

// work begins what is due.
func (c *Cluster) work(ctx context.Context) error {
	c.lookForRival(ctx)
	c.mu.Lock()
	tasks := c.protocol.due(c.since())
	yields := c.protocol.yields()
	rival := c.protocol.rival
	c.mu.Unlock()
	if yields {
		c.log.Error("another node of this name has been running for longer: this one ends",
			"node", c.options.Node, "incarnation", c.incarnation, "other", rival.Incarnation)
		return ErrNameTaken
	}
	for _, t := range tasks {
		c.tasks.Go(func() { c.do(ctx, t) })
	}
	return nil
}

// do asks a member, and takes the answer.
func (c *Cluster) do(ctx context.Context, t task) {
	defer c.mail.wake()
	if t.pull {
		result := c.pull(ctx, t)
		c.log.Debug("pulled", "origin", t.id.Node, "member", t.member, "after", t.after, "mark", result.Mark, "bytes", result.bytes)
		if result.err != nil && ctx.Err() == nil {
			c.log.Debug("a pull failed", "member", t.member, "origin", t.id.Node, "error", result.err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.protocol.pulled(c.since(), t, result)
		return
	}
	theirs, read, err := c.exchange(ctx, t.member)
	if err != nil && ctx.Err() == nil {
		c.log.Debug("an exchange failed", "member", t.member, "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.protocol.exchanged(c.since(), t.member, theirs, read, err)
}
