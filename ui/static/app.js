// The page: a table of providers that follows the node's stream. The URL is its
// state (window, chain, sort), so reloading and sharing work. Text from the node
// only ever becomes text: nothing here parses markup.

const $ = (id) => document.getElementById(id);

/** What a status looks like: glyph, word and colour say the same. */
const statuses = {
  circuit_open: ['✕', 'circuit open', 'bad'],
  rate_limited: ['◔', 'rate limited', 'bad'],
  recovering: ['↻', 'recovering', 'warn'],
  failing: ['✕', 'failing', 'bad'],
  degraded: ['▼', 'degraded', 'warn'],
  lagging: ['…', 'lagging', 'warn'],
  healthy: ['✓', 'healthy', 'good'],
  unknown: ['?', 'unknown', ''],
};

const fixed = (digits) => (v) => (v === null || v === undefined ? '—' : v.toFixed(digits));
const few = (row) => (row.samples < 20 ? 'few' : '');

/** Columns: field, head, text of a value, class of a cell, whether it is text. */
const columns = [
  { field: 'chain', head: 'Chain', text: String, left: true },
  { field: 'provider_id', head: 'Provider', text: String, left: true },
  { field: 'status', head: 'Status', left: true,
    text: (v) => { const [glyph, word] = statuses[v] ?? ['?', v]; return `${glyph} ${word}`; },
    style: (row) => (statuses[row.status] ?? ['', '', ''])[2] },
  { field: 'circuit', head: 'Circuit', left: true, text: (v) => `http ${v.http}, ws ${v.ws}` },
  { field: 'calls_per_second', head: 'Calls/s', text: fixed(1) },
  { field: 'total_calls', head: 'Calls', text: String },
  { field: 'success_rate_pct', head: 'Success %', text: fixed(2),
    style: (row) => (row.success_rate_pct === null ? '' : row.success_rate_pct >= 99 ? 'good' : row.success_rate_pct >= 95 ? 'warn' : 'bad') },
  { field: 'p50_latency_ms', head: 'p50 ms', text: fixed(1), style: few },
  { field: 'p95_latency_ms', head: 'p95 ms', text: fixed(1), style: few },
  { field: 'p99_latency_ms', head: 'p99 ms', text: fixed(1), style: few },
  { field: 'block_lag_blocks', head: 'Lag', text: fixed(0) },
  { field: 'traffic_pct', head: 'Traffic %', text: fixed(1) },
];

const windows = ['10s', '1m', '5m', '15m', '1h'];
const url = new URL(location.href);
const view = {
  window: windows.includes(url.searchParams.get('window')) ? url.searchParams.get('window') : '1m',
  chain: url.searchParams.get('chain') ?? '',
  sort: url.searchParams.get('sort') ?? '',
};

/** Rows by key as the stream has told them, and when it last did. */
let rows = new Map();
let meta = null;
let lastFrame = 0;
let interval = 500;
let ever = false;

let stream = null;
let retryAt = 0;
let attempts = 0;
let dirty = false;

function remember() {
  const query = new URLSearchParams();
  if (view.window !== '1m') query.set('window', view.window);
  if (view.chain) query.set('chain', view.chain);
  if (view.sort) query.set('sort', view.sort);
  const text = query.toString();
  history.replaceState(null, '', text ? `?${text}` : location.pathname);
}

function apply(frame) {
  meta = frame.meta;
  lastFrame = performance.now();
  if (frame.rows) rows = new Map(frame.rows.map((row) => [row.key, row]));
  for (const row of frame.upsert ?? []) rows.set(row.key, row);
  for (const key of frame.remove ?? []) rows.delete(key);
  ever ||= rows.size > 0;
  attempts = 0;
  refresh();
}

function connect() {
  stream?.close();
  retryAt = 0;
  const query = new URLSearchParams({ format: 'sse', interval: '500ms', window: view.window });
  if (view.chain) query.set('chain', view.chain);
  stream = new EventSource(`api/v1/providers?${query}`);
  stream.addEventListener('hello', (e) => { interval = JSON.parse(e.data).interval_ms; });
  stream.addEventListener('snapshot', (e) => apply(JSON.parse(e.data)));
  stream.addEventListener('delta', (e) => apply(JSON.parse(e.data)));
  stream.addEventListener('bye', disconnected);
  stream.onerror = disconnected;
}

/** Tries again by itself, so that the page can say when. */
function disconnected() {
  stream?.close();
  stream = null;
  attempts += 1;
  retryAt = performance.now() + Math.min(1000 * 2 ** (attempts - 1), 10000) * (0.75 + Math.random() / 2);
  refresh();
}

/** One render per animation frame, however many events came. */
function refresh() {
  if (dirty) return;
  dirty = true;
  requestAnimationFrame(() => {
    dirty = false;
    render();
  });
}

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function compare(a, b) {
  const field = view.sort.replace(/^-/, '');
  if (field) {
    const x = a[field];
    const y = b[field];
    if ((x === null) !== (y === null)) return x === null ? 1 : -1;
    const order = typeof x === 'number' ? x - y : String(x).localeCompare(String(y));
    if (order) return view.sort.startsWith('-') ? -order : order;
  }
  return a.key < b.key ? -1 : 1;
}

let order = [];

function render() {
  renderState();
  const frame = $('frame');
  $('empty').hidden = !(meta && !ever && rows.size === 0);
  frame.hidden = !meta || rows.size === 0;
  if (!meta) return;
  set($('node'), `${meta.node} · ${rows.size} rows · nodes ${meta.coverage.nodes.reporting}/${meta.coverage.nodes.known}`
    + ` · senders ${meta.coverage.senders.reporting}/${meta.coverage.senders.known}`);
  set($('count'), `(${view.window}${view.chain ? `, chain ${view.chain}` : ''})`);

  // Rows keep their places while the pointer or the focus is on them.
  const sorted = [...rows.values()].sort(compare).map((row) => row.key);
  const held = frame.matches(':hover') || frame.contains(document.activeElement);
  order = held ? [...order.filter((key) => rows.has(key)), ...sorted.filter((key) => !order.includes(key))] : sorted;

  const body = $('rows');
  while (body.rows.length > order.length) body.deleteRow(-1);
  order.forEach((key, i) => {
    const row = rows.get(key);
    const line = body.rows[i] ?? body.insertRow();
    columns.forEach((column, j) => {
      let cell = line.cells[j];
      if (!cell) {
        cell = j === 1 ? document.createElement('th') : document.createElement('td');
        if (j === 1) cell.scope = 'row';
        line.append(cell);
      }
      set(cell, column.text(row[column.field], row));
      const style = `${column.left ? 'text ' : ''}${column.style?.(row) ?? ''}`.trim();
      if (cell.className !== style) cell.className = style;
    });
    const reasons = row.status_reasons.join('; ');
    if (line.title !== reasons) line.title = reasons;
  });
}

function renderState() {
  const now = performance.now();
  const age = (now - lastFrame) / 1000;
  let state = 'connecting';
  let text = 'connecting';
  if (!stream) {
    state = 'disconnected';
    text = 'disconnected';
  } else if (lastFrame) {
    state = age < 2 * interval / 1000 + 1 ? 'live' : age < 10 ? 'lagging' : 'stale';
    text = `${state} ${age.toFixed(1)} s`;
  }
  set($('state'), text);
  $('state').dataset.state = state;
  document.body.classList.toggle('old', state === 'stale' || state === 'disconnected');
  $('banner').hidden = state !== 'disconnected';
  if (state === 'disconnected') {
    const left = Math.max(0, Math.ceil((retryAt - now) / 1000));
    set($('countdown'), `Trying again in ${left} s.`);
  }
}

function start() {
  for (const column of columns) {
    const cell = document.createElement('th');
    cell.scope = 'col';
    if (column.left) cell.className = 'text';
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = column.head;
    button.addEventListener('click', () => {
      const down = `-${column.field}`;
      view.sort = view.sort === down ? column.field : view.sort === column.field ? '' : down;
      order = [];
      button.blur();
      mark();
      remember();
      refresh();
    });
    cell.append(button);
    $('head').append(cell);
  }
  mark();

  $('window').value = view.window;
  $('chain').value = view.chain;
  const changed = () => {
    view.window = $('window').value;
    view.chain = $('chain').value.trim();
    remember();
    connect();
  };
  $('window').addEventListener('change', changed);
  $('chain').addEventListener('change', changed);
  $('controls').addEventListener('submit', (e) => {
    e.preventDefault();
    changed();
  });
  $('retry').addEventListener('click', connect);

  const event = '{"chain":"ethereum","provider_id":"alchemy_primary","method":"eth_call","duration_ms":42,"result":"success"}';
  $('try-post').textContent = `curl ${location.origin}/api/v1/events -d '${event}'`;
  $('try-read').textContent = `curl '${location.origin}/api/v1/providers?format=table'`;

  // The clock of the page: ages move, and a lost stream is tried again.
  setInterval(() => {
    if (!stream && performance.now() >= retryAt) connect();
    renderState();
  }, 200);
  connect();
}

/** Says which column sorts, to eyes and to screen readers. */
function mark() {
  [...$('head').cells].forEach((cell, i) => {
    const field = columns[i].field;
    const sorted = view.sort === field ? 'ascending' : view.sort === `-${field}` ? 'descending' : 'none';
    cell.setAttribute('aria-sort', sorted);
    cell.firstChild.textContent = columns[i].head + ({ ascending: ' ▲', descending: ' ▼' }[sorted] ?? '');
  });
}

start();
