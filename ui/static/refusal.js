// Why the node does not answer as one would like: in its own words, since an
// EventSource tells nobody.

/** @typedef {{ status: number, text: string }} Refusal */

/** How long to wait for an answer that only explains. */
const patience = 5000; // ms

/** What is wrong with the address; null if nothing is, or nobody answers. @param {string} url @param {string} [method] @returns {Promise<Refusal | null>} */
export async function failure(url, method = 'GET') {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), patience);
  try {
    const answer = await fetch(url, { method, signal: stop.signal, cache: 'no-store' });
    if (answer.ok) return null;
    const text = (await answer.text()).slice(0, 2000);
    return { status: answer.status, text: detail(text) || answer.statusText };
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
    stop.abort(); // of an answer that is a stream, the head is enough
  }
}

/** The detail of a problem document; whatever stands between may answer with anything. @param {string} text */
function detail(text) {
  try {
    return String(JSON.parse(text).detail ?? '');
  } catch {
    return '';
  }
}

/** Which of the queries the node does not take, and why. @param {string[]} queries @returns {Promise<Map<string, Refusal>>} */
export async function refusals(queries) {
  const refused = new Map();
  for (const q of queries) { // one after another: there may be a hundred
    if ((await failure(`api/v1/${q}`, 'HEAD'))?.status !== 400) continue;
    const why = await failure(`api/v1/${q}`);
    if (why) refused.set(q, why);
  }
  return refused;
}
