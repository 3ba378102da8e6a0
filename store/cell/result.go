package cell

// A Result is how a call ended.
type Result uint8

// The results. Of a cancelled call the end was not seen: it lost to a hedge, or who had
// asked went away. One that was not sent is no call: a breaker was open, or it was skipped.
const (
	Success Result = iota
	Failure
	Cancelled
	NotSent
	NumResults
)

var resultNames = [NumResults]string{"success", "error", "cancelled", "not_sent"}

func (r Result) String() string { return resultNames[r] }
