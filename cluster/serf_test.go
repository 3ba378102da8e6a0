package cluster

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/goleak"

	"remuda/cluster/disk"
	"remuda/cluster/rules"
	"remuda/cluster/wire"
	"remuda/store"
	"remuda/store/cell"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// These end in their own time after Shutdown.
		goleak.IgnoreAnyFunction("github.com/hashicorp/serf/serf.(*Serf).checkQueueDepth"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).triggerFunc"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).pushPullTrigger"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).handleConn"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).sendPingAndWaitForAck"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).checkBroadcastQueueDepth"),
		goleak.IgnoreAnyFunction("github.com/klauspost/compress/zstd.(*Decoder).startStreamDecoder"),
	)
}

var gossipSeed = flag.Uint64("gossip.seed", 0, "seed of the faults of real gossip; 0 takes another each time")

// lossy is a transport that loses, repeats and delays packets.
type lossy struct {
	memberlist.Transport
	loss, repeat float64
	delay        time.Duration
	noEvents     atomic.Bool // no user event gets through

	mu     sync.Mutex
	rng    *rand.Rand
	stuck  chan struct{} // unless nil, nothing is sent before it is closed
	closed chan struct{}
	once   sync.Once
}

func (l *lossy) WriteTo(b []byte, addr string) (time.Time, error) {
	if l.stuck != nil {
		select {
		case <-l.stuck:
		case <-l.closed:
		}
	}
	l.mu.Lock()
	lost, twice := l.rng.Float64() < l.loss, l.rng.Float64() < l.repeat
	delay := time.Duration(0)
	if l.delay > 0 {
		delay = time.Duration(l.rng.Int64N(int64(l.delay)))
	}
	l.mu.Unlock()
	// serf's user events are maps with this key; gossip is not encrypted here.
	if lost || l.noEvents.Load() && bytes.Contains(b, []byte("Payload")) {
		return time.Now(), nil
	}
	send := func() { _, _ = l.Transport.WriteTo(b, addr) }
	if delay == 0 {
		send()
	} else {
		b = bytes.Clone(b)
		time.AfterFunc(delay, func() {
			select {
			case <-l.closed:
			default:
				send()
			}
		})
	}
	if twice {
		send()
	}
	return time.Now(), nil
}

func (l *lossy) Shutdown() error {
	l.once.Do(func() { close(l.closed) })
	return l.Transport.Shutdown()
}

// A testNode is a member with a real socket for gossip and one for HTTP.
type testNode struct {
	*Cluster
	t       testing.TB
	net     *lossy
	noHTTP  atomic.Bool
	hangs   atomic.Bool // takes requests and answers none
	server  *httptest.Server
	handler atomic.Pointer[http.Handler]
	store   *store.Store
	stop    context.CancelFunc
	ended   chan error    // what Run returned
	ran     chan struct{} // closed when it has
	serial  int
}

type testOptions struct {
	name, join, secret string
	gossip             string // default a free port of 127.0.0.1
	lookup             func(ctx context.Context, host string) ([]netip.Addr, error)
	loss, repeat       float64
	delay              time.Duration
	stuck              chan struct{} // see lossy
	tick               time.Duration // default tickLength
	incarnation        uint64
	seed               uint64 // of what is lost, repeated and delayed
	logger             *slog.Logger
}

// tickLength makes tests short.
const tickLength = 200 * time.Millisecond

func newTestNode(t testing.TB, o testOptions) *testNode {
	t.Helper()
	n := &testNode{t: t, ended: make(chan error, 1), ran: make(chan struct{}), net: &lossy{
		loss: o.loss, repeat: o.repeat, delay: o.delay, stuck: o.stuck, rng: rand.New(rand.NewPCG(o.seed, uint64(o.name[0]))), closed: make(chan struct{}),
	}}
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := n.handler.Load()
		if n.hangs.Load() {
			_, _ = io.Copy(io.Discard, r.Body) // only then does a server see that somebody gave up
			<-r.Context().Done()
			return
		}
		if h == nil || n.noHTTP.Load() {
			http.Error(w, "blocked", http.StatusServiceUnavailable)
			return
		}
		(*h).ServeHTTP(w, r)
	}))
	options := Options{
		Node: o.name, Region: "r-" + o.name, Gossip: cmp.Or(o.gossip, "127.0.0.1:0"), lookup: o.lookup, HTTPAddr: n.server.Listener.Addr().String(), Tick: cmp.Or(o.tick, tickLength),
		Logger: cmp.Or(o.logger, slog.New(slog.DiscardHandler)), Incarnation: max(o.incarnation, uint64(time.Now().UnixMilli())),
		wrap: func(inner memberlist.Transport) memberlist.Transport { n.net.Transport = inner; return n.net },
	}
	if o.join != "" {
		options.Join = strings.Split(o.join, ",")
	}
	if o.secret != "" {
		options.SecretFile = filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(options.SecretFile, []byte(o.secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if n.Cluster, err = Join(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	n.store, err = store.New(store.Options{Node: o.name, Incarnation: n.Incarnation(), DedupBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	h := n.Handler()
	n.handler.Store(&h)
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() {
		defer close(n.ran)
		n.ended <- n.Run(ctx, n.store, disk.Remembered{})
	}()
	t.Cleanup(n.kill)
	return n
}

// kill ends a node without a word.
func (n *testNode) kill() {
	n.stop()
	<-n.ran
	if err := n.Close(); err != nil {
		n.t.Error(err)
	}
	n.server.CloseClientConnections()
	n.server.Close()
}

// testCluster starts nodes and waits until each sees all.
func testCluster(t testing.TB, size int, o testOptions) []*testNode {
	t.Helper()
	var nodes []*testNode
	for i := range size {
		o.name = string(rune('a' + i))
		if i > 0 {
			o.join = nodes[0].Address()
		}
		nodes = append(nodes, newTestNode(t, o))
	}
	eventually(t, 20*time.Second, "all see all", func() bool {
		for _, n := range nodes {
			alive := 0
			for _, m := range n.store.Members() {
				if m.State == "alive" && (m.Sequence > 0 || m.Name == n.options.Node) {
					alive++
				}
			}
			if alive != size {
				return false
			}
		}
		return true
	})
	return nodes
}

// eventually waits until something holds, and returns how long that took.
func eventually(t testing.TB, patience time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !holds() {
		if time.Since(began) > patience {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-poll.C
	}
	return time.Since(began)
}

// count has calls counted on a node.
func (n *testNode) count(calls, series int) {
	events := make([]store.Event, calls)
	at := n.store.Now()
	for i := range events {
		n.serial++
		events[i] = store.Event{
			Sent: store.FieldTS, TS: at, SentTS: at, Profile: "default", Chain: "base", Method: "eth_call", Strategy: "fastest",
			ProviderID: fmt.Sprint("p", n.serial%series), SourceNode: "gw@" + n.options.Node, SourceRegion: "r", Weight: 1,
			DurationMicros: uint64(1000 + n.serial*37%90_000), UpstreamMicros: uint64(1000 + n.serial*37%90_000),
		}
	}
	n.store.Apply(events)
}

// rows renders what readers see of the last five minutes, but for the instants,
// which others know to the step.
func (n *testNode) rows() string {
	table := n.store.NewTable(store.Query{By: []store.Dim{store.ChainDim, store.ProviderDim}, Window: cell.Window5m})
	table.Refresh()
	var b strings.Builder
	for _, r := range table.Rows() {
		fmt.Fprintln(&b, r.Key, r.Calls, r.Errors, r.Requests, r.P50, r.P90, r.P99, r.Max)
	}
	return b.String()
}

func (n *testNode) calls() (sum uint64) {
	table := n.store.NewTable(store.Query{By: []store.Dim{store.ChainDim}, Window: cell.Window5m})
	table.Refresh()
	for _, r := range table.Rows() {
		sum += r.Calls
	}
	return sum
}

func (n *testNode) divergence() (sum uint64) {
	for _, m := range n.store.Members() {
		sum += m.DivergenceTotal
	}
	return sum
}

// agree reports whether all nodes have counted a number of calls and give the same rows.
func agree(nodes []*testNode, calls uint64) bool {
	want := nodes[0].rows()
	for _, n := range nodes {
		if n.calls() != calls || n.rows() != want {
			return false
		}
	}
	return true
}

// TestRealGossip has real clusters count while packets are lost, repeated and out
// of order. All nodes end with the same rows, percentiles included.
func TestRealGossip(t *testing.T) {
	for _, test := range []struct {
		name     string
		nodes    int
		o        testOptions
		noEvents bool
		patience time.Duration
	}{
		{name: "three", nodes: 3, patience: 3 * time.Second},
		// Seven in one process, with the race detector, may keep a machine busy.
		{name: "seven", nodes: 7, o: testOptions{tick: 500 * time.Millisecond}, patience: 30 * time.Second},
		{name: "a tenth lost", nodes: 5, o: testOptions{loss: 0.1, repeat: 0.2, delay: 100 * time.Millisecond}, patience: 6 * time.Second},
		{name: "a third lost", nodes: 3, o: testOptions{loss: 0.3, repeat: 0.2, delay: 300 * time.Millisecond}, patience: 10 * time.Second},
		{name: "no user event", nodes: 3, noEvents: true, patience: 6 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			if testing.Short() && test.nodes > 3 {
				t.Skip("short")
			}
			test.o.seed = uint64(time.Now().UnixNano())
			if *gossipSeed != 0 {
				test.o.seed = *gossipSeed
			}
			t.Logf("the faults are those of -gossip.seed=%d", test.o.seed)
			nodes := testCluster(t, test.nodes, test.o)
			for _, n := range nodes {
				n.net.noEvents.Store(test.noEvents)
			}
			total := uint64(0)
			beat := time.NewTicker(50 * time.Millisecond)
			defer beat.Stop()
			for i := range 40 {
				<-beat.C
				for j, n := range nodes {
					n.count(10+j, 20+i*j)
					total += uint64(10 + j)
				}
			}
			took := eventually(t, test.patience+10*time.Second, "all agree", func() bool { return agree(nodes, total) })
			if took > test.patience {
				t.Errorf("agreed after %v, want %v", took, test.patience)
			}
			for _, n := range nodes {
				if d := n.divergence(); d > 0 {
					t.Errorf("%s counts %d divergences", n.options.Node, d)
				}
			}
			t.Logf("%d nodes agreed on %d calls %v after the last", len(nodes), total, took.Round(time.Millisecond))
		})
	}
}

// TestHTTPBlocked: without pulls heads and latest values still come, what is missing
// is marked, and all is repaired afterwards.
func TestHTTPBlocked(t *testing.T) {
	nodes := testCluster(t, 3, testOptions{})
	a, b := nodes[0], nodes[1]
	for _, n := range nodes {
		n.noHTTP.Store(true)
	}
	a.count(3000, 1000) // far more than gossip carries
	at := a.store.Now()
	a.store.Apply([]store.Event{{
		Kind: store.Circuit, Sent: store.FieldTS, TS: at, SentTS: at, Profile: "default", Chain: "base", ProviderID: "p1", SourceNode: "gw", SourceRegion: "r",
		From: store.CircuitClosed, To: store.CircuitOpen,
	}})
	eventually(t, 3*time.Second, "the circuit is known", func() bool {
		list := b.store.Circuits(store.Filter{})
		return len(list) == 1 && list[0].State == store.CircuitOpen
	})
	member := func() (m store.Member) {
		for _, m = range b.store.Members() {
			if m.Name == "a" {
				return m
			}
		}
		t.Fatal("a is not listed")
		return m
	}
	eventually(t, 5*time.Second, "the rest is stale", func() bool { return member().Stale && !member().Reporting && !member().Silent })
	if calls := b.calls(); calls != 0 {
		t.Errorf("%d calls came without a pull", calls)
	}
	for _, n := range nodes {
		n.noHTTP.Store(false)
	}
	eventually(t, 10*time.Second, "all agree again", func() bool { return agree(nodes, 3000) && !member().Stale })
	if d := b.divergence(); d > 0 {
		t.Errorf("%d divergences", d)
	}
}

// poison sends a member an event from a time of serf's logical clock.
func (n *testNode) poison(to *testNode, at uint64) {
	n.t.Helper()
	// The type of a user event, and a msgpack map of its four fields.
	event := append([]byte{3, 0x84}, "\xa5LTime\xcf"...)
	event = binary.BigEndian.AppendUint64(event, at)
	event = append(event, "\xa4Name\xa6poison\xa7Payload\xa1x\xa2CC\xc2"...)
	for _, m := range n.serf.Memberlist().Members() {
		if m.Name != to.options.Node {
			continue
		}
		if err := n.serf.Memberlist().SendBestEffort(m, event); err != nil {
			n.t.Fatal(err)
		}
	}
	if at < 1<<63 { // near its end the clock soon turns over
		eventually(n.t, 5*time.Second, "it is believed", func() bool {
			now, err := strconv.ParseUint(to.serf.Stats()["event_time"], 10, 64)
			return err == nil && now > at
		})
	}
}

// TestPoisonedTime: somebody with the secret sends an event from a far future of
// serf's logical clock, up to where it turns over. Deltas still come, or are pulled.
func TestPoisonedTime(t *testing.T) {
	nodes := testCluster(t, 3, testOptions{})
	total := uint64(0)
	for _, time64 := range []uint64{1 << 40, 1 << 63, 1<<64 - 4, 1<<64 - 1} {
		nodes[0].poison(nodes[1], time64)
		for _, n := range nodes {
			n.count(100, 10)
			total += 100
		}
		took := eventually(t, 20*time.Second, "all agree", func() bool { return agree(nodes, total) })
		if took > 6*time.Second {
			t.Errorf("after an event of time %d, all agreed after %v", time64, took)
		}
		t.Logf("after an event of time %d, all agreed after %v", time64, took.Round(time.Millisecond))
	}
	for _, n := range nodes {
		if d := n.divergence(); d > 0 {
			t.Errorf("%s counts %d divergences", n.options.Node, d)
		}
	}
}

// TestToldLate: a node whose packets do not get out for a while is a member all the same.
func TestToldLate(t *testing.T) {
	a := newTestNode(t, testOptions{name: "a"})
	stuck := make(chan struct{})
	b := newTestNode(t, testOptions{name: "b", join: a.Address(), stuck: stuck})
	close(stuck)
	b.count(100, 10)
	eventually(t, 20*time.Second, "both agree", func() bool { return agree([]*testNode{a, b}, 100) })
}

// TestHangingMembers: members that take requests and answer none do not hold up
// what others have for long, however many they are.
func TestHangingMembers(t *testing.T) {
	nodes := testCluster(t, rules.MaxPulls+3, testOptions{})
	reader, last := nodes[0], len(nodes)-1
	for _, n := range nodes[1:last] {
		n.hangs.Store(true)
		n.count(600, 300) // far more than gossip carries
	}
	eventually(t, 20*time.Second, "all pulls are under way", func() bool {
		return reader.bulletin().pulls == rules.MaxPulls
	})
	nodes[last].count(600, 300)
	took := eventually(t, 2*pullTimeout, "it has what the last one counted", func() bool { return reader.calls() >= 600 })
	if most := pullTimeout / 2; took > most {
		t.Errorf("it took %v, want at most %v", took, most)
	}
	for _, n := range nodes {
		n.hangs.Store(false)
	}
	eventually(t, time.Minute, "all agree", func() bool { return agree(nodes, uint64(600*(len(nodes)-1))) })
}

// TestBudgetBoundary: a payload of just the budget reaches the other, however far
// serf's logical clock is, which every event carries. A byte more is never sent, and
// waits for ever.
func TestBudgetBoundary(t *testing.T) {
	for _, secret := range []string{"", "0123456789abcdef"} {
		t.Run(fmt.Sprint("encrypted=", secret != ""), func(t *testing.T) {
			nodes := testCluster(t, 2, testOptions{secret: secret})
			a, b := nodes[0], nodes[1]
			room := a.capacity.room(1)
			arrived := func(size int) bool {
				message := (&wire.Head{ID: store.OriginID{Node: fmt.Sprint("x", size), Incarnation: 1}, Sequence: 1, Parts: 1, Wall: a.store.Now()}).Append(nil)
				message = append(message, make([]byte, size-len(message))...) // no entry has kind 0: it is counted as unreadable
				ignored := func() uint64 { return b.bulletin().counts.Ignored }
				before := ignored()
				if err := a.serf.UserEvent(eventName, message, false); err != nil {
					return false
				}
				deadline := time.Now().Add(2 * time.Second)
				poll := time.NewTicker(10 * time.Millisecond)
				defer poll.Stop()
				for ignored() == before && time.Now().Before(deadline) {
					<-poll.C
				}
				return ignored() > before
			}
			if !arrived(room) {
				t.Errorf("at first, a payload of %d bytes, the whole budget, did not arrive", room)
			}
			b.poison(a, 1<<40)
			if !arrived(room - 1) {
				t.Errorf("a payload of %d bytes did not arrive", room-1)
			}
			eventually(t, 5*time.Second, "nothing waits", func() bool { return queued(a.serf) == 0 })
			if !arrived(room) {
				t.Errorf("a payload of %d bytes, the whole budget, did not arrive", room)
			}
			eventually(t, 5*time.Second, "nothing waits", func() bool { return queued(a.serf) == 0 })
			if arrived(room + 1) {
				t.Errorf("a payload of %d bytes arrived: the budget is too small", room+1)
			}
		})
	}
}

// TestSecrets: members that know the secret form a cluster, while one that does not
// gets in neither by gossip nor by HTTP. Secrets can be changed one node at a time.
func TestSecrets(t *testing.T) {
	const old, fresh = "the old secret of the cluster", "the new secret of the cluster"
	nodes := []*testNode{newTestNode(t, testOptions{name: "a", secret: old + "\n" + fresh})}
	nodes = append(nodes,
		newTestNode(t, testOptions{name: "b", secret: fresh + "\n" + old, join: nodes[0].Address()}),
		newTestNode(t, testOptions{name: "c", secret: old + "\n" + fresh, join: nodes[0].Address()}))
	nodes[0].count(2000, 500) // so that there are pulls
	eventually(t, 10*time.Second, "all agree", func() bool { return agree(nodes, 2000) })

	stranger := newTestNode(t, testOptions{name: "s", secret: "some other secret", join: nodes[0].Address()})
	if n := len(stranger.serf.Members()); n != 1 {
		t.Errorf("the stranger sees %d members", n)
	}
	for name, prepare := range map[string]func(*http.Request){
		"nothing":     func(*http.Request) {},
		"the name":    func(r *http.Request) { r.Header.Set("Remuda-Cluster", "remuda") },
		"a bad mac":   func(r *http.Request) { stranger.secrets.Sign(r, "remuda", nil) },
		"other query": func(r *http.Request) { nodes[1].secrets.Sign(r, "remuda", nil); r.URL.RawQuery += "&x=1" },
		"other body": func(r *http.Request) {
			r.Method, r.URL.Path, r.URL.RawQuery = http.MethodPost, marksPath, ""
			nodes[1].secrets.Sign(r, "remuda", []byte("what was signed"))
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("something else")), 14
		},
		"no mac": func(r *http.Request) {
			nodes[1].secrets.Sign(r, "remuda", nil)
			r.Header.Del("Remuda-Mac")
		},
	} {
		r, err := http.NewRequest(http.MethodGet, nodes[0].server.URL+statePath+"?origin=a&incarnation=1&after=0", nil)
		if err != nil {
			t.Fatal(err)
		}
		prepare(r)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusForbidden {
			t.Errorf("with %s: status %d", name, answer.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestR10 starts a second node of a name that is in use: the younger one ends, and
// the older one goes on.
func TestR10(t *testing.T) {
	nodes := testCluster(t, 3, testOptions{})
	second := newTestNode(t, testOptions{name: "b", join: nodes[0].Address()})
	select {
	case err := <-second.ended:
		if !errors.Is(err, ErrNameTaken) {
			t.Errorf("the younger ends with %v", err)
		}
	case err := <-nodes[1].ended:
		t.Fatalf("the older ends: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("nobody yields")
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	nodes[1].count(100, 5)
	eventually(t, 20*time.Second, "the older is heard again", func() bool { return nodes[0].calls() == 100 && nodes[2].calls() == 100 })
}

// TestLeave: the last that was counted is with the others before a node has left.
func TestLeave(t *testing.T) {
	nodes := testCluster(t, 3, testOptions{})
	nodes[2].count(5000, 800)
	nodes[2].stop()
	if err := <-nodes[2].ended; err != nil {
		t.Fatal(err)
	}
	if err := nodes[2].Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes[:2] {
		if got := n.calls(); got != 5000 {
			t.Errorf("%s has %d calls when the node has left, want 5000", n.options.Node, got)
		}
	}
	eventually(t, 5*time.Second, "it has left", func() bool {
		for _, m := range nodes[0].store.Members() {
			if m.Name == "c" {
				return m.State == "left" && !m.Known && !m.Stale
			}
		}
		return false
	})
}

// TestLeaveTogether: of nodes that end at the same time each has its last taken by
// those that are still there, and none says that it may be lost.
func TestLeaveTogether(t *testing.T) {
	var said syncBuffer
	nodes := testCluster(t, 3, testOptions{logger: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	for _, n := range nodes {
		n.count(5000, 800)
		n.stop()
		if err := <-n.ended; err != nil {
			t.Fatal(err)
		}
	}
	var leaving sync.WaitGroup
	for _, n := range nodes {
		leaving.Go(func() {
			if err := n.Leave(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	leaving.Wait()
	if strings.Contains(said.String(), "the last that was counted") {
		t.Error(said.String())
	}
	if !slices.ContainsFunc(nodes, func(n *testNode) bool { return n.calls() == 15_000 }) {
		t.Error("no node has all, the last that left neither")
	}
}

// TestMembersAreSeenBetweenTicks: who comes and goes is seen at once, however long ticks are.
func TestMembersAreSeenBetweenTicks(t *testing.T) {
	a := newTestNode(t, testOptions{name: "a", tick: time.Hour})
	b := newTestNode(t, testOptions{name: "b", tick: time.Hour, join: a.Address()})
	sees := func(n *testNode, state string) func() bool {
		return func() bool {
			return slices.ContainsFunc(n.store.Members(), func(m store.Member) bool { return m.Name != n.options.Node && m.State == state })
		}
	}
	eventually(t, 5*time.Second, "a sees b", sees(a, "alive"))
	eventually(t, 5*time.Second, "b sees a", sees(b, "alive"))
	if err := b.serf.Leave(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "a sees that b has left", sees(a, "left"))
}
