// How often frames are asked for. A connection that cannot carry them every half
// second carries larger ones less often; whether it can again is tried now and then.

const intervals = [500, 1000, 2000, 5000]; // ms, that nodes have

/** A frame is late when what it says is older than the interval and this. */
const slack = 1000; // ms
/** So long, and for so many frames, they may be late: a burst is no reason. */
const patience = 4000; // ms
const few = 3;
/** On time for so long, a shorter interval is tried: at first, and after many that failed. */
const [firstTry, lastTry] = [60_000, 3_600_000]; // ms

export class Pace {
  #step = 0;
  #late = 0; // frames in a row
  #since = performance.now(); // when the first of them came, or of those that were on time
  #try = firstTry;

  get interval() { return intervals[this.#step]; }

  /** Whether another interval is to be asked for, now that a frame has come of that age. @param {number} age ms */
  changes(age) {
    const now = performance.now();
    const late = age > this.interval + slack;
    if (late !== this.#late > 0) this.#since = now;
    this.#late = late ? this.#late + 1 : 0;
    let step = this.#step;
    if (late && this.#late >= few && now - this.#since > patience) {
      const carried = (now - this.#since) / (this.#late - 1); // a frame every so many ms
      step = intervals.findIndex((ms) => ms > Math.max(this.interval, 1.25 * carried));
      if (step < 0) step = intervals.length - 1;
      this.#try = Math.min(2 * this.#try, lastTry);
    } else if (!late && now - this.#since > this.#try) {
      step = Math.max(step - 1, 0);
    }
    if (step === this.#step) return false;
    this.#step = step;
    this.#late = 0;
    this.#since = now;
    return true;
  }
}
