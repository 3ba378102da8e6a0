package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestTry: a node that has never heard anything says how to begin, and a button
// makes a beginning, in a profile of its own.
func TestTry(t *testing.T) {
	n := startNode(t)
	p := openPage(t, n, "/")
	p.shows("how to begin", `document.querySelector('main h2')?.innerText === 'No data yet' && document.querySelector('button.primary')`)
	text := eval[string](p, `document.querySelector('main').innerText`)
	for _, says := range []string{"curl " + n.url + "/api/v1/events", "made-up calls", "a profile of their own, “try-it”"} {
		if !strings.Contains(text, says) {
			t.Errorf("it does not say %q: %s", says, text)
		}
	}
	p.do("send", clickOn("button.primary"))
	p.shows("the overview, of samples", `document.querySelector('.attention li') && document.querySelectorAll('.matrix tbody tr').length === 5
		&& document.getElementById('profile').value === 'try-it' && document.querySelector('main').innerText.startsWith('Profile try-it: samples')`)
	for key := range n.rows("profiles") {
		if key != "try-it" {
			t.Errorf("the samples are in the profile %s", key)
		}
	}
	p.navigate(n.url + "/?view=try")
	p.shows("how to go on, without the button", `document.querySelectorAll('.snippet').length === 5 && !document.querySelector('button.primary')`)
}

// TestTryInEarnest: samples are no alarms in production. Where anything has come, or
// comes between the look and the click, there is no button, or it does nothing.
func TestTryInEarnest(t *testing.T) {
	n := startNode(t)
	p := newPage(t, n)
	p.do("a slow click", before(`{ const real = window.fetch; window.fetch = async (...a) => { await window.held; return real(...a); }; }`))
	p.navigate(n.url + "/")
	p.shows("the button", `document.querySelector('button.primary')`)
	eval[bool](p, `(window.held = new Promise((go) => { window.letGo = go; }), document.querySelector('button.primary').click(), true)`)
	n.post(calls(3, "base", "p")...)
	eval[bool](p, `(letGo(), true)`)
	p.shows("what came", `document.querySelector('.matrix td[data-key="base/p"]')`)
	p.navigate(n.url + "/?view=try&profile=other")
	p.shows("no button", `document.querySelector('main h2')?.innerText === 'Try it' && !document.querySelector('button.primary')`)
	if profiles := n.rows("profiles"); len(profiles) != 1 || profiles["default"]["total_calls"].(float64) != 3 {
		t.Errorf("samples were sent: %v", profiles)
	}
	// Nothing in the last hour is not nothing ever: then the page cannot see rows, but
	// the node has had requests.
	quiet := startNode(t)
	resp, err := http.Post(quiet.url+"/api/v1/events", "application/json", strings.NewReader(`{"type":"decision"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	q := openPage(t, quiet, "/")
	q.shows("that it was quiet", `document.querySelector('.try')?.innerText.includes('Nothing has arrived in the last hour') && !document.querySelector('button.primary')`)
}

// TestBelowAPath: two nodes at one host, each below a path of a proxy, are two: the
// page of one has its own stream and its own addresses.
func TestBelowAPath(t *testing.T) {
	a, b := startNode(t), startNode(t)
	a.post(calls(3, "base", "of_a")...)
	way := front(t, b, func(w http.ResponseWriter, r *http.Request) bool {
		if path, ok := strings.CutPrefix(r.URL.Path, "/b"); ok {
			r.URL.Path = path
			return false
		}
		http.StripPrefix("/a", proxyTo(t, a)).ServeHTTP(w, r)
		return true
	})
	pa := openPage(t, way, "/a/?view=providers")
	pa.shows("the node a", `document.querySelector('tr[data-key="base/of_a"]') && document.getElementById('fresh').textContent.startsWith('live')`)
	pb := openPage(t, way, "/b/")
	pb.shows("the node b, which has heard nothing", `document.querySelector('button.primary') && document.getElementById('fresh').textContent.startsWith('live')`)
	if text := eval[string](pb, `document.querySelector('main').innerText`); !strings.Contains(text, "curl "+way.url+"/b/api/v1/events") {
		t.Errorf("the snippets do not name the path: %s", text)
	}
	pb.do("send", clickOn("button.primary"))
	pb.shows("samples", `location.pathname === '/b/' && document.querySelectorAll('.matrix tbody tr').length === 5`)
	pb.do("the brand", clickOn("h1 a"))
	pb.shows("still below the path", `location.pathname === '/b/' && location.search === ''`)
	eventually(t, "a stream of each", func() string { // another screen is another stream
		if got := [...]int{a.streams(), b.streams(), len(a.rows("profiles"))}; got != [...]int{1, 1, 1} {
			return fmt.Sprintf("streams of a and of b, profiles of a: %v", got)
		}
		return ""
	})
}
