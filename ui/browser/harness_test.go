// Package browser tests the dashboard in a real browser against the real program.
// It is a module of its own so that the program does not depend on the driver.
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var (
	program string          // built from this checkout; "" without a Chromium
	driver  context.Context // of the one browser that all tests share
)

// TestMain builds the program and starts the browser. Without a browser the tests
// say so, and fail in CI.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		chromium := ""
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if path, err := exec.LookPath(name); err == nil {
				chromium = path
				break
			}
		}
		if chromium == "" {
			flag.Parse()
			if err := flag.Set("test.run", "^TestThereIsABrowser$"); err != nil {
				panic(err)
			}
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "remuda-browser")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "remuda")
		build := exec.Command("go", "build", "-o", program, "./cmd/remuda")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Printf("build: %v\n%s", err, out)
			return 1
		}
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
			chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true), chromedp.NoFirstRun)
		allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
		defer cancel()
		driver, cancel = chromedp.NewContext(allocator)
		defer cancel()
		if err := chromedp.Do(driver); err != nil {
			fmt.Println("start the browser:", err)
			return 1
		}
		return m.Run()
	}())
}

// TestThereIsABrowser says so when there is none: no other test runs then.
func TestThereIsABrowser(t *testing.T) {
	const reason = "NO BROWSER TESTS: install Chromium (Debian: apt-get install chromium)"
	switch {
	case driver != nil:
	case os.Getenv("CI") != "":
		t.Fatal(reason)
	default:
		t.Skip(reason)
	}
}

// node is the program, running.
type node struct {
	tb  testing.TB
	cmd *exec.Cmd
	url string
}

func startNode(tb testing.TB) *node {
	n := &node{tb: tb}
	n.start("127.0.0.1:0")
	tb.Cleanup(n.kill)
	return n
}

func (n *node) start(address string) {
	n.tb.Helper()
	n.cmd = exec.Command(program, "serve", "--http", address, "--node", "n1", "--region", "us-east-1", "--log-level", "error")
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		n.tb.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		n.tb.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		n.tb.Fatal(err)
	}
	_, n.url, _ = strings.Cut(strings.TrimSpace(line), " on ")
}

func (n *node) kill() {
	_ = n.cmd.Process.Kill() // it may have ended
	_ = n.cmd.Wait()
}

func (n *node) address() string { return strings.TrimPrefix(n.url, "http://") }

func (n *node) post(lines ...string) {
	n.tb.Helper()
	resp, err := http.Post(n.url+"/api/v1/events", "application/x-ndjson", strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		n.tb.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusAccepted || strings.Contains(string(body), `"line"`) {
		n.tb.Fatal(resp.Status, string(body))
	}
}

// rows asks the node as anybody would.
func (n *node) rows(path string) map[string]map[string]any {
	n.tb.Helper()
	resp, err := http.Get(n.url + "/api/v1/" + path)
	if err != nil {
		n.tb.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct{ Rows []map[string]any }
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || resp.StatusCode != http.StatusOK {
		n.tb.Fatal(resp.Status, err)
	}
	rows := make(map[string]map[string]any)
	for _, row := range doc.Rows {
		rows[row["key"].(string)] = row
	}
	return rows
}

func decision(chain, provider, result string, ms float64, more string) string {
	return fmt.Sprintf(`{"chain":%q,"provider_id":%q,"method":"eth_call","duration_ms":%v,"result":%q%s}`, chain, provider, ms, result, more)
}

type action = chromedp.Action[chromedp.Void]

// page is a tab. It notes what no page of ours may do: errors on the console, and
// requests to another host.
type page struct {
	tb  testing.TB
	ctx context.Context

	mu     sync.Mutex
	faults []string
	absent bool // the node is away: failed requests are no fault
}

// openPage opens a tab, for as long as the test lasts.
func openPage(tb testing.TB, n *node, path string) *page {
	tb.Helper()
	p := newPage(tb, n)
	p.do("open "+path, chromedp.Navigate(n.url+path))
	return p
}

func newPage(tb testing.TB, n *node) *page {
	tb.Helper()
	ctx, cancel := chromedp.NewContext(driver)
	p := &page{tb: tb, ctx: ctx}
	tb.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, fault := range p.faults {
			tb.Error(fault)
		}
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil {
		tb.Fatal(err)
	}
	if err := chromedp.Listen(ctx, func(ev any) { p.watch(ev, n) }); err != nil {
		tb.Fatal(err)
	}
	enable := chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		return err
	})
	p.do("prepare", enable, chromedp.EmulateViewport(1280, 900))
	return p
}

func (p *page) watch(ev any, n *node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fault := func(format string, args ...any) { p.faults = append(p.faults, fmt.Sprintf(format, args...)) }
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		text := ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			text += " " + e.Description
		}
		fault("exception: %s", text)
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError {
			fault("console: %v", string(ev.Args[0].Value))
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelError && !p.absent {
			fault("log: %s %s", ev.Entry.Text, ev.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if url := ev.Request.URL; !strings.HasPrefix(url, n.url) && !strings.HasPrefix(url, "data:") && url != "about:blank" {
			fault("a request to %s", url)
		}
	}
}

// away says whether requests may fail.
func (p *page) away(absent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.absent = absent
}

func (p *page) do(name string, actions ...action) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.tb.Fatalf("%s: %v", name, err)
	}
}

// eval is the value of an expression in the page.
func eval[T any](p *page, expression string) T {
	p.tb.Helper()
	v, err := tryEval[T](p, expression)
	if err != nil {
		p.tb.Fatalf("%s: %v", expression, err)
	}
	return v
}

func tryEval[T any](p *page, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// shows waits until an expression is true in the page. It asks from outside: the
// page's own policy does not let a driver's code run inside. That it throws, or that
// the page is being left, is not yet true.
func (p *page) shows(what, expression string) {
	p.tb.Helper()
	p.showsWithin(20*time.Second, what, expression)
}

func (p *page) showsWithin(limit time.Duration, what, expression string) {
	p.tb.Helper()
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(limit); ; <-ticker.C {
		is, err := tryEval[bool](p, "!!("+expression+")")
		if is && err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.tb.Fatalf("%s: in %v never true: %s (%v)\nthe page says: %.1500s", what, limit, expression, err, eval[string](p, `document.body.innerText`))
		}
	}
}

func (p *page) key(keys ...string) {
	p.tb.Helper()
	for _, k := range keys {
		if len(k) == 1 && k >= "!" && k <= "~" { // as one event, which the page may keep from being text
			p.do("key "+k, press(k))
			continue
		}
		p.do("key "+k, chromedp.KeyEvent(k))
	}
}

// theme emulates the preference of the system.
func theme(name string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return err
	})
}

// frames waits for the browser to have drawn what it was told.
func (p *page) frames() {
	p.tb.Helper()
	eval[bool](p, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// get is the body of an answer.
func (n *node) get(path string) []byte {
	n.tb.Helper()
	resp, err := http.Get(n.url + "/api/v1/" + path)
	if err != nil {
		n.tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		n.tb.Fatal(resp.Status, err, string(body))
	}
	return body
}

func clickOn(selector string) action { return chromedp.Click(selector) }

func viewport(width, height int64) action { return chromedp.EmulateViewport(width, height) }

func navigateTo(url string) action { return chromedp.Navigate(url) }

func (p *page) navigate(url string) {
	p.tb.Helper()
	p.do("go to "+url, chromedp.Navigate(url))
}

// hover moves the pointer onto an element.
func (p *page) hover(selector string) {
	p.tb.Helper()
	at := eval[[]float64](p, fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; })()`, selector))
	p.do("hover", chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1]))
}

func noScripts() action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
}

// before runs a script in every document before its own.
func before(script string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	})
}

func press(key string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
			e := input.DispatchKeyEventParams{Type: kind, Key: key}
			if kind == input.DispatchKeyEventTypeKeyDown {
				e.Text = key
			}
			if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, e); err != nil {
				return err
			}
		}
		return nil
	})
}
