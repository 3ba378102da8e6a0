// The live data of a tab. All tabs of a browser share one stream, since browsers
// allow six connections to a host: the Web Lock "remuda-stream" elects a leader,
// which streams what all tabs want and hands frames on over a BroadcastChannel. Both
// have the path of the page in their names: a proxy may have several nodes at one host.
// Web Locks need a secure context (https, localhost); elsewhere each visible tab
// streams for itself.

import { Clock, timeOf } from './clock.js';
import { Part, apply } from './parts.js';
import { refusals } from './refusal.js';
import { Stream } from './stream.js';

/** A tab hidden for so long wants nothing, and leads no more when others can. */
const hiddenFor = 60_000;
/** Queries of one stream; nodes take 100. Tabs beyond it wait until they are looked at, see admit. */
const mostQueries = 96;
/** Room for queries in the URL of the stream; nodes take headers of 16 KiB. */
const roomForQueries = 12_000;

const place = new URL('.', location.href).pathname;

export class Feed {
  /** @type {Map<string, Part>} what is known, by query */ parts = new Map();
  /** @type {StreamStatus} */ status = { state: 'connecting', retryAt: 0, attempts: 0, interval: 500, ever: false, why: null };
  /** Whether the stream has no room for what this tab wants. */ crowded = false;
  /** @type {Map<string, import('./refusal.js').Refusal>} queries that the node does not take; they are not streamed */ refused = new Map();
  clock = new Clock();
  leading = false;

  #tab = crypto.randomUUID?.() ?? String(Math.random());
  #channel = 'locks' in navigator && 'BroadcastChannel' in window ? new BroadcastChannel(`remuda ${place}`) : null;
  /** @type {string[]} */ #wanted = [];
  /** @type {Map<string, { queries: string[], visible: boolean }>} what all tabs want, the newest last, when leading */ #tabs = new Map();
  /** @type {string[]} tabs that there was no room for, when leading */ #crowded = [];
  /** @type {(() => void) | null} */ #release = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #hiding;
  #asleep = false;
  #queued = new AbortController();
  /** @type {Promise<any> | null} */ #frozen = null;
  #stream = new Stream(this.clock, (event, frame) => this.#send({ type: 'frame', event, frame }), (status) => this.#send({ type: 'status', status, now: this.clock.now() }), () => this.#sort());

  /** @param {(changes: number) => void} onchange */
  constructor(onchange) {
    this.onchange = onchange;
    document.addEventListener('visibilitychange', () => this.#visibility());
    if (!this.#channel) {
      this.leading = true;
      return;
    }
    this.#channel.onmessage = (e) => this.#take(e.data);
    navigator.locks.request(`remuda-tab ${this.#tab}`, () => new Promise(() => {})); // says that this tab lives
    this.#elect();
    // A page that the browser keeps for the way back is frozen: it must not lead.
    addEventListener('pagehide', () => {
      this.#post({ type: 'gone', tab: this.#tab });
      this.#frozen = new Promise((thaw) => addEventListener('pageshow', thaw, { once: true }));
      this.#release?.();
      this.#queued.abort();
    });
    addEventListener('pageshow', () => this.#ask());
    setInterval(() => this.#prune(), 15_000);
  }

  /** Says which queries this tab shows. @param {string[]} queries */
  want(queries) {
    if (queries.join('\n') === this.#wanted.join('\n')) return;
    this.#wanted = queries;
    if (!this.leading) { // a leader keeps what others want
      for (const query of this.parts.keys()) if (!queries.includes(query)) this.parts.delete(query);
    }
    this.#ask();
  }

  retry() {
    if (this.leading) this.#again();
    else this.#post({ type: 'retry' });
  }

  #again() {
    if (this.refused.size === 0) return this.#stream.retry();
    this.refused.clear(); // the node may be another by now
    return this.#restream();
  }

  /** The age of the oldest table of this tab, ms; null while it has none. Charts show theirs by where they end. */
  get age() {
    const at = this.#wanted.map((q) => this.parts.get(q)).filter((part) => part?.meta && part.kind === 'rows').map((part) => /** @type {Meta} */ (part?.meta).at);
    return at.length ? Math.max(this.clock.now() - Math.min(...at), 0) : null;
  }

  /** Why the node does not answer some of what this tab wants. */
  get refusal() { return this.#wanted.map((q) => this.refused.get(q)).find(Boolean); }

  #ask() {
    const queries = this.#asleep ? [] : this.#wanted;
    const visible = !document.hidden;
    if (this.leading) this.#serve(this.#tab, queries, visible);
    else this.#post({ type: 'want', tab: this.#tab, queries, visible });
  }

  async #elect() {
    for (;;) {
      await this.#frozen;
      this.#queued = new AbortController();
      await navigator.locks.request(`remuda-stream ${place}`, { signal: this.#queued.signal }, () => new Promise((/** @type {(v?: any) => void} */ release) => {
        this.leading = true;
        this.#release = release;
        this.#tabs.clear();
        this.refused.clear();
        this.#post({ type: 'lead' });
        this.#ask();
      })).catch(() => {}); // aborted while it waited
      this.leading = false;
      this.#release = null;
      this.#tabs.clear();
      this.#stream.open([]);
    }
  }

  /** @param {Message} message */
  #post(message) {
    if (message.type === 'frame' && this.#tabs.size < 2) return; // nobody else is there: a copy of it would be for nothing
    this.#channel?.postMessage(message);
  }

  /** To all tabs, this one too. @param {Message} message */
  #send(message) {
    if (!this.leading) return;
    this.#post(message);
    this.#take(message);
  }

  /** @param {Message} m */
  #take(m) {
    switch (m.type) {
      case 'frame': return this.#frame(m.event, m.frame);
      case 'status':
        this.status = m.status;
        if (!this.leading) this.clock.said(m.now, performance.now());
        return this.onchange(0);
      case 'parts':
        if (m.tab !== this.#tab) return undefined;
        for (const [query, part] of m.parts) this.parts.set(query, Object.assign(new Part(), part));
        this.clock.said(m.now, performance.now());
        return this.onchange(m.parts.length);
      case 'without':
        this.crowded = m.crowded.includes(this.#tab);
        this.refused = m.refused;
        return this.onchange(0);
      case 'lead': return this.#ask();
      default:
    }
    if (!this.leading) return undefined;
    if (m.type === 'want') this.#serve(m.tab, m.queries, m.visible);
    if (m.type === 'gone') {
      this.#tabs.delete(m.tab);
      if (this.#crowded.length) this.#restream(); // there may be room now
    }
    if (m.type === 'retry') this.#again();
    return undefined;
  }

  /** @param {string} event @param {Frame} frame */
  #frame(event, frame) {
    this.clock.heard(timeOf(frame));
    let changes = 0;
    for (const [query, said] of Object.entries(frame.topics)) {
      // The leader keeps what others want, to tell a tab that comes later.
      if (!this.leading && !this.#wanted.includes(query)) continue;
      const part = this.parts.get(query);
      if (event === 'snapshot' || !part) {
        if (event !== 'snapshot') continue;
        const fresh = new Part();
        apply(fresh, said);
        this.parts.set(query, fresh);
        changes += 1;
      } else {
        changes += apply(part, said);
      }
    }
    this.onchange(changes);
  }

  /** Notes what a tab wants, and streams what all of them want. @param {string} tab @param {string[]} queries @param {boolean} visible */
  #serve(tab, queries, visible) {
    this.#tabs.delete(tab);
    this.#tabs.set(tab, { queries, visible });
    const streamed = new Set(this.#stream.queries);
    if (streamed.size && queries.length && queries.every((q) => streamed.has(q) || this.refused.has(q))) {
      if (tab === this.#tab) return;
      const parts = /** @type {[string, Part][]} */ (queries.map((q) => [q, this.parts.get(q)]).filter(([, part]) => part));
      this.#post({ type: 'status', status: this.status, now: this.clock.now() });
      this.#post({ type: 'without', crowded: this.#crowded, refused: this.refused });
      this.#post({ type: 'parts', tab, parts, now: this.clock.now() });
      return;
    }
    this.#restream();
  }

  /**
   * Whole tabs as long as there is room, those that are seen first, and of them the
   * newest: half a screen would be worth less than one that says that it waits.
   */
  #admit() {
    /** @type {Set<string>} */ const all = new Set();
    /** @type {string[]} */ const crowded = [];
    let room = roomForQueries;
    const tabs = [...this.#tabs].reverse();
    for (const [tab, { queries }] of [...tabs.filter(([, t]) => t.visible), ...tabs.filter(([, t]) => !t.visible)]) {
      const more = queries.filter((q) => !all.has(q) && !this.refused.has(q));
      const length = more.reduce((n, q) => n + encodeURIComponent(q).length + 7, 0);
      if (length > room || all.size + more.length > mostQueries) {
        crowded.push(tab);
        continue;
      }
      room -= length;
      for (const q of more) all.add(q);
    }
    return { all, crowded };
  }

  #restream() {
    const { all, crowded } = this.#admit();
    this.#crowded = crowded;
    this.#send({ type: 'without', crowded, refused: this.refused });
    if (all.size === this.#stream.queries.length && this.#stream.queries.every((q) => all.has(q))) return;
    for (const query of this.parts.keys()) if (!all.has(query)) this.parts.delete(query);
    this.#stream.open([...all]);
  }

  /** Finds what the node does not take, which would otherwise be the end of the stream of all tabs. */
  async #sort() {
    const refused = await refusals(this.#stream.queries);
    if (!this.leading || refused.size === 0) return;
    for (const [query, why] of refused) this.refused.set(query, why);
    this.#restream();
  }

  /** A tab that crashed says no farewell, but loses its lock. */
  async #prune() {
    if (!this.leading) return;
    const held = new Set((await navigator.locks.query()).held?.map((l) => l.name));
    for (const tab of this.#tabs.keys()) if (!held.has(`remuda-tab ${tab}`)) this.#tabs.delete(tab);
    const needed = new Set([...this.#tabs.values()].flatMap((t) => t.queries));
    if (this.#crowded.length || this.#stream.queries.some((q) => !needed.has(q))) this.#restream();
  }

  #visibility() {
    clearTimeout(this.#hiding);
    if (document.hidden) {
      this.#hiding = setTimeout(() => {
        this.#asleep = true;
        this.#ask();
        const others = [...this.#tabs].some(([tab, { queries }]) => tab !== this.#tab && queries.length > 0);
        if (others) this.#release?.();
      }, hiddenFor);
    } else {
      this.#asleep = false;
    }
    this.#ask(); // those that are seen come first
  }
}
