// One EventSource to the node, with reconnection that the page can talk about:
// why it is away, when the next try is, and a way to try now.

import { timeOf } from './clock.js';
import { Pace } from './pace.js';
import { failure } from './refusal.js';

/** Frames come at every interval. A connection without any for so long is dead, whatever the browser still hopes. */
const deadAfter = 15_000;
/** The first one is the largest, and an EventSource does not tell that it is on its way. */
const firstWithin = 60_000;

export class Stream {
  /** @type {EventSource | null} */ #source = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} until the next try, or until the connection counts as dead */ #timer;
  #attempts = 0;
  #ever = false;
  #pace = new Pace();
  /** @type {StreamStatus} */ #said = { state: 'connecting', retryAt: 0, attempts: 0, interval: this.#pace.interval, ever: false, why: null };
  /** @type {import('./refusal.js').Refusal | null} why there is no stream, if the node said it */ #why = null;
  /** @type {string[]} */ queries = [];

  /**
   * @param {import('./clock.js').Clock} clock
   * @param {(event: string, frame: Frame) => void} onframe
   * @param {(status: StreamStatus) => void} onstatus
   * @param {() => void} onrefused the node does not take the queries
   */
  constructor(clock, onframe, onstatus, onrefused) {
    this.clock = clock;
    this.onframe = onframe;
    this.onstatus = onstatus;
    this.onrefused = onrefused;
  }

  /** Streams these queries from now on; none closes the stream. @param {string[]} queries */
  open(queries) {
    this.queries = queries;
    this.#close();
    if (queries.length === 0) {
      this.#say('asleep');
      return;
    }
    this.#say(this.#ever ? 'catching up' : 'connecting');
    const query = new URLSearchParams({ interval: `${this.#pace.interval}ms` });
    for (const q of queries) query.append('topic', q);
    const url = `api/v1/stream?${query}`;
    const source = new EventSource(url);
    const asked = performance.now();
    let opened = false;
    this.#source = source;
    this.#watch(source, deadAfter);
    const take = (/** @type {MessageEvent} */ e) => {
      if (source !== this.#source) return;
      this.#attempts = 0;
      this.#why = null;
      this.#watch(source, deadAfter);
      const frame = JSON.parse(e.data);
      const at = timeOf(frame);
      this.clock.heard(at);
      if (e.type === 'snapshot') {
        this.#ever = true;
        this.#say('live');
      }
      this.onframe(e.type, frame);
      if (this.#pace.changes(this.clock.now() - at)) this.retry();
    };
    source.addEventListener('hello', (e) => {
      if (source !== this.#source) return;
      this.clock.said(JSON.parse(e.data).server_at, asked);
      this.#watch(source, firstWithin);
    });
    source.addEventListener('snapshot', take);
    source.addEventListener('delta', take);
    source.addEventListener('bye', () => this.#lost(source));
    source.onopen = () => { opened = true; };
    source.onerror = () => this.#lost(source, opened ? '' : url);
  }

  /** Tries again now. */
  retry() {
    if (this.queries.length) this.open(this.queries);
  }

  /** @param {EventSource} source @param {number} ms */
  #watch(source, ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(source), ms);
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** @param {EventSource} source @param {string} [refused] the address, if it was never open: an EventSource keeps to itself why */
  #lost(source, refused) {
    if (source !== this.#source) return;
    this.#close();
    if (refused) this.#ask(refused);
    else this.#why = null;
    this.#attempts += 1;
    // Jittered, so that the tabs of many people do not come back at once.
    const wait = Math.min(1000 * 2 ** (this.#attempts - 1), 15_000) * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => this.retry(), wait);
    this.#say('disconnected', Date.now() + wait);
  }

  /** One question for each failed try. @param {string} url */
  async #ask(url) {
    const why = await failure(`${url}&max_frames=1`);
    if (this.#source) return; // meanwhile it is being tried again
    this.#why = why;
    this.onstatus({ ...this.#said, why });
    if (why?.status === 400) this.onrefused();
  }

  /** @param {StreamStatus['state']} state */
  #say(state, retryAt = 0) {
    this.#said = { state, retryAt, attempts: this.#attempts, interval: this.#pace.interval, ever: this.#ever, why: this.#why };
    this.onstatus(this.#said);
  }
}
