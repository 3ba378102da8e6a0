package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"remuda/cmd/remuda/internal/client"
	"remuda/httpapi/layout"
)

type topCommand struct {
	target
	Once     bool              `help:"Print one frame and exit."`
	Sort     string            `default:"key" enum:"key,calls,success,p95,status" help:"Order of the rows: ${enum}."`
	Interval time.Duration     `default:"500ms" help:"Time between frames."`
	Query    map[string]string `short:"q" mapsep:"," help:"Filters and window: chain=base,window=5m"`
}

// Help is the long help of the command.
func (topCommand) Help() string {
	return `Example: remuda top -q window=5m --sort p95

— is no data and 0 is zero. q or Ctrl-C ends it.`
}

var errSeen = errors.New("seen")

// Run shows the table until it is interrupted.
func (c *topCommand) Run(ctx context.Context) error {
	base, err := c.base()
	if err != nil {
		return err
	}
	query := url.Values{"interval": {c.Interval.String()}}
	for k, v := range c.Query {
		query.Set(k, v)
	}
	if c.Once || !term.IsTerminal(int(os.Stdout.Fd())) {
		return c.once(ctx, base, query)
	}
	return c.live(ctx, base, query)
}

// once prints the first snapshot. An unreachable node is an error, not something
// to wait for.
func (c *topCommand) once(ctx context.Context, base string, query url.Values) error {
	var rows client.Rows
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := client.Follow(ctx, base, "/api/v1/providers", query, func(e client.Event) error {
		if e.Name != "snapshot" {
			return nil
		}
		if err := rows.Apply(e); err != nil {
			return err
		}
		return errSeen
	}, func(err error) { cancel(fmt.Errorf("no answer from %s: %w", base, err)) })
	if !errors.Is(err, errSeen) {
		return err
	}
	_, err = os.Stdout.Write(c.table(&rows, ""))
	return err
}

// live repaints the screen at every frame.
func (c *topCommand) live(ctx context.Context, base string, query url.Values) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before, err := term.MakeRaw(int(os.Stdin.Fd()))
	if err == nil {
		defer func() { _ = term.Restore(int(os.Stdin.Fd()), before) }()
		go readKeys(cancel) // ends with the program: a read of a terminal cannot be called off
	}
	fmt.Print("\x1b[?1049h\x1b[?25l") // alternate screen, no cursor
	defer fmt.Print("\x1b[?25h\x1b[?1049l")

	var mu sync.Mutex
	var rows client.Rows
	state, at := "connecting", time.Now()
	paint := func() {
		mu.Lock()
		defer mu.Unlock()
		width, height, err := term.GetSize(int(os.Stdout.Fd()))
		if err != nil {
			width, height = 80, 24
		}
		line := state
		if state == "live" {
			line = fmt.Sprintf("live %.1f s", time.Since(at).Seconds())
		}
		screen := cutLines(c.table(&rows, line), width, height)
		_, _ = os.Stdout.Write(append([]byte("\x1b[H"), screen...)) // a lost terminal ends the program by signal
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	painter := make(chan struct{})
	go func() {
		defer close(painter)
		ticker := time.NewTicker(250 * time.Millisecond)
		defer ticker.Stop()
		for {
			paint()
			select {
			case <-ctx.Done():
				return
			case <-resized:
			case <-ticker.C:
			}
		}
	}()
	err = client.Follow(ctx, base, "/api/v1/providers", query, func(e client.Event) error {
		mu.Lock()
		defer mu.Unlock()
		state, at = "live", time.Now()
		if e.Name == "bye" {
			state = "the node is shutting down"
		}
		return rows.Apply(e)
	}, func(err error) {
		mu.Lock()
		defer mu.Unlock()
		state = "disconnected, trying again: " + err.Error()
	})
	cancel()
	<-painter
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func readKeys(quit func()) {
	key := make([]byte, 1)
	for {
		n, err := os.Stdin.Read(key)
		if err != nil || n == 1 && (key[0] == 'q' || key[0] == 3 || key[0] == 4) {
			quit()
			return
		}
	}
}

// cutLines fits text to a screen and clears what was there.
func cutLines(text []byte, width, height int) []byte {
	var b bytes.Buffer
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for i, line := range lines[:min(len(lines), height)] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		if utf8.RuneCountInString(line) > width {
			line = string([]rune(line)[:width])
		}
		b.WriteString(line + "\x1b[K")
	}
	b.WriteString("\x1b[J")
	return b.Bytes()
}

// topRow is what the table shows of a provider.
type topRow struct {
	Key        string
	Chain      string   `json:"chain"`
	ProviderID string   `json:"provider_id"`
	Status     string   `json:"status"`
	Calls      uint64   `json:"total_calls"`
	Rate       *float64 `json:"calls_per_second"`
	Success    *float64 `json:"success_rate_pct"`
	CutOff     *float64 `json:"cut_off_pct"`
	P50        *float64 `json:"p50_latency_ms"`
	P95        *float64 `json:"p95_latency_ms"`
	P99        *float64 `json:"p99_latency_ms"`
	Lag        *float64 `json:"block_lag_blocks"`
	Traffic    *float64 `json:"traffic_pct"`
	Circuit    struct {
		HTTP string `json:"http"`
		WS   string `json:"ws"`
	} `json:"circuit"`
	LastSeenAt *int64 `json:"last_seen_at"`
}

// table lays out the rows; state is shown in the head of a live one.
func (c *topCommand) table(rows *client.Rows, state string) []byte {
	var list []topRow
	for _, raw := range rows.ByKey {
		var r topRow
		if json.Unmarshal(raw, &r) == nil {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b topRow) int {
		return orKey(c.compare(&a, &b), strings.Compare(a.Key, b.Key))
	})
	m := &rows.Meta
	cells := [][]string{{"CHAIN", "PROVIDER", "STATUS", "HTTP", "WS", "CALLS/S", "CALLS", "SUCCESS%", "CUT%", "P50MS", "P95MS", "P99MS", "LAG", "TRAFFIC%", "LAST"}}
	for i := range list {
		r := &list[i]
		last := "—"
		if r.LastSeenAt != nil {
			last = (time.Duration(max(m.At-*r.LastSeenAt, 0)) * time.Millisecond).Round(100 * time.Millisecond).String()
		}
		cells = append(cells, []string{
			clean(r.Chain), clean(r.ProviderID), clean(r.Status), clean(r.Circuit.HTTP), clean(r.Circuit.WS), number(r.Rate, 1),
			strconv.FormatUint(r.Calls, 10), number(r.Success, 2), number(r.CutOff, 2), number(r.P50, 1), number(r.P95, 1), number(r.P99, 1),
			number(r.Lag, 0), number(r.Traffic, 1), last,
		})
	}
	if i := slices.Index(cells[0], "CUT%"); !slices.ContainsFunc(list, func(r topRow) bool { return orZero(r.CutOff) > 0 }) {
		for n := range cells { // most gateways cut nothing off
			cells[n] = slices.Delete(cells[n], i, i+1)
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "node %s  window %v  nodes %d/%d  senders %d/%d  revision %d", clean(m.Node), time.Duration(m.Window)*time.Millisecond,
		m.Coverage.Nodes.Reporting, m.Coverage.Nodes.Known, m.Coverage.Senders.Reporting, m.Coverage.Senders.Known, m.Revision)
	if state != "" {
		fmt.Fprintf(&b, "  %s", clean(state))
	}
	b.WriteString("\n\n")
	numeric := make([]bool, len(cells[0]))
	for i := range numeric {
		numeric[i] = i >= 5 // the first say which provider, and how it is
	}
	b.Write(layout.Append(nil, cells, numeric))
	if len(list) == 0 {
		b.WriteString("no data yet\n")
	}
	return b.Bytes()
}

func (c *topCommand) compare(a, b *topRow) int {
	switch c.Sort {
	case "calls":
		return descending(float64(a.Calls), float64(b.Calls))
	case "p95":
		return descending(orZero(a.P95), orZero(b.P95))
	case "success":
		return -descending(orHundred(a.Success), orHundred(b.Success))
	case "status":
		return slices.Index(statusOrder, a.Status) - slices.Index(statusOrder, b.Status)
	}
	return 0
}

// statusOrder is the statuses, the most alarming first.
var statusOrder = []string{"circuit_open", "rate_limited", "recovering", "failing", "degraded", "lagging", "healthy", "unknown"}

func orKey(order, byKey int) int {
	if order != 0 {
		return order
	}
	return byKey
}

func descending(a, b float64) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}

func orZero(f *float64) float64 {
	if f == nil {
		return 0
	}
	return *f
}

func orHundred(f *float64) float64 {
	if f == nil {
		return 100
	}
	return *f
}

func number(f *float64, decimals int) string {
	if f == nil {
		return "—"
	}
	return strconv.FormatFloat(*f, 'f', decimals, 64)
}

// clean keeps what a server sends from steering the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '·'
		}
		return r
	}, s)
}
