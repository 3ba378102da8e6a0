package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"remuda/cmd/remuda/internal/node"
	"remuda/cmd/remuda/internal/traffic"
)

type demoCommand struct {
	HTTP string `name:"http" default:"127.0.0.1:0" help:"Address of the first node; port 0 takes a free one."`
	Rate int    `default:"400" help:"Decisions a second."`
	Seed uint64 `default:"1" help:"Seed of the traffic."`
}

// Help is the long help of the command.
func (demoCommand) Help() string {
	return `Example: remuda demo --rate 2000

Three real nodes of one cluster on free ports of this machine, each fed over HTTP by
the gateway of its region. Once a minute base_llamarpc fails for 25 seconds: its
circuit opens, requests fail over, and it comes back. And once a minute the node lhr
is killed without a word and comes back 10 seconds later: what it had counted stays.
Ctrl-C ends it.`
}

// A demoNode is one of the nodes, through all of its runs.
type demoNode struct {
	options node.Options
	url     string
}

// The third node dies killAfter the start of each killEvery, and is away for killFor.
const (
	killEvery = time.Minute
	killAfter = 40 * time.Second
	killFor   = 10 * time.Second
)

// Run runs the demonstration until it is interrupted.
func (c *demoCommand) Run(ctx context.Context) error {
	if c.Rate < 1 || c.Rate > 100_000 {
		return usagef("--rate %d: must be from 1 to 100000", c.Rate)
	}
	if err := (&serveCommand{HTTP: c.HTTP}).checkAddresses(); err != nil {
		return err
	}
	outliveReaders()
	log, lines := newLog(os.Stderr, "text", slog.LevelError)
	defer lines.Close()
	group, ctx := errgroup.WithContext(ctx)
	nodes := []*demoNode{
		newDemoNode("iad", "us-east-1", c.HTTP, log), newDemoNode("sjc", "us-west-2", "", log), newDemoNode("lhr", "eu-west-1", "", log),
	}
	seed := ""
	for _, d := range nodes {
		if seed != "" {
			d.options.Join = []string{seed}
		}
		n, err := d.start(ctx)
		if err != nil {
			return errors.Join(err, ctx.Err())
		}
		if seed == "" {
			seed = d.options.Gossip
		}
		if d.options.Node == "lhr" {
			group.Go(func() error { return d.dieAndReturn(ctx, n) })
		} else {
			group.Go(func() error { return n.Run(ctx) })
		}
	}
	fmt.Printf(`dashboard  %[1]s/     the same on %[2]s/ and %[3]s/

  curl '%[1]s/api/v1/providers?format=table'
  curl '%[2]s/api/v1/cluster?format=table'
  curl -N '%[1]s/api/v1/circuits?format=sse'
  remuda top %[1]s

%[4]d decisions a second from gateways in three regions. Of every minute base_llamarpc
fails for 25 s, and the node lhr is killed at second 40 and back at 50. Ctrl-C ends it.
`, nodes[0].url, nodes[1].url, nodes[2].url, c.Rate)
	group.Go(func() error { return c.feed(ctx, nodes) })
	return group.Wait()
}

func newDemoNode(name, region, address string, log *slog.Logger) *demoNode {
	return &demoNode{options: node.Options{
		Node: name, Region: region, HTTP: address, Cluster: "demo", MaxConnections: 1000, Version: buildVersion(), Logger: log,
	}}
}

// start makes a run of the node. Later ones have the addresses of the first.
func (d *demoNode) start(ctx context.Context) (*node.Node, error) {
	n, err := newNode(ctx, d.options)
	if err != nil {
		return nil, err
	}
	if d.url == "" {
		d.options.Gossip, d.options.HTTP, d.url = n.Gossip(), n.Address(), n.URL()
	}
	return n, nil
}

// dieAndReturn runs a node that is killed once a minute.
func (d *demoNode) dieAndReturn(ctx context.Context, n *node.Node) error {
	began := time.Now()
	for round := 0; ; round++ {
		life, kill := context.WithCancelCause(ctx)
		death := time.AfterFunc(time.Until(began.Add(time.Duration(round)*killEvery+killAfter)), func() { kill(node.ErrKilled) })
		err := n.Run(life)
		death.Stop()
		kill(nil)
		if err != nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(killFor):
		case <-ctx.Done():
			return nil
		}
		if n, err = d.start(ctx); err != nil {
			return err
		}
	}
}

// feed posts traffic in real time, ten times a second, each gateway's to the node of
// its region, or to the next one that answers.
func (c *demoCommand) feed(ctx context.Context, nodes []*demoNode) error {
	g := traffic.New(c.Seed, traffic.DefaultOutage)
	const beats = 10
	ticker := time.NewTicker(time.Second / beats)
	defer ticker.Stop()
	began := time.Now()
	posted := 0
	for beat := 0; ; beat++ {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			since := now.Sub(began)
			var lines []byte
			if beat%beats == 0 {
				lines = g.Reports(lines, since, now.UnixMilli())
			}
			for due := int(since.Seconds() * float64(c.Rate)); posted < due; posted++ {
				lines = g.Decision(lines, since, now.UnixMilli())
			}
			for i, part := range byRegion(lines, nodes) {
				if err := deliver(ctx, nodes, i, part); err != nil && ctx.Err() == nil {
					return fmt.Errorf("feed the demonstration: %w", err)
				}
			}
		}
	}
}

// byRegion gives each node the lines of its region, and the first those of others.
func byRegion(lines []byte, nodes []*demoNode) [][]byte {
	parts := make([][]byte, len(nodes))
	for line := range bytes.Lines(lines) {
		to := 0
		for i, d := range nodes {
			if bytes.Contains(line, []byte(`"source_region":"`+d.options.Region+`"`)) {
				to = i
			}
		}
		parts[to] = append(parts[to], line...)
	}
	return parts
}

// deliver posts lines to a node, or to the next one when it cannot be reached.
func deliver(ctx context.Context, nodes []*demoNode, first int, lines []byte) (err error) {
	if len(lines) == 0 {
		return nil
	}
	for i := range nodes {
		var r *http.Request
		r, err = http.NewRequestWithContext(ctx, http.MethodPost, nodes[(first+i)%len(nodes)].url+"/api/v1/events", bytes.NewReader(lines))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/x-ndjson")
		var answer *http.Response
		if answer, err = defaultClient().Do(r); err != nil {
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusAccepted {
			return nil
		}
		err = fmt.Errorf("%s answers %d", r.URL.Host, answer.StatusCode)
	}
	return err
}
