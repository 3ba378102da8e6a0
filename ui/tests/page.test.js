// The state of the page: its URL, its colours, what it makes of refusals.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

/** @type {Map<string, string>} */ let stored = new Map();
let writes = 0;
Object.assign(globalThis, {
  location: { search: '', pathname: '/below/' },
  sessionStorage: { getItem: (name) => stored.get(name) ?? null, setItem: (name, value) => { writes++; stored.set(name, value); } },
});
const { href, query, read, windows } = await import('../static/url.js');
const { colorsOf, lineColors } = await import('../static/colors.js');
const { keep, recall } = await import('../static/kept.js');
const { failure, refusals } = await import('../static/refusal.js');

const at = (search) => {
  globalThis.location.search = search;
  return read();
};

beforeEach(() => { stored = new Map(); });

test('an address that says nothing, or nonsense, is the overview', () => {
  const plain = at('');
  assert.deepEqual([plain.view, plain.window, plain.profile], ['overview', '1m', 'default']);
  assert.deepEqual(at('?view=nothing&window=7y&profile=&result=maybe&min=1e9&unknown=1'), plain);
});

test('an address is read as it was written', () => {
  const s = at('?view=provider&window=5m&chain=a%2Fb&provider=p%26q');
  assert.deepEqual([s.view, s.chain, s.provider], ['provider', 'a/b', 'p&q']);
  assert.deepEqual(at(href(s, {})), s);
  for (const window of windows) assert.equal(at(href(s, { window })).window, window);
  assert.equal(at('?view=provider&chain=a').view, 'providers'); // of none
  for (const [min, want] of [['5', '5'], ['007.50', '7.5'], ['-1', ''], ['12345678', ''], ['x', '']]) assert.equal(at(`?min=${min}`).min, want);
  assert.equal(at(`?q=${'x'.repeat(1000)}`).q.length, 600);
});

test('window, profile and region go along to another screen, the rest stays behind', () => {
  const s = at('?view=providers&window=1h&profile=x&region=r&q=find&sort=-calls');
  assert.equal(href(s, { view: 'chains' }), '?view=chains&window=1h&profile=x&region=r');
  assert.equal(href(s, { sort: '' }), '?view=providers&window=1h&profile=x&region=r&q=find');
  assert.equal(href(at(''), {}), '/below/');
});

test('a query is the shortest that asks for the same', () => {
  assert.equal(query(at(''), 'providers'), 'providers');
  assert.equal(query(at('?window=5m&region=+'), 'providers', { chain: '', sort: 'a b' }), 'providers?window=5m&sort=a+b');
});

test('an id keeps its colour, and two that are drawn together never share one', () => {
  const first = colorsOf(['a', 'b', 'c']);
  assert.deepEqual([...first.values()], lineColors.slice(0, 3));
  const then = colorsOf(['x', 'c', 'y', 'a']);
  assert.deepEqual([then.get('a'), then.get('c')], [first.get('a'), first.get('c')]);
  assert.equal(new Set(then.values()).size, 4);
  for (let i = 0; i < 500; i++) {
    const ids = Array.from({ length: lineColors.length }, (_, n) => `id${(i * 5 + n * 3) % 97}`);
    const distinct = [...new Set(ids)];
    assert.equal(new Set(colorsOf(distinct).values()).size, distinct.length);
  }
  assert.ok(JSON.parse(stored.get('remuda-colors /below/') ?? '[]').length <= 200);
  const before = writes;
  colorsOf(['id0']);
  colorsOf(['id0']);
  assert.ok(writes - before <= 1, 'nothing that is the same is stored');
});

test('what cannot be kept is no fault', () => {
  keep('a', { n: 1 });
  assert.deepEqual(recall('a', null), { n: 1 });
  assert.equal(recall('b', 7), 7);
  stored.set('remuda-a /below/', '{');
  assert.equal(recall('a', 7), 7);
  stored = /** @type {any} */ ({ get() { throw new Error('forbidden'); }, set() { throw new Error('full'); } });
  assert.equal(recall('a', 7), 7);
  keep('a', 1);
});

const answers = (t, answer) => t.mock.method(globalThis, 'fetch', async (url, options) => answer(url, options));

test('a refusal is told in the node’s words, or those of whatever stands between', async (t) => {
  const cases = [
    [new Response('ok'), null],
    [Response.json({ detail: 'window is 7y' }, { status: 400 }), { status: 400, text: 'window is 7y' }],
    [new Response('<html>no', { status: 502, statusText: 'Bad Gateway' }), { status: 502, text: 'Bad Gateway' }],
    [Response.json({}, { status: 403, statusText: 'Forbidden' }), { status: 403, text: 'Forbidden' }],
    [Response.json(null, { status: 404, statusText: 'Not Found' }), { status: 404, text: 'Not Found' }],
  ];
  for (const [answer, want] of cases) {
    const fetch = answers(t, () => answer);
    assert.deepEqual(await failure('x'), want);
    fetch.mock.restore();
  }
  answers(t, () => { throw new TypeError('nobody answers'); });
  assert.equal(await failure('x'), null);
});

test('only queries that are wrong are refused, not those for which there is no room', async (t) => {
  const asked = [];
  answers(t, (url, { method }) => {
    asked.push(`${method} ${url}`);
    const status = url.includes('bad') ? 400 : url.includes('busy') ? 503 : 200;
    return new Response(method === 'HEAD' ? null : JSON.stringify({ detail: `no ${url}` }), { status });
  });
  const refused = await refusals(['good', 'bad', 'busy']);
  assert.deepEqual([...refused], [['bad', { status: 400, text: 'no api/v1/bad' }]]);
  assert.deepEqual(asked, ['HEAD api/v1/good', 'HEAD api/v1/bad', 'GET api/v1/bad', 'HEAD api/v1/busy']);
});
