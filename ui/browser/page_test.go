// Package browser tests the dashboard in a real browser against the real program.
// It is a module of its own so that the program does not depend on the driver.
package browser

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// chromium finds the browser. Without one the tests say so, and fail in CI.
func chromium(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("there is no Chromium, and in CI there must be")
	}
	t.Skip("*** NO BROWSER TESTS: install Chromium (Debian: apt-get install chromium) ***")
	return ""
}

// node is the program, built from this checkout.
type node struct {
	t   *testing.T
	bin string
	cmd *exec.Cmd
	url string
}

func build(t *testing.T) string {
	bin := filepath.Join(t.TempDir(), "remuda")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/remuda")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

func (n *node) start(address string) {
	n.cmd = exec.Command(n.bin, "serve", "--http", address, "--node", "n1")
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		n.t.Fatal(err)
	}
	_, n.url, _ = strings.Cut(strings.TrimSpace(line), " on ")
}

func (n *node) kill() {
	_ = n.cmd.Process.Kill() // it may have ended
	_ = n.cmd.Wait()
}

func (n *node) post(lines ...string) {
	resp, err := http.Post(n.url+"/api/v1/events", "application/x-ndjson", strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		n.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		n.t.Fatal(resp.Status)
	}
}

func decision(provider, result string) string {
	return fmt.Sprintf(`{"chain":"base","provider_id":%q,"method":"eth_call","duration_ms":42,"result":%q}`, provider, result)
}

type action = chromedp.Action[chromedp.Void]

// shows waits until an expression is true in the page. It asks from outside: the
// page's own policy does not let a driver's code run inside.
func shows(expression string) action {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for deadline := time.Now().Add(20 * time.Second); ; <-ticker.C {
			ok, err := chromedp.Evaluate[bool](expression)(ctx, target)
			if err != nil || ok {
				return chromedp.Void{}, err
			}
			if time.Now().After(deadline) {
				return chromedp.Void{}, fmt.Errorf("never true: %s", expression)
			}
		}
	}
}

func cell(key, column string) string {
	columns := map[string]int{"provider": 1, "status": 2, "calls": 5}
	return fmt.Sprintf(`([...document.querySelectorAll('#rows tr')].find((r) => r.cells[1].textContent === %q)?.cells[%d].textContent ?? '')`, key, columns[column])
}

// TestPage goes through what an operator sees: nothing yet, numbers, numbers that
// move, a node that dies and comes back.
func TestPage(t *testing.T) {
	path := chromium(t)
	n := &node{t: t, bin: build(t)}
	n.start("127.0.0.1:0")
	defer func() { n.kill() }()

	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true), chromedp.NoFirstRun)
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	step := func(name string, actions ...action) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}

	step("no data yet", chromedp.EmulateViewport(1280, 800), chromedp.Navigate(n.url), shows(`!document.getElementById('empty').hidden`))
	n.post(decision("alchemy_primary", "success"), decision("ankr_1", "error"))
	step("rows appear", shows(cell("alchemy_primary", "calls")+` === '1' && document.getElementById('empty').hidden`))
	step("it is live", shows(`document.getElementById('state').textContent.startsWith('live ')`))
	n.post(decision("alchemy_primary", "success"))
	step("numbers move", shows(cell("alchemy_primary", "calls")+` === '2'`))
	n.post(`{"type":"circuit","chain":"base","provider_id":"ankr_1","to":"open"}`)
	step("a circuit opens", shows(cell("ankr_1", "status")+` === '✕ circuit open'`))
	step("a filter is in the URL", shows(`(() => { const w = document.getElementById('window'); w.value = '5m'; w.dispatchEvent(new Event('change')); return true; })()`),
		shows(`location.search === '?window=5m'`), shows(cell("alchemy_primary", "calls")+` === '2'`))

	step("an inline script does not run", shows(`(() => {
		const s = document.createElement('script'); s.textContent = 'window.ran = true'; document.body.append(s); return window.ran === undefined; })()`))

	address := strings.TrimPrefix(n.url, "http://")
	n.kill()
	step("the node is gone", shows(`!document.getElementById('banner').hidden && document.body.classList.contains('old')`))
	n.start(address)
	n.post(decision("quicknode_1", "success"))
	step("and comes back", shows(cell("quicknode_1", "calls")+` === '1' && document.getElementById('banner').hidden`))

	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		n.post(strings.Split(strings.TrimSpace(string(sample(t))), "\n")...)
		for name, width := range map[string]int64{"wide": 1280, "narrow": 360} {
			step("rows", chromedp.EmulateViewport(width, 800), shows(cell("infura_primary", "calls")+` !== ''`))
			png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	step("it fits a phone", chromedp.EmulateViewport(360, 640), shows(`document.documentElement.scrollWidth <= 360`))
}

func sample(t *testing.T) []byte {
	b, err := os.ReadFile("../../docs/sample.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	return b
}
