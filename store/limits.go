package store

// What an event may hold besides ids, wherever it is read.
const (
	MaxText     = 512   // bytes of a free text
	MaxAttempts = 16    // failed tries before the last
	MaxAhead    = 5_000 // ms by which an instant may be ahead; beyond it the event is stamped at arrival
)
