package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

type membersCommand struct {
	target
}

// Help is the long help of the command.
func (membersCommand) Help() string {
	return `Example: remuda members http://127.0.0.1:7400

One line for each member, as the node asked sees it. stale: nothing has come from
it for three ticks, or not all. What a member counted stays in the windows whatever
its state. The same as JSON: /api/v1/cluster.`
}

// Run prints the members once.
func (c *membersCommand) Run(ctx context.Context) error {
	base, err := c.base()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	fields := "name,state,stale,restarting,reporting,region,http_addr,sequence,delta_age_ms,inline_share,pulls_total,clock_skew_ms"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/cluster?format=table&fields="+fields, nil)
	if err != nil {
		return err
	}
	answer, err := defaultClient().Do(r)
	if err != nil {
		var failed *url.Error // it names the whole query
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return fmt.Errorf("no answer from %s: %w", base, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 300))
		return fmt.Errorf("%s answers %d: %s", base, answer.StatusCode, text)
	}
	_, err = io.Copy(os.Stdout, answer.Body)
	return err
}
