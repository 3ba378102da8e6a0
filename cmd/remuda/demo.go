package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"remuda/cmd/remuda/internal/traffic"
)

type demoCommand struct {
	HTTP string `name:"http" default:"127.0.0.1:0" help:"Address to serve on; port 0 takes a free one."`
	Rate int    `default:"400" help:"Decisions a second."`
	Seed uint64 `default:"1" help:"Seed of the traffic."`
}

// Help is the long help of the command.
func (demoCommand) Help() string {
	return `Example: remuda demo --rate 2000

A real node on a free port of this machine, fed over HTTP. Once a minute
base_llamarpc fails for 25 seconds: its circuit opens, requests fail over, and it
comes back. Ctrl-C ends it.`
}

// Run runs the demonstration until it is interrupted.
func (c *demoCommand) Run(ctx context.Context) error {
	if c.Rate < 1 || c.Rate > 100_000 {
		return fmt.Errorf("--rate %d: must be from 1 to 100000", c.Rate)
	}
	if err := (&serveCommand{HTTP: c.HTTP}).checkAddresses(); err != nil {
		return err
	}
	flags := nodeFlags{
		Node: "demo", Region: "us-east-1", Tick: 500 * time.Millisecond, MaxConnections: 1000, WriteTimeout: 10 * time.Second,
	}
	n, err := newNode(&flags, c.HTTP, "", slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	url := n.url()
	fmt.Printf(`dashboard  %[1]s/

  curl '%[1]s/api/v1/providers?format=table'
  curl '%[1]s/api/v1/rank?chain=base' | jq
  curl -N '%[1]s/api/v1/circuits?format=sse'

%[2]d decisions a second; base_llamarpc fails for 25 s of every minute. Ctrl-C ends it.
`, url, c.Rate)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.run(ctx) })
	group.Go(func() error { return c.feed(ctx, url) })
	return group.Wait()
}

// feed posts traffic in real time, ten times a second.
func (c *demoCommand) feed(ctx context.Context, url string) error {
	g := traffic.New(c.Seed, traffic.DefaultOutage)
	s := newDemoSender(url)
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
			b := &batch{}
			var lines []byte
			if beat%beats == 0 {
				lines = g.Reports(lines, since, now.UnixMilli())
			}
			for due := int(since.Seconds() * float64(c.Rate)); posted < due; posted++ {
				lines = g.Decision(lines, since, now.UnixMilli())
			}
			b.body.Write(lines)
			if err := s.post(ctx, b); err != nil && ctx.Err() == nil {
				return fmt.Errorf("feed the demonstration: %w", err)
			}
		}
	}
}

func newDemoSender(url string) *sender {
	return &sender{url: url + "/api/v1/events", retries: 3, client: defaultClient(), report: func(string, ...any) {}, pause: pause}
}
