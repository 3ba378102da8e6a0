package browser

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// providers posts a call of each of some providers on some chains.
func (n *node) providers(chains, each int) {
	n.tb.Helper()
	for c := range chains {
		var lines []string
		for i := range each {
			lines = append(lines, decision(fmt.Sprintf("chain%d", c), fmt.Sprintf("provider_%02d", i), "success", float64(1+i), ""))
		}
		n.post(lines...)
	}
}

// TestRowsInSight: of a large table what is in sight is there, wherever that is, and the
// rest is empty space; the row that has the focus stays, and on paper all are there.
func TestRowsInSight(t *testing.T) {
	n := startNode(t)
	n.providers(12, 40)
	n.post(decision("chain5", "with_a_name_that_is_longer_than_others", "success", 10, ""))
	p := openPage(t, n, "/?view=providers")
	const rows = `[...document.querySelectorAll('#table-providers tbody tr[data-key]')]`
	p.shows("a stretch of the rows", `document.querySelector('#table-providers table')?.ariaRowCount === '482' && `+rows+`.length > 30 && `+rows+`.length < 120`)
	p.shows("the height of all", `(() => { const n = document.querySelector('#table-providers tbody').offsetHeight / `+rows+`[0].getBoundingClientRect().height; return n > 480 && n < 482; })()`)
	p.key("j") // the first row has the focus
	first := eval[string](p, `document.activeElement.closest('tr').dataset.key`)
	for _, at := range []float64{0.5, 1, 0.25} {
		eval[bool](p, fmt.Sprintf(`(scrollTo(0, %v * document.body.scrollHeight), true)`, at))
		p.shows(fmt.Sprintf("no gap in sight at %v", at), `(() => { const gaps = [...document.querySelectorAll('#table-providers tr.gap')].map((g) => g.getBoundingClientRect());
			return scrollY > 0 && gaps.length > 0 && gaps.every((g) => g.bottom <= 0 || g.top >= innerHeight); })()`)
		if order := eval[bool](p, rows+`.map((r) => Number(r.ariaRowIndex)).every((x, i, all) => i === 0 || x > all[i - 1])`); !order {
			t.Errorf("rows are out of order at %v", at)
		}
		if active := eval[string](p, `document.activeElement.closest('tr')?.dataset.key ?? ''`); active != first {
			t.Errorf("at %v the focus is on %q", at, active)
		}
	}
	// Where one scrolls to is where one is, and columns stay as wide.
	const columns = `[...document.querySelectorAll('#table-providers thead th')].map((h) => h.offsetLeft)`
	eval[bool](p, `(window.columns = `+columns+`, true)`)
	if bad := eval[string](p, `(async () => {
		const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
		for (let y = 0; y < document.body.scrollHeight - innerHeight; y += 777) {
			scrollTo(0, y);
			await frame();
			if (scrollY !== y) return 'at ' + scrollY + ' instead of ' + y;
			if (`+columns+`.some((x, i) => Math.abs(x - window.columns[i]) > 6)) return 'at ' + y + ' columns moved from ' + window.columns + ' to ' + `+columns+`;
		}
		return '';
	})()`); bad != "" {
		t.Error(bad)
	}
	// Keys that come faster than the page draws go from row to row all the same.
	eval[bool](p, `(() => { for (const key of 'jjjjjjk') document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })); return true; })()`)
	p.shows("the next row, in sight", `(() => { const r = document.activeElement.getBoundingClientRect(); return document.activeElement.closest('tr').ariaRowIndex === '7' && r.top >= 0 && r.bottom <= innerHeight; })()`)
	if printed := eval[int](p, `(() => { dispatchEvent(new Event('beforeprint')); const n = `+rows+`.length; dispatchEvent(new Event('afterprint')); return n; })()`); printed != 481 {
		t.Errorf("%d rows are printed", printed)
	}
}

// TestInput measures how long it takes from a key to the drawing of what it does: 480 rows
// that change, sorted by another column, on a processor a quarter as fast. INPUTS is how
// often; without it only that it works is tested.
func TestInput(t *testing.T) {
	inputs := 5
	if _, err := fmt.Sscan(os.Getenv("INPUTS"), &inputs); err != nil {
		inputs = 5
	}
	n := startNode(t)
	n.providers(12, 40)
	p := openPage(t, n, "/?view=providers")
	p.shows("rows", `document.querySelectorAll('#table-providers tbody tr[data-key]').length > 30`)
	p.do("a slower processor", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: 4})
		return err
	}))
	eval[bool](p, `(window.took = [], new PerformanceObserver((list) => { for (const e of list.getEntries()) if (e.name === 'keydown') window.took.push(e.duration); }).observe({ type: 'event', durationThreshold: 16 }), true)`)
	for range inputs {
		n.providers(12, 40)
		before := eval[string](p, `location.search`)
		p.key("s")
		p.shows("another order", fmt.Sprintf(`location.search !== %q`, before))
		p.frames()
	}
	took := eval[[]float64](p, `window.took`)
	if len(took) == 0 {
		t.Fatal("no input was noticed")
	}
	slices.Sort(took)
	t.Logf("from the key to the drawing: %d inputs, p50 %v, p95 %v", len(took), time.Duration(took[len(took)/2])*time.Millisecond, time.Duration(took[(len(took)*95-1)/100])*time.Millisecond)
}
