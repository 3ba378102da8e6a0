// What this tab keeps through a reload: colours of lines, restarts that were seen.
// Storage may be forbidden or full; then it is kept for as long as the page is open.

/** @param {string} name @param {any} otherwise */
export function recall(name, otherwise) {
  try {
    return JSON.parse(sessionStorage.getItem(`remuda-${name} ${location.pathname}`) ?? 'null') ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** @param {string} name @param {any} value */
export function keep(name, value) {
  try {
    sessionStorage.setItem(`remuda-${name} ${location.pathname}`, JSON.stringify(value));
  } catch { /* see above */ }
}
