package browser

import (
	"fmt"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

// axe is the accessibility checker, as `npm ci` in ui/ installs it; package-lock.json
// has its hash. It is for this test only and not part of the program.
func axe(t *testing.T) string {
	script, err := os.ReadFile("../node_modules/axe-core/axe.min.js")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no axe-core, and in CI there must be: run npm ci in ui/")
		}
		t.Skip("NO ACCESSIBILITY TEST: run npm ci in ui/")
	}
	return string(script)
}

// TestAccessibility: axe finds nothing, on any screen in either theme, at two
// widths, with an outage, with the dialog open, paused and disconnected.
func TestAccessibility(t *testing.T) {
	checker := axe(t)
	n := startNode(t)
	p := openPage(t, n, "/")
	check := func(name string) {
		t.Helper()
		p.frames()
		eval[bool](p, checker+`; true`)
		for _, found := range eval[[]string](p, `axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.map((v) => v.id + ': ' + v.help + '\n' + v.nodes.slice(0, 4).map((x) => '  ' + x.html.slice(0, 160) + ' ' + x.failureSummary.replaceAll('\n', ' ').slice(0, 260)).join('\n')))`) {
			t.Errorf("%s: %s", name, found)
		}
	}
	p.shows("no data yet", `document.querySelector('main h2')?.innerText === 'No data yet'`)
	for _, name := range []string{"light", "dark"} {
		p.do(name, theme(name))
		check("no data yet, " + name)
	}
	n.post(sample(t)...)
	n.post(`{"type":"circuit","chain":"base","provider_id":"base_official","to":"open","reason":"failure_threshold_exceeded"}`, decision("base", "few", "success", 7, ""))
	for name, path := range screens {
		for _, width := range []int64{1280, 360} {
			p.do(name, viewport(width, 900))
			p.navigate(n.url + path)
			p.shows(name, `document.getElementById('fresh').textContent.startsWith('live') && (document.querySelectorAll('main tr, main .facts').length > 1 || document.querySelector('.try'))`)
			if wide := eval[int64](p, `document.documentElement.scrollWidth`); wide > width {
				t.Errorf("%s is %d wide at %d", name, wide, width)
			}
			for _, look := range []string{"light", "dark"} {
				p.do(look, theme(look))
				check(fmt.Sprintf("%s, %s, %d wide", name, look, width))
			}
		}
	}
	p.do("wide", chromedp.EmulateViewport(1280, 900))
	p.key("?")
	p.shows("keys", `document.querySelector('dialog[open]')`)
	for _, look := range []string{"light", "dark"} {
		p.do(look, theme(look))
		check("keys, " + look)
	}
	p.navigate(n.url + "/?view=decisions")
	p.shows("decisions", `document.querySelector('button.row')`)
	p.do("a decision", clickOn("button.row"))
	p.shows("the decision", `document.querySelector('dialog[open] dl')`)
	check("a decision, dark")
	p.key("\x1b")
	p.do("pause", clickOn("#pause"))
	p.away(true)
	n.kill()
	p.shows("disconnected", `document.querySelector('#banner #retry')`)
	check("paused and disconnected, dark")
}
