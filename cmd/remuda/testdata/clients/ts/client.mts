// Prints the providers of the node whose URL is given, with types made of /openapi.json.
import createClient from 'openapi-fetch';
import type { paths } from './api.d.mts';

const client = createClient<paths>({ baseUrl: process.argv[2] });
const { data, error } = await client.GET('/api/v1/providers', { params: { query: { chain: 'c', window: '5m' } } });
if (!data || typeof data === 'string') throw new Error(JSON.stringify(error)); // tables and CSV are strings
for (const row of data.rows) {
  const lag: number | null = row.block_lag_blocks;
  // @ts-expect-error: what may be null is not a number
  const latency: number = row.p95_latency_ms;
  console.log(row.key, row.total_calls, latency, lag);
}
