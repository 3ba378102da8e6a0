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

// TestLoad: with 40 providers on 6 chains and 5,000 decisions a minute the overview
// takes less than a tenth of a processor, the table of all 240, which is the heaviest
// there is, not much more at the worst, and their heap does not grow. LOAD_SECONDS
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
	for _, screen := range []struct {
		path, all string
		limit     float64 // % of a core
	}{
		{"/", `document.querySelectorAll('.matrix td[data-key]').length === 240`, 10},
		{"/?view=providers", `document.querySelector('#table-providers table')?.ariaRowCount === '241'`, 20},
	} {
		p := openPage(t, n, screen.path)
		p.shows("all of them", screen.all)
		settle := time.NewTimer(4 * time.Second)
		<-settle.C
		heaps := []float64{p.heap()}
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
			t.Logf("%s takes %.1f %% of a core, all processes of the browser %.1f %%, over %.0f s", screen.path, page, total, took)
			least = min(least, page)
			heaps = append(heaps, p.heap())
		}
		t.Logf("%s: heap %.2f MB, then %.2f", screen.path, heaps[0]/1e6, []float64{heaps[1] / 1e6, heaps[2] / 1e6, heaps[3] / 1e6})
		if least > screen.limit {
			t.Errorf("%s takes %.1f %% of a core", screen.path, least)
		}
		if heaps[3] > heaps[0]+1.5e6 {
			t.Errorf("%s: the heap grows: %.0f bytes", screen.path, heaps)
		}
		p.navigate("about:blank")
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
