package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A processCluster is some members that are processes of their own, and an oracle
// beside them: it keeps what each member acknowledged, and what was sent to it
// without an answer.
type processCluster struct {
	t       *testing.T
	members []*member
	client  *http.Client // for events; as patient as a frozen member needs
	reader  *http.Client
}

// A member is a process of the program, through all of its runs.
type member struct {
	c            *processCluster
	name         string
	http, gossip string   // addresses
	bind         string   // of --http, when it is another
	join         []string // gossip addresses
	flags        []string
	prefix       []string      // of the command
	clock        time.Duration // by how much it is ahead
	env          []string
	providers    int // that its events are of; default 23
	log          string

	process *exec.Cmd
	ended   chan struct{} // closed when the process has

	posting sync.Mutex // held while a body is on its way
	tally   tally
	serial  int
}

// A tally is exact, in events.
type tally struct{ acknowledged, unanswered, refused uint64 }

func newProcessCluster(t *testing.T) *processCluster {
	c := &processCluster{
		t: t, client: &http.Client{Timeout: 3 * time.Minute, Transport: &http.Transport{}},
		reader: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}},
	}
	t.Cleanup(func() {
		c.client.CloseIdleConnections()
		c.reader.CloseIdleConnections()
	})
	return c
}

// add makes a member that is not started yet.
func (c *processCluster) add(name string, flags ...string) *member {
	m := &member{
		c: c, name: name, http: freeAddress(c.t), gossip: freeAddress(c.t), flags: flags,
		log: filepath.Join(c.t.TempDir(), "log"),
	}
	c.members = append(c.members, m)
	return m
}

// startCluster starts members who all know each other's addresses, and waits until
// each sees all.
func startCluster(t *testing.T, names ...string) *processCluster {
	t.Helper()
	c := newProcessCluster(t)
	for _, name := range names {
		c.add(name)
	}
	c.start()
	return c
}

func (c *processCluster) start() {
	c.t.Helper()
	for _, m := range c.members {
		for _, other := range c.members {
			if other != m {
				m.join = append(m.join, other.gossip)
			}
		}
	}
	for _, m := range c.members {
		m.start()
	}
	for _, m := range c.members {
		m.await()
	}
	c.whole()
}

// whole waits until each running member sees all of them, and has heard of them.
func (c *processCluster) whole() {
	c.t.Helper()
	eventually(c.t, 60*time.Second, "all see all", func() bool {
		for _, m := range c.members {
			alive := 0
			for _, s := range m.view() {
				if s.State == "alive" && !s.Stale && !s.Restarting {
					alive++
				}
			}
			if alive != len(c.members) {
				return false
			}
		}
		return true
	})
}

var portsTaken struct {
	sync.Mutex
	ports map[int]bool
}

// freeAddress returns an address of this machine that is free for both TCP and UDP,
// and below the ports that systems give to connections.
func freeAddress(t *testing.T) string {
	t.Helper()
	portsTaken.Lock()
	defer portsTaken.Unlock()
	if portsTaken.ports == nil {
		portsTaken.ports = make(map[int]bool)
	}
	for range 1000 {
		port := 10_000 + rand.IntN(20_000)
		address := fmt.Sprint("127.0.0.1:", port)
		if portsTaken.ports[port] {
			continue
		}
		stream, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		packets, err := net.ListenPacket("udp", address)
		_ = stream.Close()
		if err != nil {
			continue
		}
		_ = packets.Close()
		portsTaken.ports[port] = true
		return address
	}
	t.Fatal("no port is free")
	return ""
}

// start starts a run of the member. It may not answer yet.
func (m *member) start() {
	t := m.c.t
	t.Helper()
	bind := m.bind
	if bind == "" {
		bind = m.http
	}
	args := slices.Concat(m.prefix, []string{"remuda", "serve", "--http", bind, "--gossip", m.gossip, "--cluster", "t", "--node", m.name, "--region", "r-" + m.name},
		m.flags)
	if len(m.join) > 0 {
		args = append(args, "--join", strings.Join(m.join, ","))
	}
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = log
	cmd.Env = append(os.Environ(), "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0", // or it takes a second to exit
		clockVariable+"="+m.clock.String())
	cmd.Env = append(cmd.Env, m.env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // what it says is in the state of the process
		close(ended)
	}()
	first := m.process == nil
	m.process, m.ended = cmd, ended
	if first {
		t.Cleanup(func() {
			m.kill()
			text := m.logged()
			if strings.Contains(text, "panic") || strings.Contains(text, "DATA RACE") || t.Failed() {
				t.Errorf("the log of %s ends with\n%s", m.name, text[max(0, len(text)-6000):])
			}
		})
	}
}

func (m *member) logged() string {
	text, err := os.ReadFile(m.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// await waits until the member answers.
func (m *member) await() {
	m.c.t.Helper()
	eventually(m.c.t, 30*time.Second, m.name+" answers", func() bool {
		select {
		case <-m.ended:
			m.c.t.Fatalf("%s ended: %v", m.name, m.process.ProcessState)
		default:
		}
		return m.read("/healthz", nil) == nil
	})
}

func (m *member) signal(s os.Signal) {
	if err := m.process.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		m.c.t.Errorf("%v to %s: %v", s, m.name, err)
	}
}

// kill ends the member as kill -9 does.
func (m *member) kill() {
	m.signal(syscall.SIGKILL)
	<-m.ended
}

// exits waits until the member has ended, and returns its status.
func (m *member) exits(patience time.Duration) int {
	m.c.t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-m.ended:
	case <-timeout.C:
		m.c.t.Fatalf("%s did not end within %v", m.name, patience)
	}
	return m.process.ProcessState.ExitCode()
}

// drains ends the member by SIGTERM: with status 0 within 10 s.
func (m *member) drains() {
	m.c.t.Helper()
	began := time.Now()
	m.signal(syscall.SIGTERM)
	if status := m.exits(10 * time.Second); status != 0 {
		m.c.t.Errorf("%s ends with status %d", m.name, status)
	}
	if took := time.Since(began); took > 3*time.Second {
		text := m.logged()
		m.c.t.Logf("%s took %v to end; its log ends with\n%s", m.name, took.Round(time.Millisecond), text[max(0, len(text)-3000):])
	}
}

// read gets a document of the member.
func (m *member) read(path string, into any) error {
	answer, err := m.c.reader.Get("http://" + m.http + path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %s", path, answer.StatusCode, body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

type memberState struct {
	Name, State       string
	Stale, Restarting bool
	Incarnation       uint64
	HTTPAddr          string  `json:"http_addr"`
	ClockSkewMillis   *int64  `json:"clock_skew_ms"`
	DivergenceTotal   *uint64 `json:"divergence_total"`
}

// view is how the member sees the cluster; nil when it does not answer.
func (m *member) view() map[string]memberState {
	var doc struct{ Members []memberState }
	if m.read("/api/v1/cluster", &doc) != nil {
		return nil
	}
	view := make(map[string]memberState)
	for _, s := range doc.Members {
		view[s.Name] = s
	}
	return view
}

// rows is what the member shows of the last 15 minutes: its text, and the calls by key.
func (m *member) rows(path string) (text string, calls map[string]uint64, err error) {
	var doc struct{ Rows json.RawMessage }
	fields := "key,total_calls,error_count,samples,requests,p50_latency_ms,p90_latency_ms,p95_latency_ms,p99_latency_ms,max_latency_ms,failure_p95_latency_ms"
	if err := m.read(path+"?window=15m&limit=1000&fields="+fields, &doc); err != nil {
		return "", nil, err
	}
	var rows []struct {
		Key        string
		TotalCalls uint64 `json:"total_calls"`
	}
	if err := json.Unmarshal(doc.Rows, &rows); err != nil {
		return "", nil, err
	}
	calls = make(map[string]uint64)
	for _, r := range rows {
		calls[r.Key] += r.TotalCalls
	}
	return string(doc.Rows), calls, nil
}

func (m *member) total() (sum uint64, err error) {
	_, calls, err := m.rows("/api/v1/providers")
	for calls := range maps.Values(calls) {
		sum += calls
	}
	return sum, err
}

// countedBy is how many calls that another counted the member has.
func (m *member) countedBy(name string) uint64 {
	_, calls, err := m.rows("/api/v1/nodes")
	if err != nil {
		m.c.t.Errorf("ask %s for what %s counted: %v", m.name, name, err)
	}
	return calls[name]
}

// post sends a body of events and books what becomes of it.
func (m *member) post(events int) {
	m.posting.Lock()
	defer m.posting.Unlock()
	var body bytes.Buffer
	for range events {
		m.serial++
		result := "success"
		if m.serial%17 == 0 {
			result = "error"
		}
		fmt.Fprintf(&body, `{"request_id":"%s_%d","chain":"base","method":"eth_call","provider_id":"p%d","duration_ms":%.1f,"result":"%s"}`+"\n",
			m.name, m.serial, m.serial%cmp.Or(m.providers, 23), 5+float64(m.serial*37%900)/2, result)
	}
	answer, err := m.c.client.Post("http://"+m.http+"/api/v1/events", "application/x-ndjson", bytes.NewReader(body.Bytes()))
	if err != nil {
		if network := (*net.OpError)(nil); !errors.As(err, &network) || network.Op != "dial" { // otherwise nothing was sent
			m.tally.unanswered += uint64(events)
		}
		return
	}
	defer answer.Body.Close()
	var receipt struct{ Accepted uint64 }
	switch err := json.NewDecoder(answer.Body).Decode(&receipt); {
	case answer.StatusCode != http.StatusAccepted:
		m.tally.refused += uint64(events) // and nothing of it is counted
	case err != nil:
		m.tally.unanswered += uint64(events)
	default:
		if receipt.Accepted != uint64(events) {
			m.c.t.Errorf("%s accepts %d of %d events", m.name, receipt.Accepted, events)
		}
		m.tally.acknowledged += receipt.Accepted
	}
}

// booked is the member's tally when nothing is on its way.
func (m *member) booked() tally {
	m.posting.Lock()
	defer m.posting.Unlock()
	return m.tally
}

func (c *processCluster) booked() (sum tally) {
	for _, m := range c.members {
		of := m.booked()
		sum.acknowledged += of.acknowledged
		sum.unanswered += of.unanswered
		sum.refused += of.refused
	}
	return sum
}

// load posts some hundred events a second to each member, whatever becomes of them,
// until the returned function is called.
func (c *processCluster) load() (stop func()) {
	done := make(chan struct{})
	var posters sync.WaitGroup
	for _, m := range c.members {
		posters.Go(func() {
			beat := time.NewTicker(50 * time.Millisecond)
			defer beat.Stop()
			for {
				select {
				case <-beat.C:
					m.post(max(10, m.providers/15))
				case <-done:
					return
				}
			}
		})
	}
	return sync.OnceFunc(func() {
		close(done)
		posters.Wait()
	})
}

// agree waits until all members show the same, percentiles included, and as many
// calls as were acknowledged, or up to as many more as have had no answer.
func (c *processCluster) agree(patience time.Duration) (calls uint64, took time.Duration) {
	c.t.Helper()
	of := c.booked()
	return c.agreeOn(patience, of.acknowledged, of.acknowledged+of.unanswered)
}

func (c *processCluster) agreeOn(patience time.Duration, least, most uint64) (calls uint64, took time.Duration) {
	c.t.Helper()
	shown := ""
	defer func() {
		if c.t.Failed() {
			c.t.Logf("%d to %d calls are wanted; last were shown: %s", least, most, shown)
		}
	}()
	took = eventually(c.t, patience, "all members show the same, and all that there is", func() bool {
		texts := make(map[string]bool)
		shown = ""
		for _, m := range c.members {
			text, _, err := m.rows("/api/v1/providers")
			if err == nil {
				calls, err = m.total()
			}
			shown += fmt.Sprintf(" %s: %d %v", m.name, calls, err)
			texts[text] = true
			if err != nil || calls < least || calls > most {
				texts[m.name] = true
			}
		}
		return len(texts) == 1
	})
	for _, m := range c.members {
		view := m.view()
		if len(view) < len(c.members) {
			c.t.Errorf("%s lists %d members", m.name, len(view))
		}
		for name, s := range view {
			if s.DivergenceTotal == nil || *s.DivergenceTotal != 0 {
				c.t.Errorf("%s counts divergences of %s: %+v", m.name, name, s)
			}
		}
	}
	return calls, took
}

// eventually waits until something holds, and returns how long that took.
func eventually(t *testing.T, patience time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	poll := time.NewTicker(25 * time.Millisecond)
	defer poll.Stop()
	for !holds() {
		if time.Since(began) > patience {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-poll.C
	}
	return time.Since(began)
}
