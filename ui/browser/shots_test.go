package browser

import (
	"bufio"
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// startDemo runs the demonstration, the outage of which begins some seconds in.
func startDemo(tb testing.TB, args ...string) *node {
	n := &node{tb: tb}
	n.cmd = exec.Command(program, append([]string{"demo"}, args...)...)
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(n.kill)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if url := regexp.MustCompile(`http://[0-9.:]+`).FindString(lines.Text()); url != "" {
			n.url = url
			break
		}
	}
	return n
}

// screens are all of them, as they are in the README and in docs.
var screens = map[string]string{
	"overview": "/", "providers": "/?view=providers", "provider": "/?view=provider&chain=base&provider=base_llamarpc", "chains": "/?view=chains",
	"decisions": "/?view=decisions", "cluster": "/?view=cluster", "system": "/?view=system", "try": "/?view=try",
}

// TestScreenshots makes the pictures of README and docs, when it is told where to.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		t.Skip("SCREENSHOTS names no directory; make screenshots does")
	}
	wait, _ := strconv.Atoi(os.Getenv("SCREENSHOTS_AFTER")) // s of traffic, so that charts are full
	n := startDemo(t)
	p := openPage(t, n, "/")
	p.showsWithin(time.Duration(wait+90)*time.Second, "traffic, and the outage", `performance.now() > `+strconv.Itoa(wait*1000)+` && document.querySelector('.attention li .bad')`)
	for name, path := range screens {
		if only := os.Getenv("SCREENS"); only != "" && !strings.Contains(only, name) {
			continue
		}
		p.do(name, chromedp.Navigate(n.url+path))
		p.shows(name, `document.getElementById('fresh').textContent.startsWith('live') && (document.querySelector('main tbody tr, main .try') !== null)`)
		for _, look := range []struct {
			theme, suffix string
			width, height int64
		}{{"light", "light", 1280, 900}, {"dark", "dark", 1280, 900}, {"light", "narrow-light", 360, 800}, {"dark", "narrow-dark", 360, 800}} {
			if look.width < 1000 && os.Getenv("SCREENSHOTS_NARROW") == "" {
				continue
			}
			p.do(name, theme(look.theme), chromedp.EmulateViewport(look.width, look.height))
			p.frames()
			p.shows("charts", `[...document.querySelectorAll('r-chart')].every((c) => c.querySelector('canvas') || c.getBoundingClientRect().top > innerHeight)`)
			p.frames()
			shot := chromedp.CaptureScreenshot()
			if os.Getenv("SCREENSHOTS_FULL") != "" {
				shot = chromedp.FullScreenshot(100)
			}
			picture, err := chromedp.Run(p.ctx, shot)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name+"-"+look.suffix+".png"), small(t, picture), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// small gives a picture the 256 colours that it has most of: a third of the bytes,
// and no eye sees the difference.
func small(t *testing.T, picture []byte) []byte {
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	bounds := full.Bounds()
	counts := make(map[color.Color]int)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[full.At(x, y)]++
		}
	}
	most := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return cmp.Compare(counts[b], counts[a]) })
	colors := color.Palette(most[:min(len(most), 256)])
	index := make(map[color.Color]uint8)
	for _, c := range most {
		index[c] = uint8(colors.Index(c))
	}
	few := image.NewPaletted(bounds, colors)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			few.SetColorIndex(x, y, index[full.At(x, y)])
		}
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, few); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
