package browser

import (
	"fmt"
	"strings"
	"testing"
)

func fails(n int, provider string) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = decision("base", provider, "error", 5, `,"error_category":"timeout"`)
	}
	return lines
}

func circuit(provider, to string) string {
	return fmt.Sprintf(`{"type":"circuit","chain":"base","provider_id":%q,"to":%q}`, provider, to)
}

// under is the key of the row under the pointer, and focused that of the one with the focus.
const (
	under   = `[...document.querySelectorAll('main [data-key]:hover')].at(-1)?.dataset.key`
	focused = `document.activeElement.closest('[data-key]')?.dataset.key`
)

// TestAttentionStays: an alarm that one points at, or has the focus on, stays where it
// is, whatever comes and goes around it, and while a dialog is open too.
func TestAttentionStays(t *testing.T) {
	n := startNode(t)
	n.post(append(calls(30, "base", "well"), circuit("a", "open"), circuit("b", "open"), circuit("c", "open"))...)
	p := openPage(t, n, "/")
	keys := `[...document.querySelectorAll('.attention li')].map((l) => l.dataset.key.at(-1) + (l.className ? '!' : '')).join('')`
	p.shows("three alarms", keys+` === 'abc'`)
	p.hover(`.attention li[data-key="provider/base/b"]`)
	p.shows("on the second", under+` === 'provider/base/b'`)
	n.post(circuit("a", "closed"), circuit("d", "open"))
	p.shows("the first is over, and a fourth is last", keys+` === 'a!bcd'`)
	if got := eval[string](p, under); got != "provider/base/b" {
		t.Errorf("under the pointer is %s", got)
	}
	p.hover("footer")
	p.shows("what is over goes with the pointer", keys+` === 'bcd'`)

	p.key("j", "j")
	p.shows("the focus is on the second", focused+` === 'provider/base/c'`)
	n.post(circuit("b", "closed"))
	p.shows("the first is over", keys+` === 'b!cd'`)
	p.key("?")
	p.shows("the list of keys", `document.querySelector('dialog[open]')`)
	n.post(circuit("d", "closed"), circuit("a", "open"))
	p.shows("more comes and goes meanwhile", keys+` === 'b!cd!a'`)
	p.key("\x1b")
	p.shows("closed", `!document.querySelector('dialog[open]')`)
	if got := eval[string](p, focused); got != "provider/base/c" {
		t.Errorf("after the dialog the focus is on %s", got)
	}
	p.key("\r")
	p.shows("its provider", `new URLSearchParams(location.search).get('provider') === 'c'`)
}

// TestDecisionsStay: so does a decision, while the feed goes on.
func TestDecisionsStay(t *testing.T) {
	n := startNode(t)
	n.post(calls(10, "base", "first")...)
	p := openPage(t, n, "/?view=decisions")
	p.shows("ten", `document.querySelectorAll('#table-decisions tbody tr').length === 10`)
	p.hover("#table-decisions tbody tr:nth-child(3) td:nth-child(5)")
	p.shows("on the third", under)
	third := eval[string](p, under)
	n.post(calls(30, "base", "second")...)
	p.shows("more wait", `/newer wait/.test(document.querySelector('section.table h2').innerText)`)
	if got := eval[string](p, under); got != third {
		t.Errorf("under the pointer is %s; want %s", got, third)
	}
	p.do("open it", clickOn("#table-decisions tbody tr:nth-child(3) button"))
	p.shows("the dialog", `document.querySelector('dialog[open]')`)
	for range 5 { // more than the feed shows, with the pointer on the dialog
		n.post(calls(60, "base", "third")...)
	}
	waiting := eval[string](p, `document.querySelector('section.table h2').innerText`)
	p.shows("more wait", fmt.Sprintf(`document.querySelector('section.table h2').innerText !== %q`, waiting))
	p.key("\x1b")
	p.shows("closed", `!document.querySelector('dialog[open]')`)
	if got := eval[string](p, focused); got != third {
		t.Errorf("after the dialog the focus is on %s; want %s", got, third)
	}
	p.key("j")
	if got := eval[string](p, focused); got != eval[string](p, `document.querySelector('#table-decisions tbody tr:nth-child(4)').dataset.key`) {
		t.Errorf("the next is %s", got)
	}
	p.key("\x1b", "\x1b") // the button's title, then the focus
	p.hover("footer")
	p.shows("the feed goes on", `document.querySelector('#table-decisions tbody tr')?.innerText.includes('third')`)
	// A filter is not held: what it leaves out goes, whoever points at it.
	p.hover("#table-decisions tbody tr:nth-child(3) td:nth-child(5)")
	p.key("/")
	p.key(strings.Split("first", "")...)
	p.shows("found", `[...document.querySelectorAll('#table-decisions tbody tr')].every((r) => r.innerText.includes('first'))`)
}

// TestFocusFollows: where rows move nevertheless, the focus goes with its row.
func TestFocusFollows(t *testing.T) {
	n := startNode(t)
	n.post(append(calls(9, "base", "a"), calls(30, "base", "b")...)...)
	p := openPage(t, n, "/?view=providers&sort=provider_id")
	p.shows("rows", `document.querySelectorAll('#table-providers tbody tr').length === 2`)
	p.key("j")
	p.shows("on a", focused+` === 'base/a'`)
	p.key("s") // the next column, descending
	p.shows("sorted otherwise", `location.search.includes('sort=-status')`)
	p.key("s", "s")
	p.shows("by calls", `location.search.includes('sort=-total_calls') && document.querySelector('#table-providers tbody tr').dataset.key === 'base/b'`)
	if got := eval[string](p, focused); got != "base/a" {
		t.Errorf("the focus is on %s", got)
	}
}

// TestChartsStand: alarms and gaps in coverage come and go without moving the charts.
func TestChartsStand(t *testing.T) {
	n := startNode(t)
	var open, closed []string
	for i := 1; i < 9; i++ { // one is well, so the chain is
		open, closed = append(open, circuit(fmt.Sprint("p", i), "open")), append(closed, circuit(fmt.Sprint("p", i), "closed"))
	}
	n.post(append(calls(30, "base", "p0"), closed...)...)
	p := openPage(t, n, "/")
	top := `Math.round(document.querySelector('r-chart').getBoundingClientRect().top)`
	p.shows("calm, with charts", `document.querySelector('.calm') && document.querySelectorAll('r-chart canvas').length === 2`)
	calm := eval[int](p, top)
	for i := range open {
		n.post(open[i])
		p.shows(fmt.Sprint(i+1, " alarms"), fmt.Sprintf(`document.querySelectorAll('.attention li').length === %d`, i+1))
		if got := eval[int](p, top); got != calm {
			t.Errorf("with %d alarms the charts begin at %d; without, at %d", i+1, got, calm)
		}
	}
	n.post(closed...)
	p.shows("calm again", `document.querySelector('.calm')`)
	if got := eval[int](p, top); got != calm {
		t.Errorf("after the alarms the charts begin at %d; before, at %d", got, calm)
	}
}
