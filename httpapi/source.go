package httpapi

import "remuda/store"

// A source is the live content of one canonical query: what a REST answer
// renders once, and what a view refreshes at every interval for all its
// subscribers. A source belongs to one goroutine at a time; it keeps between
// refreshes whatever it needs to tell what changed.
type source interface {
	// refresh brings the source up to date with the store. It returns the
	// metadata of the answer, whose revision is read before anything else: all
	// changes up to it are included, later ones may be.
	refresh() meta

	// appendSnapshot appends the members that follow meta in a document with
	// everything as of the last refresh: "rows":[…]
	appendSnapshot(dst []byte) []byte

	// appendDelta appends the members that follow meta in a delta, with what
	// differs between the last two refreshes: "upsert":[…],"remove":[…]
	// Rows whose ages or calls_per_second alone moved do not differ.
	appendDelta(dst []byte) []byte
}

// meta is what every answer says of itself.
type meta struct {
	store.Meta
	truncated bool
	judged    *store.Judged // of attention, nil for all else
	// extra is further members, each preceded by a comma: ,"step_ms":1000
	extra []byte
}
