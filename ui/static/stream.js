// One EventSource to the node, with reconnection that the page can talk about:
// when the next try is, and a way to try now.

/** Frames come at every interval. A connection without any for so long is dead, whatever the browser still hopes. */
const deadAfter = 15_000;

export class Stream {
  /** @type {EventSource | null} */ #source = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} until the next try, or until the connection counts as dead */ #timer;
  #attempts = 0;
  #ever = false;
  #interval = 500;
  /** @type {string[]} */ queries = [];

  /**
   * @param {(event: string, frame: Frame) => void} onframe
   * @param {(status: StreamStatus) => void} onstatus
   */
  constructor(onframe, onstatus) {
    this.onframe = onframe;
    this.onstatus = onstatus;
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
    const query = new URLSearchParams({ interval: '500ms' });
    for (const q of queries) query.append('topic', q);
    const source = new EventSource(`api/v1/stream?${query}`);
    this.#source = source;
    this.#watch(source);
    const take = (/** @type {MessageEvent} */ e) => {
      if (source !== this.#source) return;
      this.#attempts = 0;
      this.#watch(source);
      if (e.type === 'snapshot') {
        this.#ever = true;
        this.#say('live');
      }
      this.onframe(e.type, JSON.parse(e.data));
    };
    source.addEventListener('hello', (e) => { this.#interval = JSON.parse(e.data).interval_ms; });
    source.addEventListener('snapshot', take);
    source.addEventListener('delta', take);
    source.addEventListener('bye', () => this.#lost(source));
    source.onerror = () => this.#lost(source);
  }

  /** Tries again now. */
  retry() {
    if (this.queries.length) this.open(this.queries);
  }

  /** @param {EventSource} source */
  #watch(source) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(source), deadAfter);
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** @param {EventSource} source */
  #lost(source) {
    if (source !== this.#source) return;
    this.#close();
    this.#attempts += 1;
    // Jittered, so that the tabs of many people do not come back at once.
    const wait = Math.min(1000 * 2 ** (this.#attempts - 1), 15_000) * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => this.retry(), wait);
    this.#say('disconnected', Date.now() + wait);
  }

  /** @param {StreamStatus['state']} state */
  #say(state, retryAt = 0) {
    this.onstatus({ state, retryAt, attempts: this.#attempts, interval: this.#interval, ever: this.#ever });
  }
}
