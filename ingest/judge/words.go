package judge

import (
	"strings"

	"remuda/store"
	"remuda/store/cell"
)

// A Word is one value of an enumeration.
type Word struct {
	Text  string
	Value uint8 // as the store has it
}

// words are those of the fields that are enumerations, in the order in which they are
// tried and listed.
var words = [NumFields + 1][]Word{
	Type: {
		{"decision", uint8(store.Decision)},
		{"circuit", uint8(store.Circuit)},
		{"block", uint8(store.Block)},
		{"health", uint8(store.Health)},
	},
	Transport:     wordsOf(store.HTTP, store.WS),
	RequestOrigin: wordsOf(store.Client, store.System),
	To:            wordsOf(store.CircuitClosed, store.CircuitOpen, store.CircuitHalfOpen),
	// Unknown is the word of rows of changes, for a state that nobody reported.
	From:   wordsOf(store.CircuitClosed, store.CircuitOpen, store.CircuitHalfOpen, store.CircuitUnknown),
	Status: wordsOf(store.Healthy, store.Degraded, store.Unhealthy, store.HealthUnknown),
	Source: wordsOf(store.HeightFromWS, store.HeightFromHTTP),
	Result: wordsOf(cell.Success, cell.Failure, cell.Cancelled),
	// What was not sent is no request that ended.
	AttemptResult: wordsOf(cell.Failure, cell.Success, cell.Cancelled, cell.NotSent),
}

// wordsOf are the words of some values.
func wordsOf[T interface {
	~uint8
	String() string
}](values ...T) (list []Word) {
	for _, v := range values {
		list = append(list, Word{v.String(), uint8(v)})
	}
	return list
}

// Words are those of a field, which the caller does not change; none of one that is no
// enumeration.
func Words(f Field) []Word { return words[f] }

// Word is the value of a word of a field.
func (c *Case) Word(f Field, text string) uint8 {
	known := make([]string, len(words[f]))
	for i, w := range words[f] {
		if w.Text == text {
			return w.Value
		}
		known[i] = w.Text
	}
	code := "unknown_value"
	if f == Type {
		code = "unknown_type"
	}
	c.Fault(Fault{Field: f, Code: code, Detail: "must be one of " + strings.Join(known, ", ")})
	return 0
}
