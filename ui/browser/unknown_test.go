package browser

import (
	"fmt"
	"testing"
)

// TestNoDataIsNoGoodNews: the tick is over data only.
func TestNoDataIsNoGoodNews(t *testing.T) {
	n := startNode(t)
	n.post(calls(30, "base", "p")...)
	p := openPage(t, n, "/")
	p.shows("the tick, over one provider", `document.querySelector('.calm')?.innerText.includes('Nothing is wrong by the rules with 1 provider.')`)
	for _, path := range []string{"/?region=nowhere", "/?profile=nobody"} {
		p.navigate(n.url + path)
		p.shows(path+" has no data", `document.querySelector('.nodata')?.innerText.includes('There is no data of the profile') && document.getElementById('fresh').textContent.startsWith('live')`)
		if eval[bool](p, `!!document.querySelector('.calm, .attention .good') || document.querySelector('.attention').innerText.includes('Nothing is wrong')`) {
			t.Errorf("%s has the tick", path)
		}
	}
}

// TestFailedTries: a filter by provider finds the decisions that it failed in before
// another was called, marked; and the page says of whom the feed is a sample.
func TestFailedTries(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "good", "success", 42, `,"source_region":"eu","request_id":"r1","attempts":[{"provider_id":"ill","transport":"http","duration_ms":900,"error_category":"timeout"}]`),
		decision("base", "ill", "success", 10, `,"source_region":"us","request_id":"r2"`), decision("base", "good", "success", 10, `,"source_region":"us","request_id":"r3"`))
	p := openPage(t, n, "/?view=decisions&provider=ill")
	p.shows("both", `document.querySelectorAll('#table-decisions tbody tr').length === 2`)
	marks := `[...document.querySelectorAll('#table-decisions tbody tr')].map((r) => [r.cells[3].innerText, r.cells[1].innerText.includes('failed try')].join()).sort().join(' ')`
	if got := eval[string](p, marks); got != "good,true ill,false" {
		t.Errorf("the rows are %s", got)
	}
	for _, says := range []string{"by region: eu 1, us 1", "by node: n1 2"} {
		p.shows("of whom it is", fmt.Sprintf(`document.querySelector('.filters').innerText.includes(%q)`, says))
	}
	p.navigate(n.url + "/?view=provider&chain=base&provider=ill")
	p.shows("on its own screen too", `document.querySelector('#table-decisions .badge.warn')?.innerText.includes('failed try')`)
}

// TestCircuitsBefore: what circuits were before anybody knew is not drawn as closed,
// though the first change says that they were.
func TestCircuitsBefore(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "p", "success", 10, ""), `{"type":"circuit","chain":"base","provider_id":"p","from":"closed","to":"open","reason":"failure_threshold_exceeded"}`)
	p := openPage(t, n, "/?view=provider&chain=base&provider=p&window=1h")
	p.shows("the circuit", `document.querySelector('.lane')`)
	if lane := eval[string](p, `[...document.querySelectorAll('.lane rect')].map((r) => r.getAttribute('class') + (r.getAttribute('width') > 900 ? ' most' : '')).join()`); lane != "none most,good,bad" {
		t.Errorf("the circuit was %s", lane)
	}
	p.navigate(n.url + "/?window=1h")
	const tile = `[...document.querySelectorAll('.tile')].find((t) => t.querySelector('h2').innerText === 'Open circuits')`
	p.shows("the sum", tile+`?.querySelector('.value').innerText === '1'`)
	if change := eval[string](p, tile+`.querySelector('.change').innerText`); change != "—" {
		t.Errorf("since the window began, when nothing was known: %s", change)
	}
}
