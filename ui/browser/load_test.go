package browser

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/systeminfo"
	"github.com/chromedp/chromedp"
)

// cpu is the processor time that the processes of the browser have used, in seconds, by kind.
func (p *page) cpu() map[string]float64 {
	p.tb.Helper()
	var used map[string]float64
	p.do("cpu", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		info, err := cdp.Call(ctx, chromedp.FromContext(ctx).Browser, systeminfo.GetProcessInfo, cdp.Empty{})
		if err != nil {
			return err
		}
		used = make(map[string]float64)
		for _, process := range info.ProcessInfo {
			used[process.Type] += process.CPUTime
		}
		return nil
	}))
	return used
}

// heap is the bytes of live objects of the page.
func (p *page) heap() float64 {
	p.tb.Helper()
	var used float64
	p.do("heap", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := cdp.Call(ctx, t, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
			return err
		}
		usage, err := cdp.Call(ctx, t, runtime.GetHeapUsage, cdp.Empty{})
		used = usage.UsedSize
		return err
	}))
	return used
}

// TestLoad: with 40 providers on 6 chains and 5,000 decisions a minute the page
// takes less than a tenth of a processor, and its heap does not grow. LOAD_SECONDS
// makes it longer than a test suite likes.
func TestLoad(t *testing.T) {
	seconds := 12
	if n, err := strconv.Atoi(os.Getenv("LOAD_SECONDS")); err == nil {
		seconds = n
	}
	n := startNode(t)
	ctx, cancel := context.WithCancel(context.Background())
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		feed(ctx, n)
	}()
	defer func() {
		cancel()
		<-fed
	}()
	p := openPage(t, n, "/")
	p.shows("all of them", `document.querySelectorAll('.matrix td[data-key]').length === 240`)
	settle := time.NewTimer(4 * time.Second)
	<-settle.C
	heapBefore := p.heap()
	least := 100.0 // of three stretches: what else the machine does only adds
	for range 3 {
		before, began := p.cpu(), time.Now()
		measure := time.NewTimer(time.Duration(seconds) * time.Second / 3)
		<-measure.C
		after, took := p.cpu(), time.Since(began).Seconds()
		total := 0.0
		for kind := range after {
			total += 100 * (after[kind] - before[kind]) / took
		}
		page := 100 * (after["renderer"] - before["renderer"]) / took
		t.Logf("the page takes %.1f %% of a core, all processes of the browser %.1f %%, over %.0f s", page, total, took)
		least = min(least, page)
	}
	heapAfter := p.heap()
	t.Logf("heap %.2f MB, then %.2f MB", heapBefore/1e6, heapAfter/1e6)
	if least > 10 {
		t.Errorf("the page takes %.1f %% of a core", least)
	}
	if heapAfter > heapBefore+1.5e6 {
		t.Errorf("the heap grows from %.0f to %.0f bytes", heapBefore, heapAfter)
	}
}

// feed posts 5,000 decisions a minute of 40 providers on 6 chains.
func feed(ctx context.Context, n *node) {
	rng := rand.New(rand.NewPCG(1, 1))
	chains := []string{"ethereum", "base", "arbitrum", "polygon", "ethereum-sepolia", "base-sepolia"}
	line := func(i int) string {
		return decision(chains[i%6], fmt.Sprintf("provider_%02d", i/6%40), "success", 20+rng.ExpFloat64()*60, `,"source_region":"eu-west-1"`)
	}
	var first []string
	for i := range 240 {
		first = append(first, line(i))
	}
	n.post(first...)
	ticker := time.NewTicker(300 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			var lines []string
			for range 25 {
				lines = append(lines, line(rng.IntN(240)))
			}
			n.post(lines...)
		}
	}
}
