package store

// What an event may hold besides ids, wherever it is read.
const (
	MaxText     = 512   // bytes of a free text
	MaxAttempts = 16    // tries beside the one that ended the request
	MaxAhead    = 5_000 // ms by which an instant may be ahead; beyond it the event is stamped at arrival
)
