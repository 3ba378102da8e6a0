// What the stream has said about one query so far. Pure: a part and a frame make
// the next state of the part. Rows are replaced whole and never changed, so that
// whoever drew a row can tell by identity whether it is still the same. Each has
// heard_at: ages in it are as of then, since they alone do not make a row come anew.

/** How many decisions are kept: more than a screen shows, less than a phone minds. */
const keptDecisions = 200;

export class Part {
  /** @type {Meta | null} */ meta = null;
  /** @type {Map<string, Row>} */ rows = new Map();
  /** @type {Map<string, Line>} lines of charts by key and metric */ lines = new Map();
  /** @type {Row[]} newest first */ feed = [];
  seen = 0;
  shown = 0;
  /** @type {'rows' | 'series' | 'histograms'} */ kind = 'rows';
}

/** @param {Line} line */
const lineId = (line) => (line.metric ? `${line.key} ${line.metric}` : line.key);

/**
 * Applies what a frame says about the query. It returns how many things changed.
 * @param {Part} part @param {PartFrame} said
 */
export function apply(part, said) {
  part.meta = said.meta;
  for (const row of said.rows ?? said.upsert ?? []) row.heard_at = said.meta.at;
  const whole = said.rows ?? said.series ?? said.histograms;
  if (whole) {
    part.kind = said.series ? 'series' : said.histograms ? 'histograms' : 'rows';
    if (said.rows) part.rows = new Map(said.rows.map((row) => [row.key, row]));
    else part.lines = new Map(/** @type {Line[]} */ (whole).map((line) => [lineId(line), line]));
    part.feed = said.rows ?? [];
    part.seen = part.shown = 0;
    return whole.length;
  }
  if (said.append) {
    part.feed = [...said.append, ...part.feed].sort((a, b) => b.ts - a.ts).slice(0, keptDecisions);
    part.seen = said.seen ?? 0;
    part.shown = said.shown ?? 0;
    return said.append.length;
  }
  if (part.kind === 'rows') {
    for (const row of said.upsert ?? []) part.rows.set(row.key, row);
    for (const key of said.remove ?? []) part.rows.delete(key);
    return (said.upsert?.length ?? 0) + (said.remove?.length ?? 0);
  }
  for (const key of said.remove ?? []) {
    for (const [id, line] of part.lines) if (line.key === key) part.lines.delete(id);
  }
  for (const line of said.upsert ?? []) {
    const id = lineId(line);
    part.lines.set(id, { ...line, points: joined(part.lines.get(id)?.points ?? [], line.points, said.meta) });
  }
  return said.upsert?.length ?? 0;
}

/**
 * Joins points: a new one replaces the one of the same instant, so there is
 * neither a gap nor a double at the seam; what has left the window is dropped.
 * @param {Points} old @param {Points} fresh @param {Meta} meta
 */
export function joined(old, fresh, meta) {
  const step = meta.step_ms ?? 1000;
  const first = Math.floor((meta.at - meta.window_ms) / step) * step;
  const by = new Map(old);
  for (const [at, value] of fresh) by.set(at, value);
  return /** @type {Points} */ ([...by].filter(([at]) => at >= first).sort((a, b) => a[0] - b[0]));
}

/** A copy that later frames do not reach, for the pause. @param {Part} part */
export function frozen(part) {
  const copy = new Part();
  Object.assign(copy, part, { rows: new Map(part.rows), lines: new Map(part.lines) });
  return copy;
}
