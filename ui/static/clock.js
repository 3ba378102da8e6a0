// What time it is at the node. The page's own clock may be anything, so it only
// counts from what the node says: hello answers a question whose time is known,
// and nothing that arrives can be from the future.

/** Apart by more than this, the page's two clocks tell of a sleep, or of one that was set. */
const apart = 2000; // ms

export class Clock {
  /** The node's time less the page's steady one, ms; null until the node has said anything. @type {number | null} */ #ahead = null;
  #newest = 0;
  #wall = Date.now() - performance.now();

  /** The node said that it was at, in the middle of asking and hearing. @param {number} at @param {number} asked by performance.now() */
  said(at, asked) {
    this.#ahead = at - (asked + performance.now()) / 2;
    this.#newest = 0;
  }

  /** Something of that time is here. If it is earlier than what came before, the node's clock was set. @param {number} at */
  heard(at) {
    const least = at - performance.now();
    this.#ahead = this.#ahead === null || at < this.#newest ? least : Math.max(this.#ahead, least);
    this.#newest = at;
  }

  now() { return this.#ahead === null ? Date.now() : performance.now() + this.#ahead; }

  /** Whether the machine slept, or its clock was set, since this was last asked. */
  jumped() {
    const wall = Date.now() - performance.now();
    if (Math.abs(wall - this.#wall) < apart) return false;
    this.#wall = wall;
    return true;
  }
}

/** When what a frame says was true: charts of very many series may be read less often than the rest. @param {Frame} frame */
export const timeOf = (frame) => Math.max(frame.meta.at, ...Object.values(frame.topics).map((part) => part.meta.at));
