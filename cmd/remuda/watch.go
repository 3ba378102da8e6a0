package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"remuda/cmd/remuda/internal/client"
)

// target is the node that client commands talk to.
type target struct {
	URL string `arg:"" optional:"" env:"REMUDA_URL" default:"http://127.0.0.1:7400" help:"URL of the node."`
}

// base is the URL, checked.
func (t *target) base() (string, error) { return checkURL(t.URL) }

func checkURL(raw string) (string, error) {
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", usagef("%q is not the URL of a node, such as http://127.0.0.1:7400", raw)
	}
	return strings.TrimRight(u.Scheme+"://"+u.Host+u.Path, "/"), nil
}

type watchCommand struct {
	target
	Interval time.Duration     `default:"500ms" help:"Time between frames."`
	Query    map[string]string `short:"q" mapsep:"," help:"Filters and window: chain=base,window=5m"`
}

// Help is the long help of the command.
func (watchCommand) Help() string {
	return `Example: remuda watch | jq -c 'select(.event=="delta") | .upsert[] | [.key, .status]'

The first line is a snapshot, the others what changed since. After a lost
connection it goes on where it was, or with a new snapshot.`
}

// Run prints frames until it is interrupted or nobody reads them.
func (c *watchCommand) Run(ctx context.Context) error {
	base, err := c.base()
	if err != nil {
		return err
	}
	query := url.Values{"interval": {c.Interval.String()}}
	for k, v := range c.Query {
		query.Set(k, v)
	}
	out := bufio.NewWriterSize(os.Stdout, 64<<10)
	err = client.Follow(ctx, base, "/api/v1/providers", query, func(e client.Event) error {
		if e.Name == "hello" || !bytes.HasPrefix(e.Data, []byte("{")) {
			return nil
		}
		_, _ = fmt.Fprintf(out, `{"event":%q,`, e.Name) // the writer keeps its error for Flush
		_, _ = out.Write(e.Data[1:])
		_ = out.WriteByte('\n')
		return out.Flush()
	}, func(err error) { fmt.Fprintln(os.Stderr, "remuda: connection lost, trying again: "+err.Error()) })
	return quietEnd(ctx, err)
}

// quietEnd makes the ends that a user means no error: an interrupt, and a reader
// of the pipe that has seen enough.
func quietEnd(ctx context.Context, err error) error {
	interrupted := errors.Is(err, context.Canceled) && ctx.Err() != nil
	if !interrupted && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	return nil
}
