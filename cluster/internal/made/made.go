// Package made has the events that tests of the cluster have nodes count.
package made

import "remuda/store"

// Call is a successful call of a provider at an instant, ms since the epoch.
func Call(ts int64, provider string, micros uint64) store.Event {
	return store.Event{
		Sent: store.FieldTS, TS: ts, SentTS: ts, Profile: "default", Chain: "base", Method: "m", Strategy: "s", ProviderID: provider,
		SourceNode: "gw", SourceRegion: "r", Weight: 1, DurationMicros: micros, UpstreamMicros: micros,
	}
}
