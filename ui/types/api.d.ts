// What the API says, as far as the page reads it. Rows are as /openapi.json has them: `make
// types` makes openapi.d.ts of it. The promises are in docs/api.md.

interface Coverage { reporting: number; known: number }

interface Meta {
  node: string; incarnation: number; revision: number; at: number; window_ms: number; covered_ms: number;
  coverage: { nodes: Coverage; senders: Coverage };
  oldest_node_age_ms: number; overflow_calls: number; truncated: boolean;
  step_ms?: number; seen?: number; shown?: number;
  sample?: { by_region: Record<string, number>; by_node: Record<string, number> };
  judged?: { providers: number; unknown: number };
}

type Cell = string | number | boolean | null | undefined;

type Schemas = import('./openapi').components['schemas'];

type AnyRow = Schemas['Provider' | 'Row' | 'Circuit' | 'CircuitChange' | 'Alarm' | 'Block' | 'ProviderHealth' | 'Sender' | 'Decision' | 'Rank' | 'Member' | 'LimitRow' | 'RuntimeValue' | 'Subscriber'];
type MembersOf<R> = R extends any ? keyof R : never;
type MemberOf<R, M> = R extends any ? M extends keyof R ? R[M] : never : never;

/** A row of any collection: what /openapi.json names in any of them, when it was heard, and n where the page counts. */
type Row = { [M in MembersOf<AnyRow>]: MemberOf<AnyRow, M> } & { heard_at: number; n?: number };

/** A row by the names of members that are worked out. */
type Members = Record<string, any>;

type Points = [number, any][];

/** One line of a chart, or the distributions of a heat map. */
interface Line { key: string; metric?: string; points: Points; [dimension: string]: any }

/** What a frame says about one query. */
interface PartFrame {
  meta: Meta; rows?: Row[]; upsert?: any[]; remove?: string[]; append?: Row[]; series?: Line[]; histograms?: Line[];
  seen?: number; shown?: number;
}

interface Frame { meta: Meta; topics: Record<string, PartFrame> }

/** The state of the stream, as every tab of the browser is told. */
interface StreamStatus {
  state: 'connecting' | 'catching up' | 'live' | 'disconnected' | 'asleep';
  retryAt: number; attempts: number; interval: number; ever: boolean;
  why: import('../static/refusal.js').Refusal | null;
}

type Message =
  | { type: 'want'; tab: string; queries: string[]; visible: boolean }
  | { type: 'without'; crowded: string[]; refused: Map<string, import('../static/refusal.js').Refusal> }
  | { type: 'gone'; tab: string }
  | { type: 'lead' }
  | { type: 'retry' }
  | { type: 'status'; status: StreamStatus; now: number }
  | { type: 'frame'; event: string; frame: Frame }
  | { type: 'parts'; tab: string; parts: [string, import('../static/parts.js').Part][]; now: number };

interface Mark { at: number; label: string; tone: string }

interface ChartLine { label: string; values: (number | null)[]; color: string; width?: number; fill?: boolean }

/** With a step, in ms, values are of all of it, and those after the first `whole` may still rise. */
interface ChartModel {
  name: string; at: number[]; step?: number; whole?: number; lines: ChartLine[]; marks: Mark[]; range: [number, number];
  text: (v: number | null) => string; height: number;
}

interface HeatModel { at: number[]; step: number; whole: number; range: [number, number]; cells: Map<number, number>[]; cuts: Map<number, number>[]; low: number; high: number }

interface Column {
  field: string; head: string; about?: string; left?: boolean; sort?: boolean; scope?: boolean; wide?: boolean;
  text: (row: Row, context: any) => any; exact?: (row: Row) => string; tone?: (row: Row, context: any) => string; value?: (row: Row) => Cell;
}
