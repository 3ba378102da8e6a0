package browser

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// TestManyTabs: more tabs than one stream has room for do not end it: the one that
// is seen has its numbers, whichever it is.
func TestManyTabs(t *testing.T) {
	n := startNode(t)
	n.post(calls(3, "base", "p")...)
	const count = 14 // with twelve queries each, most of them their own
	live := `document.getElementById('fresh').textContent.startsWith('live') && document.getElementById('banner').innerText === '' && document.querySelector('.facts [title^="Calls per second"]')?.title.includes(': %d calls')`
	pages := make([]*page, count)
	for i := range pages {
		p := newPage(t, n)
		p.do("prepare", before(hideable))
		p.navigate(fmt.Sprintf("%s/?view=provider&chain=base&provider=p&window=%s&region=%s", n.url, []string{"1m", "5m", "15m"}[i%3], []string{"", "us-east-1", "us-east-1,x", "us-east-1,y", "us-east-1,z"}[i/3]))
		p.shows(fmt.Sprintf("tab %d, the newest", i), fmt.Sprintf(live, 3))
		pages[i] = p
		if i < count-1 { // another comes before it
			eval[bool](p, `(hide(true), true)`)
		}
	}
	n.post(calls(4, "base", "p")...)
	seen := count - 1
	for _, i := range []int{seen, 0, 5, 1} {
		eval[bool](pages[seen], `(hide(true), true)`)
		eval[bool](pages[i], `(hide(false), true)`)
		pages[i].shows(fmt.Sprintf("tab %d, looked at again", i), fmt.Sprintf(live, 7))
		seen = i
	}
	eventually(t, "all tabs", func() string {
		if got := n.streams(); got != 1 {
			return fmt.Sprintf("%d streams", got)
		}
		return ""
	})
	long := openPage(t, n, "/?view=provider&chain=base&provider="+url.QueryEscape(strings.Repeat("€", 600)))
	long.shows("that there is no room", `document.getElementById('banner').innerText.startsWith('No room.')`)
	n.post(calls(1, "base", "p")...)
	pages[1].shows("another goes on", fmt.Sprintf(live, 8))
}

// TestRefusedOpen: when a stream cannot be opened the page says what the answer was.
func TestRefusedOpen(t *testing.T) {
	for _, c := range []struct {
		status     int
		body, want string
	}{
		{http.StatusMisdirectedRequest, `{"detail":"this node does not serve the host named in the request; see --allowed-hosts"}`, "The answer is 421: “this node does not serve the host named in the request; see --allowed-hosts”"},
		{http.StatusUnauthorized, `<html>Who are you?</html>`, "The answer is 401"},
		{http.StatusServiceUnavailable, `{"detail":"this node has as many open streams as it may"}`, "The answer is 503: “this node has as many open streams as it may”"},
	} {
		var shut atomic.Bool
		var asked atomic.Int32
		shut.Store(true)
		n := startNode(t)
		n.post(calls(3, "base", "p")...)
		way := front(t, n, func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/api/v1/stream" || !shut.Load() {
				return false
			}
			asked.Add(1)
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
			return true
		})
		p := newPage(t, way)
		p.away(true) // the browser notes failed requests
		p.navigate(way.url + "/")
		p.shows(fmt.Sprint(c.status), fmt.Sprintf(`document.getElementById('banner').innerText.includes(%q) && document.getElementById('fresh').textContent === 'disconnected'`, c.want))
		if n := asked.Load(); n%2 != 0 && n > 3 {
			t.Errorf("%d: %d requests; want an open and a question each", c.status, n)
		}
		shut.Store(false)
		p.do("retry now", clickOn("#retry"))
		p.shows("live", `document.getElementById('fresh').textContent.startsWith('live') && document.getElementById('banner').innerText === ''`)
	}
}

// TestRefusedQuery: what the node does not take from one tab is not the end of the
// others; the tab says what the node said.
func TestRefusedQuery(t *testing.T) {
	n := startNode(t)
	n.post(calls(3, "base", "p")...)
	var shut atomic.Bool
	shut.Store(true)
	way := front(t, n, func(w http.ResponseWriter, r *http.Request) bool {
		query := r.URL.Query()
		asks := slices.ContainsFunc(query["topic"], func(topic string) bool { return strings.Contains(topic, "chain=odd") })
		if !shut.Load() || r.URL.Path == "/" || !asks && query.Get("chain") != "odd" {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"detail":"there is no chain that odd"}`))
		return true
	})
	good := openPage(t, way, "/?view=providers")
	live := `document.getElementById('fresh').textContent.startsWith('live') && document.querySelector('tr[data-key="base/p"] td:nth-child(6)')?.innerText === `
	good.shows("one tab", live+`'3'`)
	good.away(true)
	odd := newPage(t, way)
	odd.away(true)
	odd.navigate(way.url + "/?view=providers&chain=odd")
	odd.shows("what the node said", `document.getElementById('banner').innerText.includes('The answer is 400: “there is no chain that odd”')`)
	n.post(calls(4, "base", "p")...)
	good.shows("the other goes on", live+`'7'`)
	odd.navigate(way.url + "/?view=providers")
	odd.shows("so does this one, with another query", live+`'7' && document.getElementById('banner').innerText === ''`)
	odd.navigate(way.url + "/?view=providers&chain=odd")
	odd.shows("refused again", `document.querySelector('#banner #retry')`)
	shut.Store(false)
	odd.do("retry now", clickOn("#retry"))
	odd.shows("now the node takes it", `document.getElementById('banner').innerText === '' && document.querySelector('#table-providers')?.innerText.includes('No provider')`)
}
