package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// node is one node under load.
type node struct {
	name string
	url  *url.URL
	cmd  *exec.Cmd // nil when it was there before
	done chan struct{}
}

var client = &http.Client{Timeout: 20 * time.Second}

// joinTime is how long nodes may take to find each other.
const joinTime = 30 * time.Second

// startNodes starts the nodes of a plan on this machine, as processes of this very
// program, and waits until each knows all others.
func startNodes(ctx context.Context, p *Plan) (nodes []*node, err error) {
	defer func() {
		if err != nil {
			stopNodes(nodes)
		}
	}()
	gossip := make([]string, p.Start)
	if p.Start > 1 {
		if gossip, err = freeAddresses(p.Start); err != nil {
			return nil, err
		}
	}
	for i := range p.Start {
		args := []string{
			"serve", "--http", "127.0.0.1:0", "--log-level", "error", // that all leave at once is no news
			"--node", fmt.Sprintf("node%d", i+1), "--region", nameOf(regionNames, i%p.Regions, "region-"),
		}
		if p.Start > 1 {
			// All name the same member to join, the first itself: the order does not matter.
			args = append(args, "--cluster", p.Profile, "--gossip", gossip[i], "--join", gossip[0])
		}
		n, err := startNode(ctx, append(args, p.NodeFlags...))
		if err != nil {
			return nodes, fmt.Errorf("start node %d of %d: %w", i+1, p.Start, err)
		}
		nodes = append(nodes, n)
	}
	if p.Start > 1 {
		if err := awaitMembers(ctx, nodes); err != nil {
			return nodes, err
		}
	}
	return nodes, nil
}

// startNode runs a node and waits until it says where it serves.
func startNode(ctx context.Context, args []string) (*node, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = apart()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	n := &node{cmd: cmd, done: make(chan struct{})}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	go func() {
		_ = cmd.Wait() // how it ended is its own to say
		close(n.done)
	}()
	_, address, found := strings.Cut(strings.TrimSpace(line), " on ")
	if readErr != nil || !found {
		<-n.done
		return nil, errors.New("it ended at once; what it said is above")
	}
	if n.url, err = url.Parse(address); err != nil {
		stopNodes([]*node{n})
		return nil, fmt.Errorf("it serves on %q: %w", address, err)
	}
	return n, nil
}

// ended reports whether a node that was started here is no more.
func (n *node) ended() bool {
	select {
	case <-n.done: // nil for a node that was there before
		return true
	default:
		return false
	}
}

// stopNodes ends the nodes that were started, all at once.
func stopNodes(nodes []*node) {
	for _, n := range nodes {
		if n.cmd != nil {
			_ = n.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		}
	}
	for _, n := range nodes {
		if n.cmd == nil {
			continue
		}
		select {
		case <-n.done:
		case <-time.After(12 * time.Second):
			_ = n.cmd.Process.Kill() // it may have ended
			<-n.done
		}
	}
}

// freeAddresses finds ports for gossip that nobody has, by UDP and by TCP.
func freeAddresses(count int) ([]string, error) {
	var list []string
	for tries := 0; len(list) < count && tries < 20*count; tries++ {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = tcp.Close() }() // held until all are found
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err != nil {
			continue // somebody has the other half
		}
		defer func() { _ = udp.Close() }()
		list = append(list, tcp.Addr().String())
	}
	if len(list) < count {
		return nil, errors.New("there are no free ports for gossip")
	}
	return list, nil
}

// awaitMembers waits until every node reports all others.
func awaitMembers(ctx context.Context, nodes []*node) error {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for _, n := range nodes {
		for {
			var doc struct {
				Meta struct {
					Coverage struct{ Nodes struct{ Reporting int } }
				}
			}
			err := n.get(ctx, "/api/v1/cluster", &doc)
			if err == nil && doc.Meta.Coverage.Nodes.Reporting == len(nodes) {
				break
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return fmt.Errorf("%s sees %d of %d nodes after %v", n.url, doc.Meta.Coverage.Nodes.Reporting, len(nodes), joinTime)
			}
		}
	}
	return nil
}

// knownNodes are those of --nodes.
func knownNodes(urls []string) ([]*node, error) {
	var nodes []*node
	for _, text := range urls {
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
		u, err := url.Parse(strings.TrimRight(text, "/"))
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, PlanError{fmt.Errorf("%q is not the URL of a node", text)}
		}
		nodes = append(nodes, &node{url: u})
	}
	return nodes, nil
}

// get reads a JSON document.
func (n *node) get(ctx context.Context, path string, into any) error {
	body, err := n.fetch(ctx, path)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

func (n *node) fetch(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url.String()+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return body, err
}

// usage is what a node says of itself at one time. Counters are since its start.
type usage struct {
	cpu                        float64 // seconds
	rss                        float64
	gossipIn, gossipOut, pulls float64
	gaps, divergence           float64
	inline                     float64 // share, mean over members; -1 when nobody says
}

// measure reads what a node says of itself. What it does not say is 0.
func (n *node) measure(ctx context.Context) (usage, error) {
	u := usage{inline: -1}
	text, err := n.fetch(ctx, "/metrics")
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		v, _ := strconv.ParseFloat(value, 64) // comments are not numbers, and have other names
		switch name {
		case "process_cpu_seconds_total":
			u.cpu = v
		case "process_resident_memory_bytes":
			u.rss = v
		}
	}
	var cluster struct {
		Meta    struct{ Node string }
		Members []map[string]any
	}
	if err := n.get(ctx, "/api/v1/cluster", &cluster); err != nil {
		return u, err
	}
	n.name = cluster.Meta.Node
	shares, members := 0.0, 0
	for _, m := range cluster.Members {
		number := func(name string) float64 {
			v, _ := m[name].(float64) // null counts as nothing
			return v
		}
		u.gossipIn += number("bytes_in_total")
		u.gossipOut += number("bytes_out_total")
		u.pulls += number("pulls_total")
		u.gaps += number("gaps_total")
		u.divergence += number("divergence_total")
		if v, ok := m["inline_share"].(float64); ok && m["name"] != n.name {
			shares += v
			members++
		}
	}
	if members > 0 {
		u.inline = shares / float64(members)
	}
	return u, nil
}

// counted is what a node answers for each provider of the run.
func (n *node) counted(ctx context.Context, p *Plan) (map[string]sums, error) {
	var doc struct {
		Rows []counted `json:"rows"`
	}
	q := url.Values{"profile": {p.Profile}, "window": {"1h"}, "limit": {"10000"}, "fields": {countedFields}}
	if err := n.get(ctx, "/api/v1/providers?"+q.Encode(), &doc); err != nil {
		return nil, err
	}
	rows := make(map[string]sums, len(doc.Rows))
	for _, r := range doc.Rows {
		rows[r.Key] = r.sums()
	}
	return rows, nil
}
