package judge

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"remuda/store"
	"remuda/store/cell"
	"remuda/store/ids"
)

// MaxInteger is the greatest integer that every JSON implementation keeps exact.
const MaxInteger = 1 << 53

// Bounds of what an event may hold; the others are the store's.
const (
	maxWeight = 1_000_000
	maxCount  = 1<<32 - 1
	maxAge    = 3_600_000 // ms; beyond it an event is refused
)

// limits are the greatest values of the fields that are integers.
var limits = [NumFields]uint64{
	Chain: MaxInteger, Height: MaxInteger, Weight: maxWeight,
	Failovers: maxCount, ConsecutiveFailures: maxCount, ConsecutiveSuccesses: maxCount,
}

// WrongType notes that a value is not of the type of its field.
func (c *Case) WrongType(f Field, want string) {
	c.Fault(Fault{Field: f, Code: "wrong_type", Detail: "must be " + want})
}

// ID judges an id, and reports whether it is good.
func (c *Case) ID(f Field, value string) bool {
	code, detail := ids.Fault(value)
	if code == "" {
		return true
	}
	c.Fault(Fault{Field: f, Code: code, Detail: detail})
	return false
}

// TextLength judges the length of free text.
func (c *Case) TextLength(f Field, bytes int) {
	if bytes > store.MaxText {
		c.Fault(Fault{Field: f, Code: "too_long", Detail: "must have at most " + strconv.Itoa(store.MaxText) + " bytes"})
	}
}

// Text judges free text.
func (c *Case) Text(f Field, value string) {
	c.TextLength(f, len(value))
	if strings.ContainsFunc(value, unicode.IsControl) {
		c.Fault(Fault{Field: f, Code: "bad_character", Detail: "must not have control characters"})
	}
}

// ChainName is the name of a chain that was given as text: a name, or a number in any
// spelling. In Lasso's newer spelling it is a number.
func (c *Case) ChainName(value string) string {
	id, isNumber := store.ChainID(value)
	switch {
	case isNumber:
		return c.setting.Chains.Name(id)
	case c.Lasso&(1<<Chain) != 0:
		c.Fault(Fault{
			Field: Chain, Code: "unknown_value",
			Detail: `chain_id must be an EIP-155 number such as 8453, "0x2105" or "eip155:8453"; names go into chain`,
		})
	}
	return value
}

// ChainNumber is the name of the chain with an EIP-155 number.
func (c *Case) ChainNumber(id uint64) string { return c.setting.Chains.Name(id) }

// Count judges an integer that has been read, or could not be for the reason of a code,
// and returns it, or 0.
func (c *Case) Count(f Field, n uint64, code string) uint64 {
	if code == "" && n > limits[f] {
		code = "out_of_range"
	}
	switch {
	case code != "":
		detail := "must be an integer from 0 to " + strconv.FormatUint(limits[f], 10)
		c.Fault(Fault{Field: f, Code: code, Detail: detail})
		return 0
	case n == 0 && f == Weight:
		c.Fault(Fault{Field: f, Code: "out_of_range", Detail: "must be from 1 to 1000000"})
	}
	return n
}

// Micros judges a duration in whole µs that has been read, or could not be for the reason
// of a code, and returns it, or 0.
func (c *Case) Micros(f Field, micros uint64, code string) uint64 {
	if code == "" && micros <= cell.MaxMicros {
		return micros
	}
	return c.noMicros(f, code)
}

func (c *Case) noMicros(f Field, code string) uint64 {
	if code == "" {
		code = "out_of_range"
	}
	c.Fault(Fault{Field: f, Code: code, Detail: "must be milliseconds from 0 to " + strconv.Itoa(cell.MaxMicros/1000)})
	return 0
}

// Inherited marks an attempt that takes its transport from the decision.
const Inherited store.Transport = 255

// Attempt judges the nth other try, of which the required fields may be missing. It
// reports whether the event keeps it.
func (c *Case) Attempt(n int, hasProvider, hasDuration bool) bool {
	switch {
	case n >= store.MaxAttempts:
		if n == store.MaxAttempts {
			c.Fault(Fault{Field: Attempts, Code: "out_of_range", Detail: "at most " + strconv.Itoa(store.MaxAttempts) + " attempts are taken"})
		}
		return false
	case !hasProvider:
		c.Fault(Fault{Field: Attempts, Path: pathOf(n, "provider_id"), Code: "missing", Detail: "every attempt needs a provider_id"})
	case !hasDuration:
		c.Fault(Fault{Field: Attempts, Path: pathOf(n, "duration_ms"), Code: "missing", Detail: "every attempt needs a duration_ms"})
	}
	return true
}

func pathOf(n int, name string) string {
	if name == "" {
		return fmt.Sprintf("attempts[%d]", n)
	}
	return fmt.Sprintf("attempts[%d].%s", n, name)
}
