// Package client reads the streams of a node.
package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"
)

// maxFrame is the largest frame that is taken: 10,000 rows with room to spare.
const maxFrame = 64 << 20

// An Event is one event of a stream.
type Event struct {
	Name string // hello, snapshot, delta or bye
	ID   string // the cursor
	Data []byte
}

// Follow reads the stream of a path (with its query) on a node until the context
// ends or handle returns an error. When the connection is lost it tries again for
// as long as it takes, from where it was; lost is told why. A node that refuses
// the request is an error at once.
func Follow(ctx context.Context, base, path string, query url.Values, handle func(Event) error, lost func(error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	query = cloneValues(query)
	query.Set("format", "sse")
	c := sse.NewClient(strings.TrimRight(base, "/")+path+"?"+query.Encode(), sse.ClientMaxBufferSize(maxFrame))
	c.ResponseValidator = func(_ *sse.Client, r *http.Response) error {
		if r.StatusCode == http.StatusOK {
			return nil
		}
		body, _ := io.ReadAll(io.LimitReader(r.Body, 16<<10))
		_ = r.Body.Close()
		err := fmt.Errorf("%s: %s", r.Status, problemDetail(body))
		if r.StatusCode >= 400 && r.StatusCode < 500 && r.StatusCode != http.StatusTooManyRequests {
			cancel(err) // it will be refused the next time too
		}
		return err
	}
	for {
		// One try a round: the library gives up after some time, and takes a clean
		// end for the end.
		c.ReconnectStrategy = &backoff.StopBackOff{}
		err := c.SubscribeRawWithContext(ctx, func(e *sse.Event) {
			if len(e.Event) == 0 || ctx.Err() != nil {
				return
			}
			if err := handle(Event{Name: string(e.Event), ID: string(e.ID), Data: e.Data}); err != nil {
				cancel(err)
			}
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		lost(err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

func cloneValues(v url.Values) url.Values {
	out := make(url.Values, len(v)+1)
	for k, list := range v {
		out[k] = append([]string(nil), list...)
	}
	return out
}

func problemDetail(body []byte) string {
	var p struct{ Detail string }
	if json.Unmarshal(body, &p) == nil && p.Detail != "" {
		return p.Detail
	}
	return strings.TrimSpace(string(body))
}

// Meta is what frames say of themselves.
type Meta struct {
	Node     string `json:"node"`
	Revision uint64 `json:"revision"`
	At       int64  `json:"at"`
	Window   int64  `json:"window_ms"`
	Covered  int64  `json:"covered_ms"`
	Coverage struct {
		Nodes, Senders struct {
			Reporting int `json:"reporting"`
			Known     int `json:"known"`
		}
	} `json:"coverage"`
}

// Rows is a collection as a reader of its stream knows it.
type Rows struct {
	Meta  Meta
	ByKey map[string]json.RawMessage
}

// Apply brings the rows up to date with a snapshot or a delta; other events
// change nothing.
func (r *Rows) Apply(e Event) error {
	var frame struct {
		Meta   *Meta             `json:"meta"`
		Rows   []json.RawMessage `json:"rows"`
		Upsert []json.RawMessage `json:"upsert"`
		Remove []string          `json:"remove"`
	}
	if e.Name != "snapshot" && e.Name != "delta" {
		return nil
	}
	if err := json.Unmarshal(e.Data, &frame); err != nil {
		return fmt.Errorf("read a frame: %w", err)
	}
	if frame.Meta != nil {
		r.Meta = *frame.Meta
	}
	if e.Name == "snapshot" {
		r.ByKey = make(map[string]json.RawMessage, len(frame.Rows))
	}
	for _, row := range append(frame.Rows, frame.Upsert...) {
		var k struct{ Key string }
		if err := json.Unmarshal(row, &k); err != nil {
			return fmt.Errorf("read a row: %w", err)
		}
		r.ByKey[k.Key] = row
	}
	for _, key := range frame.Remove {
		delete(r.ByKey, key)
	}
	return nil
}
