package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// pool answers the page's stream in the place of a node: seven members, of which
// one is stale, one restarts and one has failed. What is tested is the page.
const pool = `{
	const at = Date.now();
	const meta = { node: 'iad-1', incarnation: at - 7200000, revision: 1, at, window_ms: 60000, covered_ms: 60000, oldest_node_age_ms: 1400, overflow_calls: 0,
		truncated: false, step_ms: 1000, coverage: { nodes: { reporting: 5, known: 7 }, senders: { reporting: 11, known: 14 } } };
	const names = ['iad-1', 'iad-2', 'lhr-1', 'nrt-1', 'sjc-1', 'sjc-2', 'syd-1'];
	const members = names.map((name, i) => ({ key: name, name, state: name === 'syd-1' ? 'failed' : 'alive', stale: name === 'nrt-1' || name === 'syd-1', restarting: name === 'sjc-2',
		incarnation: at - 86400000 + i * 4000000, region: name.slice(0, 3), http_addr: '10.0.0.' + i + ':7400', sequence: 172800 - i * 77, delta_age_ms: name === 'nrt-1' ? 2300 : name === 'syd-1' ? 74000 : 120 + 31 * i,
		gaps_total: i * 3, pulls_total: 40 * i, inline_share: i ? 0.9 + i / 100 : null, divergence_total: 0, bytes_in_total: 5e6 * i, bytes_out_total: 4e6 * i, clock_skew_ms: 3 * i - 9 }));
	const row = (key, more) => ({ key, total_calls: 1200, samples: 1200, calls_per_second: 20, success_rate_pct: 98.75, p50_latency_ms: 41.2, p95_latency_ms: 180.25, p99_latency_ms: 340.5, failover_count: 3, previous: null, last_seen_at: at - 400, ...more });
	const rows = { cluster: members, profiles: [row('default', { profile: 'default' })], nodes: names.slice(0, 6).map((n) => row(n, { node: n })), regions: ['iad', 'lhr', 'nrt', 'sjc'].map((r) => row(r, { region: r })),
		attention: [['node_failed', 'critical', 'syd-1', 2], ['node_stale', 'warning', 'nrt-1', 8], ['node_restarting', 'notice', 'sjc-2', 12]].map(([rule, severity, node, rank]) => ({ key: 'node/' + node, rule, severity, rank, subject: 'node', node, detail: 'as told', since_at: at - 74000 })),
		senders: Array.from({ length: 14 }, (_, i) => ({ key: 'lasso@' + i, source_node: 'lasso@' + i, region: names[i % 7].slice(0, 3), reporting: i < 11, calls_per_second: i < 11 ? 21.5 : 0, total_calls: 1290, lateness_ms: 3, clock_offset_ms: i === 4 ? -9000 : 2, last_seen_at: at - (i < 11 ? 300 : 240000) })) };
	window.EventSource = class extends EventTarget {
		constructor(url) {
			super();
			const topics = {};
			for (const topic of new URL(url, location.href).searchParams.getAll('topic')) {
				const path = topic.split('?')[0];
				const step_ms = topic.includes('window=1h') ? 3600000 / 60 : 1000;
				rows.series = (new URLSearchParams(topic.split('?')[1]).get('metric') ?? '').split(',').map((metric) => ({ key: 'default', provider_id: 'default', metric,
					points: Array.from({ length: 60 }, (_, i) => [(Math.floor(at / step_ms) - 59 + i) * step_ms, 10 + i % 7]) }));
				topics[topic] = { meta: { ...meta, step_ms, window_ms: 60 * step_ms }, [path === 'series' ? 'series' : path === 'histogram' ? 'histograms' : 'rows']: rows[path] ?? [] };
			}
			const say = (type, data) => this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }));
			setTimeout(() => { say('hello', { interval_ms: 500, server_at: Date.now() }); say('snapshot', { meta, topics }); });
			this.beat = setInterval(() => {
				const now = { ...meta, at: Date.now() };
				say('delta', { meta: now, topics: Object.fromEntries(Object.entries(topics).map(([t, part]) => [t, { meta: { ...part.meta, at: now.at }, upsert: [], remove: [] }])) });
			}, 500);
		}
		close() { clearInterval(this.beat); }
	};
}`

// TestClusterOfMany: members that are stale, restart or have failed are told
// apart, and wherever a sum is shown the page says what it does not cover.
func TestClusterOfMany(t *testing.T) {
	n := startNode(t)
	p := newPage(t, n)
	p.do("prepare", before(pool))
	p.navigate(n.url + "/?view=cluster")
	p.shows("members", `document.querySelectorAll('#table-members tbody tr').length === 7`)
	members := p.table("members")
	for name, want := range map[string]string{"iad-1": "alive", "nrt-1": "stale", "sjc-2": "restarting", "syd-1": "failed"} {
		if got := members[name]["State"][0]; !strings.HasSuffix(got, want) {
			t.Errorf("%s is %q; want %s", name, got, want)
		}
	}
	p.shows("the age of what does not come goes on", `document.querySelector('tr[data-key="syd-1"] td:nth-child(5)').innerText === '1 min 16 s'`)
	p.shows("coverage", `document.querySelector('.facts').innerText.includes('5 of 7') && document.querySelector('.facts').innerText.includes('11 of 14')`)
	if dir := os.Getenv("SCREENSHOTS"); dir != "" && os.Getenv("SCREENS") == "" {
		picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "cluster-of-many.png"), small(t, picture), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p.navigate(n.url + "/")
	p.shows("what is wrong, worst first", `[...document.querySelectorAll('.attention li')].map((l) => l.dataset.key).join() === 'node/syd-1,node/nrt-1,node/sjc-2'`)
	p.shows("what the sums do not cover", `document.querySelector('.tiles .coverage').innerText.includes('nodes 5/7')`)
}
