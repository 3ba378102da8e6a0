package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// coloured is the share of the columns of a step, in the first chart, where something has
// a colour below the labels of marks. The model may be younger than the drawing.
const coloured = `((t) => {
	const chart = document.querySelector('r-chart');
	const canvas = chart.querySelector('canvas'), over = chart.querySelector('.u-over').getBoundingClientRect(), box = canvas.getBoundingClientRect();
	const m = chart.model, x = (at) => over.left - box.left + over.width * (at / 1000 - m.range[0] / 1000) / (m.range[1] / 1000 - m.range[0] / 1000);
	const ratio = devicePixelRatio, left = Math.round((x(t) + 3) * ratio), width = Math.round((x(t + m.step) - x(t) - 6) * ratio);
	const { data } = canvas.getContext('2d').getImageData(left, 30 * ratio, width, 120 * ratio);
	const columns = new Set();
	for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 100 && Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 60) columns.add((i / 4) % width);
	return columns.size / width;
})`

// TestSingleStep: a step with calls between steps without any is drawn, and as long
// as it lasted.
func TestSingleStep(t *testing.T) {
	n := startNode(t)
	n.post(append(calls(1, "base", "p"), decision("base", "p", "success", 10, ""), decision("base", "p", "success", 10, ""))...) // p99 is at the top, the median below
	p := openPage(t, n, "/?view=provider&chain=base&provider=p")
	lone := `(() => { const m = document.querySelector('r-chart').model; const k = m.lines[0].values.findIndex((v) => v !== null);
		return m.lines[0].values.filter((v) => v !== null).length === 1 && m.at[k]; })()`
	p.shows("one step, drawn", `document.querySelector('r-chart .u-over') && `+lone) // what draws comes after the numbers
	eventually(t, "its line", func() string {
		at := eval[int64](p, lone)
		has := eval[float64](p, fmt.Sprintf(`%s(%d)`, coloured, at))
		none := eval[float64](p, fmt.Sprintf(`%s(%d)`, coloured, at-5000))
		if has < 1 || none > 0 {
			return fmt.Sprintf("%v of it is drawn, and %v where nothing was", has, none)
		}
		return ""
	})
}

// TestRightEdge: a step that is not known from all nodes is left out, or, when it is
// long, dashed from its tenth part on.
func TestRightEdge(t *testing.T) {
	n := startNode(t)
	p := newPage(t, n)
	p.do("prepare", before(pool)) // its oldest node is 1.4 s behind
	p.navigate(n.url + "/")
	p.shows("charts", `document.querySelector('r-chart')?.model?.at.length > 50`)
	// The model may be a frame old: its own range ends at the time that it was made.
	if bad := eval[bool](p, `[...document.querySelectorAll('r-chart')].some(({ model: m }) => m.step !== 1000 || m.whole !== m.at.length || m.at.at(-1) + 1000 > m.range[1] - 1400)`); bad {
		t.Error("a short step that is not whole is shown")
	}
	p.navigate(n.url + "/?window=1h")
	p.shows("charts", `document.querySelector('r-chart')?.model?.step === 60000`)
	p.showsWithin(20e9, "the running step, marked", `[...document.querySelectorAll('r-chart')].every(({ model: m }) => m.whole === m.at.length - 1 && m.at.at(-1) + 60000 > m.range[1] - 1400)`)
	if dir := os.Getenv("SCREENSHOTS"); dir != "" && os.Getenv("SCREENS") == "" {
		picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "right-edge.png"), small(t, picture), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestHeatEdge: in the heat map the cells of a step that is not whole are frames, not a
// weaker shade.
func TestHeatEdge(t *testing.T) {
	n := startNode(t)
	n.post(calls(1, "base", "p")...)
	p := openPage(t, n, "/?view=provider&chain=base&provider=p&window=1h")
	const cell = `(() => {
		const heat = document.querySelector('r-heat'), m = heat?.model;
		if (!m || m.whole !== m.at.length - 1) return 'no step is running';
		const left = 54, width = heat.clientWidth - left - 8, row = 168 / (m.high - m.low), canvas = heat.querySelector('canvas');
		const x = left + width * (m.at.at(-1) - m.range[0]) / (m.range[1] - m.range[0]), end = left + width * (m.at.at(-1) + m.step - m.range[0]) / (m.range[1] - m.range[0]);
		const [at] = m.cells.at(-1).keys(), y = 168 - (at - m.low + 1) * row, ratio = devicePixelRatio;
		const alpha = (x, y, w, h) => { const { data } = canvas.getContext('2d').getImageData(x * ratio, y * ratio, w * ratio, h * ratio); return Math.max(...data.filter((_, i) => i % 4 === 3)); };
		return 'inside ' + alpha((x + end) / 2, y + row / 2, 1, 1) + ', its frame ' + (alpha(x, y, 3, row) > 100);
	})()`
	eventually(t, "a cell of the running minute", func() string {
		n.post(calls(1, "base", "p")...) // the minute may end
		if is := eval[string](p, cell); is != "inside 0, its frame true" {
			return is
		}
		return ""
	})
}
