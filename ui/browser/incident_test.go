package browser

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// calls are lines of a provider that is well.
func calls(n int, chain, provider string) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = decision(chain, provider, "success", 40, "")
	}
	return lines
}

// TestOutage: an outage is to be seen in Attention and in the matrix within 1.5 s.
func TestOutage(t *testing.T) {
	n := startNode(t)
	n.post(calls(30, "base", "well")...)
	n.post(calls(30, "base", "ill")...)
	p := openPage(t, n, "/")
	p.shows("calm", `document.querySelector('.attention .calm') && document.querySelector('.matrix td[data-key="base/ill"].good')`)
	fail := make([]string, 40)
	for i := range fail {
		fail[i] = decision("base", "ill", "error", 5, `,"error_category":"timeout"`)
	}
	began := time.Now()
	n.post(append(fail, `{"type":"circuit","chain":"base","provider_id":"ill","from":"closed","to":"open","reason":"failure_threshold_exceeded"}`)...)
	p.showsWithin(1500*time.Millisecond, "the outage", `document.querySelector('.attention li[data-key="provider/base/ill"]')?.innerText.includes('circuit open')
		&& document.querySelector('.matrix td[data-key="base/ill"].bad')?.innerText.includes('✕')`)
	t.Logf("seen after %v", time.Since(began).Round(10*time.Millisecond))
	p.shows("the title", `document.title.startsWith('(1) ')`)
	p.shows("a screen reader is told", `document.getElementById('said').textContent.includes('ill: circuit open')`)
	p.shows("a mark", `document.querySelector('r-chart').model.marks.some((m) => m.label === '✕ ill')`)
	n.post(`{"type":"circuit","chain":"base","provider_id":"ill","from":"open","to":"closed","reason":"recovered"}`)
	n.post(calls(3000, "base", "ill")...)
	p.shows("it is over", `document.querySelector('.attention .calm')`)
}

// TestKillAndRestart: while the node is away the page says so, counts down, and
// marks what it shows as old; then it recovers by itself, with the new run's
// numbers and a mark.
func TestKillAndRestart(t *testing.T) {
	n := startNode(t)
	n.post(calls(3, "base", "before")...)
	p := openPage(t, n, "/")
	p.shows("live", `document.getElementById('fresh').textContent.startsWith('live') && document.querySelector('.matrix td[data-key="base/before"]')`)
	p.away(true)
	address, killed := n.address(), time.Now().UnixMilli()
	n.kill()
	p.shows("disconnected, with a countdown", `document.getElementById('fresh').textContent === 'disconnected' && /Trying again in \d+ s/.test(document.getElementById('banner').innerText)`)
	p.shows("the countdown runs", `(() => { const s = parseInt(document.querySelector('.countdown')?.innerText); const fell = s < window.countdown; window.countdown = s; return fell; })()`)
	p.shows("what is old is marked", `document.body.classList.contains('old') && getComputedStyle(document.getElementById('main')).filter === 'grayscale(1)'`)
	p.shows("charts end, and time goes on", `[...document.querySelectorAll('r-chart')].every((c) => c.model.range[1] - c.model.at.at(-1) > 3000)`)
	p.shows("a screen reader is told", `document.getElementById('said').textContent === 'disconnected'`)
	n.start(address)
	n.post(calls(5, "base", "after")...)
	eval[bool](p, `(document.querySelector('#retry')?.click(), true)`) // it may have tried by itself by now
	p.shows("recovered", `document.getElementById('fresh').textContent.startsWith('live') && document.querySelector('.matrix td[data-key="base/after"]')
		&& !document.querySelector('.matrix td[data-key="base/before"]') && !document.body.classList.contains('old') && document.getElementById('banner').innerText === ''`)
	p.shows("the new run is marked", `document.querySelector('r-chart').model.marks.some((m) => m.label === '↻ n1 started' && m.at >= `+strconv.FormatInt(killed, 10)+`)`)
	later := openPage(t, n, "/")
	later.shows("a page that is opened later knows it too", `document.querySelector('r-chart')?.model?.marks.some((m) => m.label === '↻ n1 started')`)
	p.away(false)

	later.away(true)
	p.away(true) // once more, and the page comes back without being asked to
	n.kill()
	p.shows("disconnected", `document.getElementById('fresh').textContent === 'disconnected'`)
	n.start(address)
	n.post(calls(5, "base", "third")...)
	p.shows("recovered by itself", `document.querySelector('.matrix td[data-key="base/third"]')`)
	p.away(false)
}

// TestPause: what is shown stays, and the page says how much waits.
func TestPause(t *testing.T) {
	n := startNode(t)
	n.post(calls(3, "base", "p")...)
	p := openPage(t, n, "/?view=providers")
	cell := `document.querySelector('tr[data-key="base/p"] td:nth-child(6)')?.innerText`
	p.shows("numbers", cell+` === '3'`)
	p.key("p")
	n.post(calls(4, "base", "p")...)
	p.shows("updates wait", `/^paused · [1-9]\d* updates waiting$/.test(document.getElementById('fresh').textContent)`)
	if got := eval[string](p, cell); got != "3" {
		t.Errorf("paused, and yet %s", got)
	}
	// A screen that one goes to while paused stays as it was when it came.
	p.key("g", "c")
	calls := `document.querySelector('#table-chains td[title*="did not fail"]')?.innerText`
	p.shows("another screen", calls+` === '100.00'`)
	n.post(decision("base", "p", "error", 5, ""))
	waiting := eval[string](p, `document.getElementById('fresh').textContent`)
	p.shows("more waits", fmt.Sprintf(`document.getElementById('fresh').textContent !== %q`, waiting))
	if got := eval[string](p, calls); got != "100.00" {
		t.Errorf("paused, and yet %s", got)
	}
	p.key("p")
	p.shows("it goes on", calls+` === '87.50'`)
}

// TestSilence: a node that says nothing and does not hang up is noticed: lagging,
// stale, then the connection counts as lost. When the node is back, so is the page.
func TestSilence(t *testing.T) {
	n := startNode(t)
	n.post(calls(3, "base", "p")...)
	p := openPage(t, n, "/?view=providers")
	fresh := `document.getElementById('fresh').textContent`
	p.shows("live", fresh+`.startsWith('live') && document.querySelector('tr[data-key="base/p"]')`)
	p.away(true)
	if err := n.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.shows("lagging", fresh+`.startsWith('lagging ')`)
	p.shows("stale, and how to try again", fresh+`.startsWith('stale ') && document.body.classList.contains('old') && document.querySelector('#banner #retry')`)
	p.shows("lost", fresh+` === 'disconnected'`)
	if err := n.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.showsWithin(time.Minute, "back", fresh+`.startsWith('live') && document.getElementById('banner').innerText === ''`)
}

// TestRowsStay: rows do not re-sort under the pointer or the focus, and do when it is gone.
func TestRowsStay(t *testing.T) {
	n := startNode(t)
	n.post(append(calls(9, "base", "a"), calls(3, "base", "b")...)...)
	p := openPage(t, n, "/?view=providers&sort=-total_calls")
	first := `document.querySelector('#table-providers tbody tr')?.dataset.key`
	p.shows("sorted", first+` === 'base/a'`)
	p.hover("#table-providers tbody tr")
	n.post(calls(20, "base", "b")...)
	p.shows("numbers move", `[...document.querySelectorAll('tr[data-key="base/b"] td')].some((c) => c.innerText === '23')`)
	if got := eval[string](p, first); got != "base/a" {
		t.Errorf("the first row under the pointer is %s", got)
	}
	p.hover("footer")
	p.shows("sorted anew", first+` === 'base/b'`)
	p.key("j")
	p.shows("the focus is on a row", `document.activeElement === document.querySelector('#table-providers tbody a.row')`)
	n.post(calls(40, "base", "a")...)
	p.shows("numbers move on", `[...document.querySelectorAll('tr[data-key="base/a"] td')].some((c) => c.innerText === '49')`)
	if got := eval[string](p, first); got != "base/b" {
		t.Errorf("the first row under the focus is %s", got)
	}
	p.key("\x1b")
	p.shows("sorted once more", first+` === 'base/a'`)
}

// TestHostileText: what senders write stays text, and the layout holds.
func TestHostileText(t *testing.T) {
	n := startNode(t)
	long := strings.Repeat("x", 128)
	evil := `<img src=x onerror=alert(1)>\u202e\u0627${alert(2)}</script>`
	n.post(
		decision("base", long, "error", 5, fmt.Sprintf(`,"request_id":"%s","error_code":"<b>%s</b>","error_category":"timeout","source_node":"%s"`, evil, "bold", long[:100]+"@y")),
		decision(long, "p", "success", 5, fmt.Sprintf(`,"request_id":"%s2","source_region":"%s"`, evil, long)),
		fmt.Sprintf(`{"type":"circuit","chain":"base","provider_id":"%s","to":"open","reason":"%s"}`, long, evil),
		fmt.Sprintf(`{"type":"health","chain":"base","provider_id":"%s","status":"degraded","reason":"%s"}`, long, evil),
	)
	p := openPage(t, n, "/")
	p.do("a phone", viewport(360, 740))
	for name, path := range map[string]string{
		"overview": "/", "providers": "/?view=providers", "chains": "/?view=chains", "decisions": "/?view=decisions", "cluster": "/?view=cluster",
		"provider": "/?view=provider&chain=base&provider=" + long, "system": "/?view=system",
	} {
		p.navigate(n.url + path)
		p.shows(name, `document.getElementById('fresh').textContent.startsWith('live') && document.querySelectorAll('main tr, main .lanes li').length > 1`)
		p.frames()
		if wide := eval[int](p, `document.documentElement.scrollWidth`); wide > 360 {
			t.Errorf("%s is %d wide on a phone: %s", name, wide, eval[string](p, `[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > 361 && !e.closest('.scroll')).map((e) => e.outerHTML.slice(0, 120)).slice(0, 3).join('\n')`))
		}
		if n := eval[int](p, `document.querySelectorAll('main img, main script, main td b').length`); n > 0 {
			t.Errorf("%s: text has become %d elements", name, n)
		}
	}
	p.navigate(n.url + "/?view=decisions")
	p.shows("a decision", `document.querySelector('button.row')`)
	p.do("open it", clickOn("button.row"))
	p.shows("the whole of it, as text", `document.querySelector('dialog[open]')?.innerText.includes('<img src=x onerror=alert(1)>')`)
	p.navigate(n.url + "/?chain=%3Cimg%20src%3Dx%3E&q=%3Cb%3E&view=providers&provider=%22%3E")
	p.shows("the URL is text too", `document.querySelector('h2')?.innerText.includes('<img src=x>')`)
}

// TestNoScripts: without scripts the page says what it needs and where the numbers are.
func TestNoScripts(t *testing.T) {
	n := startNode(t)
	p := newPage(t, n)
	p.do("no scripts", noScripts(), navigateTo(n.url+"/"))
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	var links []string
	for deadline := time.Now().Add(10 * time.Second); len(links) < 8 && time.Now().Before(deadline); <-ticker.C {
		links = eval[[]string](p, `[...document.querySelectorAll('#plain a')].map((a) => a.href)`)
	}
	if len(links) < 8 {
		t.Fatalf("the page has the links %v", links)
	}
	for _, link := range links {
		resp, err := http.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", link, resp.Status)
		}
	}
}
