package browser

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// streams counts the open streams of the node.
func (n *node) streams() int { return len(n.rows("subscribers")) }

// TestTabs: two tabs, and ten, share one stream; when the one that leads goes,
// another takes over.
func TestTabs(t *testing.T) {
	n := startNode(t)
	n.post(calls(3, "base", "p")...)
	live := `document.getElementById('fresh').textContent.startsWith('live') && document.querySelectorAll('main tbody tr').length > 0`
	paths := []string{"/", "/?view=providers", "/?view=chains", "/?window=5m", "/?view=cluster", "/?view=system", "/", "/?view=decisions", "/?view=providers&sort=-total_calls", "/?view=provider&chain=base&provider=p"}
	var pages []*page
	for i, path := range paths {
		pages = append(pages, openPage(t, n, path))
		pages[i].shows(path, live)
		if i == 1 || i == len(paths)-1 {
			eventually(t, fmt.Sprintf("%d tabs", i+1), func() string {
				if got := n.streams(); got != 1 {
					return fmt.Sprintf("%d streams", got)
				}
				return ""
			})
		}
	}
	n.post(calls(4, "base", "p")...)
	pages[1].shows("news reach a tab that follows", `document.querySelector('tr[data-key="base/p"] td:nth-child(6)')?.innerText === '7'`)
	pages[0].navigate("about:blank") // the first tab led
	n.post(calls(1, "base", "p")...)
	for i, p := range pages[1:] {
		p.shows(fmt.Sprintf("tab %d after the leader has gone", i+1), live)
	}
	pages[1].shows("news come on", `document.querySelector('tr[data-key="base/p"] td:nth-child(6)')?.innerText === '8'`)
	eventually(t, "nine tabs", func() string {
		if got := n.streams(); got != 1 {
			return fmt.Sprintf("%d streams", got)
		}
		return ""
	})
}

// hideable lets a test hide the page, which then draws nothing, as in a browser.
const hideable = `{
	const real = window.requestAnimationFrame;
	let waiting = [];
	window.requestAnimationFrame = (f) => (document.hidden ? waiting.push(f) : real(f));
	window.hide = (hidden) => {
		Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
		document.dispatchEvent(new Event('visibilitychange'));
		if (!hidden) waiting.splice(0).forEach((f) => real(f));
	};
}`

// quick makes the minute after which a hidden tab wants nothing a moment.
const quick = `{
	const real = window.setTimeout;
	window.setTimeout = (f, ms, ...rest) => real(f, ms === 60000 ? 20 : ms, ...rest);
}`

// TestHidden: a page that nobody sees closes its stream, and has it back, with the
// present, when somebody looks.
func TestHidden(t *testing.T) {
	n := startNode(t)
	n.post(calls(3, "base", "p")...)
	p := newPage(t, n)
	p.do("prepare", before(quick), before(hideable))
	p.navigate(n.url + "/?view=providers")
	calls7 := `document.querySelector('tr[data-key="base/p"] td:nth-child(6)')?.innerText === '7'`
	p.shows("live", `document.getElementById('fresh').textContent.startsWith('live')`)
	eval[bool](p, `(hide(true), true)`)
	eventually(t, "hidden", func() string {
		if got := n.streams(); got != 0 {
			return fmt.Sprintf("%d streams", got)
		}
		return ""
	})
	n.post(calls(4, "base", "p")...)
	eval[bool](p, `(hide(false), true)`)
	p.shows("back, with the present", calls7+` && document.getElementById('fresh').textContent.startsWith('live')`)
}

// TestWithoutLocks: where a browser has no Web Locks (plain http from another
// host) each tab streams for itself.
func TestWithoutLocks(t *testing.T) {
	n := startNode(t)
	n.post(calls(3, "base", "p")...)
	for range 2 {
		p := newPage(t, n)
		p.do("prepare", before(`delete Navigator.prototype.locks`))
		p.navigate(n.url + "/?view=providers")
		p.shows("live", `document.getElementById('fresh').textContent.startsWith('live') && document.querySelector('tr[data-key="base/p"]')`)
	}
	if got := n.streams(); got != 2 {
		t.Errorf("%d streams", got)
	}
}

// TestTools: every table can be had as a curl command and as CSV, and both work.
func TestTools(t *testing.T) {
	n := startNode(t)
	n.post(sample(t)...)
	p := newPage(t, n)
	p.do("a clipboard and a place for downloads", before(`Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { window.copied = text; } } });
		const make = URL.createObjectURL; URL.createObjectURL = (blob) => { window.saved = blob; return make(blob); };`))
	for _, path := range []string{"/", "/?view=providers&chain=base", "/?view=chains", "/?view=decisions&result=error", "/?view=cluster", "/?view=system", "/?view=provider&chain=base&provider=base_official"} {
		p.navigate(n.url + path)
		p.shows(path, `document.querySelectorAll('.tools button').length > 0 && document.querySelectorAll('main tbody tr').length > 0`)
		if n := eval[int](p, `[...document.querySelectorAll('main table')].filter((t) => !t.closest('section, figure').querySelector('.tools')).length`); n > 0 {
			t.Errorf("%s: %d tables have no tools", path, n)
		}
		count := eval[int](p, `document.querySelectorAll('.tools').length`)
		for i := range count {
			tool := fmt.Sprintf(`document.querySelectorAll('.tools')[%d]`, i)
			command := eval[string](p, fmt.Sprintf(`(async () => { window.copied = ''; %s.querySelector('button').click(); await 0; return window.copied; })()`, tool))
			fetch(t, strings.TrimSuffix(strings.TrimPrefix(command, "curl -s '"), "'"))
			// A table and its CSV have as many rows, once both have heard of streams that ended.
			eventually(t, path+" has the rows of its CSV", func() string {
				var csv string
				if href := eval[string](p, tool+`.querySelector('a')?.href ?? ''`); href != "" {
					csv = fetch(t, href)
				} else {
					csv = eval[string](p, fmt.Sprintf(`(() => { window.saved = null; %s.querySelector('button:last-of-type').click(); return window.saved.text(); })()`, tool))
				}
				rows := eval[int](p, tool+`.closest('section.table')?.querySelectorAll('tbody tr').length ?? -1`)
				if lines := strings.Count(strings.TrimSpace(csv), "\n"); rows >= 0 && lines != rows {
					return fmt.Sprintf("%d rows, and %d in the CSV of %s", rows, lines, command)
				}
				return ""
			})
		}
	}
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s %v %.200s", url, resp.Status, err, body)
	}
	return string(body)
}

// TestSharedDecision: the address of a decision opens it also where the feed does
// not show it, and says so when it is kept no more.
func TestSharedDecision(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "p", "success", 5, `,"request_id":"a/b <i>"`), decision("base", "p", "error", 5, `,"request_id":"r2"`))
	p := openPage(t, n, "/?view=decisions")
	p.shows("both", `document.querySelectorAll('button.row').length === 2`)
	p.do("open one", clickOn("tr:last-child button.row"))
	p.shows("its address", `document.querySelector('dialog[open] h2').innerText === 'Decision ' + new URLSearchParams(location.search).get('id')`)
	p.navigate(n.url + "/?view=decisions&result=error&id=a/b%20%3Ci%3E")
	p.shows("one that the filter leaves out", `document.querySelector('dialog[open] dl')?.innerText.includes('success') && document.querySelectorAll('button.row').length === 1`)
	p.away(true) // a 404 is noted on the console
	p.navigate(n.url + "/?view=decisions&id=gone")
	p.shows("one that is kept no more", `document.querySelector('dialog[open]')?.innerText.includes('does not keep it')`)
	p.key("\x1b")
	p.shows("closed", `!document.querySelector('dialog[open]') && !location.search.includes('id=')`)
}

// TestHistory: back, forward and reload keep the state.
func TestHistory(t *testing.T) {
	n := startNode(t)
	n.post(sample(t)...)
	p := openPage(t, n, "/")
	p.shows("the overview", `document.querySelector('.matrix td a')`)
	p.do("a provider", clickOn(".matrix td a"))
	p.shows("the provider", `document.querySelector('.facts') && location.search.includes('view=provider')`)
	where := eval[string](p, `location.search`)
	p.key("w")
	p.shows("the next window", `location.search.includes('window=5m') && document.getElementById('window').value === '5m'`)
	back := func(by int, what, expression string) {
		t.Helper()
		eval[bool](p, fmt.Sprintf(`(history.go(%d), true)`, by))
		p.shows(what, expression)
	}
	back(-1, "back", fmt.Sprintf(`location.search === %q && document.getElementById('window').value === '1m' && document.querySelector('.facts')`, where))
	back(-1, "back again", `location.search === '' && document.querySelector('.matrix td a')`)
	back(2, "forward", `location.search.includes('window=5m') && document.querySelector('.facts')`)
	eval[bool](p, `(setTimeout(() => location.reload(), 0), true)`)
	p.shows("reloaded", `performance.getEntriesByType('navigation')[0].type === 'reload' && location.search.includes('window=5m') && document.getElementById('window')?.value === '5m' && document.querySelector('.facts')`)
	p.navigate(n.url + "/?view=provider")
	p.shows("a provider without a name is all of them", `document.querySelectorAll('#table-providers tbody tr').length > 3`)
	p.navigate(n.url + "/?view=providers&sort=-p95_latency_ms&q=alchemy")
	p.shows("a shared address", `document.querySelectorAll('#table-providers tbody tr').length > 0
		&& [...document.querySelectorAll('#table-providers tbody tr')].every((r) => r.dataset.key.includes('alchemy'))
		&& document.querySelector('th[aria-sort="descending"]')?.innerText.startsWith('p95') && document.getElementById('search').value === 'alchemy'`)
}

// TestKeyboard walks through every screen without a pointer.
func TestKeyboard(t *testing.T) {
	n := startNode(t)
	n.post(append(sample(t), `{"type":"circuit","chain":"base","provider_id":"base_official","to":"open"}`)...)
	p := openPage(t, n, "/")
	p.shows("the overview", `document.querySelector('.attention li a') && document.querySelector('.matrix td a')`)
	p.key("?")
	p.shows("the list of keys", `document.querySelector('dialog[open]')?.innerText.includes('search')`)
	p.key("\x1b")
	p.shows("closed", `!document.querySelector('dialog[open]')`)
	p.key("j")
	p.shows("on the first alarm", `document.activeElement.closest('.attention li')`)
	p.key("\r")
	p.shows("its provider", `location.search.includes('view=provider') && document.querySelector('.facts')`)
	for _, screen := range [][3]string{
		{"p", "providers", "#table-providers tbody tr"},
		{"c", "chains", "#table-chains tbody tr"},
		{"d", "decisions", "#table-decisions tbody tr"},
		{"k", "cluster", "#table-members tbody tr"},
		{"s", "system", "#table-limits tbody tr"},
	} {
		p.key("g", screen[0])
		p.shows(screen[1], fmt.Sprintf(`location.search.includes('view=%s') && document.querySelector(%q) && document.querySelector('nav [aria-current]').innerText.toLowerCase() === %q`, screen[1], screen[2], screen[1]))
	}
	p.key("g", "o")
	p.shows("the overview again", `!location.search.includes('view=') && document.querySelector('.matrix')`)

	p.key("g", "p")
	p.shows("providers", `document.querySelectorAll('#table-providers tbody tr').length > 3`)
	p.key("j", "j", "k")
	p.shows("on the first row", `document.activeElement === document.querySelector('#table-providers tbody a.row')`)
	p.key("s")
	p.shows("sorted", `location.search.includes('sort=-chain')`)
	p.key("\x1b")
	p.key("/")
	p.shows("in the search", `document.activeElement.id === 'search'`)
	p.key("d", "r", "p", "c")
	p.shows("found", `[...document.querySelectorAll('#table-providers tbody tr')].every((r) => r.dataset.key.includes('drpc')) && location.search.includes('q=drpc')`)
	p.key("\x1b")
	p.shows("search left", `document.activeElement.id !== 'search' && !location.search.includes('q=') && document.querySelectorAll('#table-providers tbody tr').length > 3`)
	p.do("a light system", theme("light"))
	p.key("t")
	p.shows("dark: the first press is to be seen", `document.documentElement.dataset.theme === 'dark'`)
	eval[bool](p, `(setTimeout(() => location.reload(), 0), true)`)
	p.shows("still dark after a reload", `performance.getEntriesByType('navigation')[0].type === 'reload' && document.documentElement?.dataset.theme === 'dark' && document.querySelector('.controls')`)
	p.key("t")
	p.shows("light", `document.documentElement.dataset.theme === 'light'`)
	p.key("t")
	p.shows("as the system", `!document.documentElement.dataset.theme`)

	// Tab reaches everything, and what has the focus can be seen to have it.
	p.navigate(n.url + "/?view=decisions")
	p.shows("decisions", `document.querySelector('button.row')`)
	p.key("\t")
	p.shows("a way past the header", `document.activeElement.className === 'skip'`)
	seen := map[string]bool{}
	for range 40 {
		p.key("\t")
		seen[eval[string](p, `document.activeElement.id || document.activeElement.className || document.activeElement.tagName`)] = true
		if outline := eval[string](p, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
			t.Errorf("nobody sees that %s has the focus", eval[string](p, `document.activeElement.outerHTML.slice(0, 100)`))
		}
	}
	for _, id := range []string{"window", "region", "search", "pause", "theme", "keys", "row link"} {
		if !seen[id] {
			t.Errorf("Tab does not reach %s: %v", id, seen)
		}
	}
	p.navigate(n.url + "/?view=decisions")
	p.shows("decisions", `document.querySelector('button.row')`)
	p.key("j", "\r")
	p.shows("a decision", `document.querySelector('dialog[open]')?.innerText.includes('provider_id') && location.search.includes('id=')`)
	p.key("\x1b")
	p.shows("closed", `!document.querySelector('dialog[open]') && !location.search.includes('id=')`)
}
