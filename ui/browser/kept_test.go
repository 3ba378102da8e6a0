package browser

import (
	"context"
	"fmt"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// lineColors is an expression: what has which colour in the chart of traffic.
const lineColors = `Object.fromEntries(document.querySelector('r-chart').model.lines.map((l) => [l.label, l.color]))`

// TestColors: a line keeps its colour when others come before it, and through a reload.
func TestColors(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "m", "success", 5, ""), decision("base", "p", "success", 5, ""))
	p := openPage(t, n, "/")
	p.shows("two lines", `document.querySelector('r-chart')?.model.lines.length === 2`)
	first := eval[map[string]string](p, lineColors)
	n.post(decision("base", "a", "success", 5, ""), decision("base", "n", "success", 5, ""))
	p.shows("four lines", `document.querySelector('r-chart')?.model.lines.length === 4`)
	second := eval[map[string]string](p, lineColors)
	for id, color := range first {
		if second[id] != color {
			t.Errorf("%s had %s and has %s", id, color, second[id])
		}
	}
	distinct := make(map[string]bool)
	for _, color := range second {
		distinct[color] = true
	}
	if len(distinct) != 4 {
		t.Errorf("four lines have the colours %v", second)
	}
	p.navigate(n.url + "/")
	p.shows("four lines again", `document.querySelector('r-chart')?.model.lines.length === 4`)
	if again := eval[map[string]string](p, lineColors); !reflect.DeepEqual(again, second) {
		t.Errorf("%v before the reload, %v after", second, again)
	}
}

// TestRestartsKept: a reload forgets no restart.
func TestRestartsKept(t *testing.T) {
	n := startNode(t)
	const marks = `document.querySelector('r-chart')?.model.marks.filter((m) => m.label.includes('n1 started')).length`
	n.post(decision("base", "p", "success", 5, ""))
	p := openPage(t, n, "/")
	p.shows("its run", marks+" === 1")
	p.shows("runs that begin close together are one mark: let some time pass", `Date.now() - document.querySelector('r-chart').model.marks[0].at > 2500`)
	p.away(true)
	address := n.address()
	n.kill()
	n.start(address)
	n.post(decision("base", "p", "success", 5, ""))
	p.shows("two runs", marks+" === 2")
	p.navigate(n.url + "/")
	p.shows("two runs after a reload", marks+" === 2")
}

// TestWindowBefore: what was shown stays, dimmed, until the figures of another window are there.
func TestWindowBefore(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "p", "success", 5, ""))
	p := openPage(t, n, "/")
	p.shows("figures", `document.querySelector('.tile .value')?.innerText !== '—' && document.querySelector('.matrix td a')`)
	if err := n.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.key("w")
	p.shows("the window before, dimmed", `document.querySelector('#window').value === '5m' && document.querySelector('main.before .matrix td a') && document.querySelector('.tile .value').innerText !== '—'`)
	if err := n.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.shows("the new one", `!document.querySelector('main.before') && document.querySelector('.matrix td a')`)
}

// TestZone: times of day say whose they are, and are UTC for those who want that.
func TestZone(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "p", "success", 5, ""))
	p := newPage(t, n)
	p.do("a zone", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Kathmandu"})
		return err
	}))
	p.navigate(n.url + "/?view=decisions")
	const shown = `document.querySelector('tbody button').innerText`
	p.shows("a decision", shown)
	if zone := eval[string](p, `document.querySelector('#zone').innerText`); zone != "UTC+5:45" {
		t.Errorf("the zone is said to be %s", zone)
	}
	local := eval[string](p, shown)
	p.key("u")
	p.shows("UTC", `document.querySelector('#zone').innerText === 'UTC' && `+shown+` !== `+fmt.Sprintf("%q", local))
	at := n.decisionTime(t)
	if utc := eval[string](p, shown); utc != at {
		t.Errorf("%s is shown for %s", utc, at)
	}
	p.navigate(n.url + "/?view=decisions")
	p.shows("UTC after a reload", shown+fmt.Sprintf(" === %q", at))
}

// TestSearchTold: the page says what a search looked at, and the copied command prints
// the rows that are shown, in their order.
func TestSearchTold(t *testing.T) {
	n := startNode(t)
	for i := range 12 {
		var lines []string
		for range 1 + i*7%5 {
			lines = append(lines, decision("base", fmt.Sprintf("p%d'x", i), "success", 5, ""))
		}
		n.post(strings.ReplaceAll(strings.Join(lines, "\n"), "'", "~"), decision("arbitrum", fmt.Sprintf("q%d", i), "success", 5, ""))
	}
	p := newPage(t, n)
	p.do("a clipboard", before(`Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { window.copied = text; } } });`))
	p.navigate(n.url + "/?view=providers&q=BASE/P1&sort=-total_calls")
	p.shows("three rows", `document.querySelectorAll('tbody tr[data-key]').length === 3`)
	if said := eval[string](p, `document.querySelector('.searched').innerText`); !strings.Contains(said, "3 of 24 providers by chain/name") {
		t.Errorf("the page says %q", said)
	}
	command := eval[string](p, `(async () => { document.querySelector('.tools button').click(); await 0; return window.copied; })()`)
	out, err := exec.Command("sh", "-c", command).Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	var printed []string
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n")[1:] {
		key, _, _ := strings.Cut(line, ",")
		printed = append(printed, key)
	}
	if shown := eval[[]string](p, `[...document.querySelectorAll('tbody tr[data-key]')].map((r) => r.dataset.key)`); !reflect.DeepEqual(printed, shown) {
		t.Errorf("%s prints %v, and %v are shown", command, printed, shown)
	}
	p.navigate(n.url + "/?view=system&q=x")
	p.shows("that nothing is searched", `document.querySelector('.searched')?.innerText.includes('nothing that is searched')`)
}

// TestChartFile: the CSV of a chart has its name, and no cell is a formula.
func TestChartFile(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "=cmd", "success", 5, ""))
	p := newPage(t, n)
	p.do("a place for downloads", before(`const make = URL.createObjectURL; URL.createObjectURL = (blob) => { window.saved = blob; return make(blob); };
		HTMLAnchorElement.prototype.click = function () { window.named = this.download; };`))
	p.navigate(n.url + "/")
	p.shows("a chart", `document.querySelector('r-chart')?.model.lines.length === 1 && document.querySelector('r-chart').model.at.length > 0`)
	csv := eval[string](p, `(() => { document.querySelector('figure .tools button:last-of-type').click(); return window.saved.text(); })()`)
	if !strings.HasPrefix(csv, `"ts","'=cmd"`+"\r\n") {
		t.Errorf("the CSV is %q", csv)
	}
	if name := eval[string](p, `window.named`); name != "traffic-by-provider-calls-s.csv" {
		t.Errorf("it is called %s", name)
	}
}

// TestTitles: what titles say is there for keys and for fingers.
func TestTitles(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "p", "success", 5, ""))
	p := openPage(t, n, "/?view=providers")
	p.shows("a row", `document.querySelector('tbody a.row')`)
	p.key("j", "i")
	p.shows("all of a row", `document.querySelector('dialog[open]')?.innerText.includes('95th percentile of the latency of successes, ms: 5') && document.querySelector('dialog h2').innerText === 'p'`)
	p.key("\x1b")
	p.shows("nothing", `!document.querySelector('dialog[open]') && document.querySelector('#tip').hidden`)
	touch := `(() => { const at = document.querySelector('tbody td[title*="95th"]'); at.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true, pointerType: 'touch' })); return document.querySelector('#tip').innerText; })()`
	if tip := eval[string](p, touch); !strings.Contains(tip, "95th percentile") {
		t.Errorf("a tap shows %q", tip)
	}
	p.navigate(n.url + "/")
	p.shows("tiles", `document.querySelector('.tile')`)
	p.key("\t")
	p.shows("the title of a tile that has the focus", `(() => { const tile = document.querySelector('.tile'); tile.focus({ focusVisible: true }); return !document.querySelector('#tip').hidden && document.querySelector('#tip').innerText.startsWith('Calls per second'); })()`)
}

// TestFewCallsHaveNoTone: that one of three calls failed is no red figure.
func TestFewCallsHaveNoTone(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "few", "success", 5, ""), decision("base", "few", "success", 6, ""), decision("base", "few", "error", 5, ""))
	for i := range 30 {
		n.post(decision("base", "many", map[bool]string{true: "error", false: "success"}[i%3 == 0], 5, ""))
	}
	p := openPage(t, n, "/?view=providers")
	const tone = `[...document.querySelectorAll('tbody tr')].map((r) => [r.dataset.key, r.querySelector('td[title*="did not fail"]').className])`
	p.shows("both", `document.querySelectorAll('tbody tr').length === 2`)
	if got := fmt.Sprint(eval[[][]string](p, tone)); got != "[[base/few few] [base/many bad]]" {
		t.Error(got)
	}
}

// TestAlarmsWhilePaused: what needs attention is counted, paused or not.
func TestAlarmsWhilePaused(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "p", "success", 5, ""))
	p := openPage(t, n, "/")
	p.shows("no alarm", `document.querySelector('.matrix td a') && document.querySelector('nav .count').innerText === ''`)
	p.key("p")
	n.post(`{"type":"circuit","chain":"base","provider_id":"p","to":"open"}`)
	p.shows("an alarm, counted and not drawn", `document.querySelector('nav .count').innerText !== '' && document.title.startsWith('(') && document.querySelectorAll('.attention li').length === 0`)
}

// TestPrintFromDark: on paper everything is light, and afterwards as it was.
func TestPrintFromDark(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "p", "success", 5, ""))
	p := newPage(t, n)
	p.do("dark", theme("dark"))
	p.navigate(n.url + "/")
	p.shows("a chart", `document.querySelector('r-chart canvas')`)
	const axis = `(() => { const s = document.createElement('span'); s.style.color = 'var(--text)'; document.body.append(s); const c = getComputedStyle(s).color; s.remove(); return c; })()`
	dark := eval[string](p, axis)
	if light := eval[string](p, `(() => { dispatchEvent(new Event('beforeprint')); return `+axis+`; })()`); light == dark {
		t.Errorf("printed as shown: %s", light)
	}
	if after := eval[string](p, `(() => { dispatchEvent(new Event('afterprint')); return `+axis+`; })()`); after != dark {
		t.Errorf("%s before, %s after printing", dark, after)
	}
}

// TestWithoutProgram: when the page's program does not come, the links to the same
// numbers are there.
func TestWithoutProgram(t *testing.T) {
	n := startNode(t)
	p := newPage(t, n)
	p.away(true)
	p.do("no program", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, t, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: []*network.BlockPattern{{URLPattern: "*://*:*/app.js", Block: true}}})
		return err
	}))
	p.navigate(n.url + "/")
	p.shows("links", `document.querySelector('#plain a').offsetWidth > 0`)
	q := openPage(t, n, "/")
	q.shows("no links beside the page", `document.querySelector('.try, .overview') && !document.querySelector('#plain')`)
}

// decisionTime is when the newest decision was, as a time of day in UTC.
func (n *node) decisionTime(t *testing.T) string {
	t.Helper()
	for _, row := range n.rows("decisions") {
		return time.UnixMilli(int64(row["ts"].(float64))).UTC().Format("15:04:05.000")
	}
	t.Fatal("no decision")
	return ""
}
