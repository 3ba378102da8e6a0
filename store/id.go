package store

import "strconv"

// What an event may hold, wherever it is read: in a body, in what another node tells, in
// a query or a flag.
const (
	MaxID       = 128                      // bytes of an id
	MaxText     = 512                      // bytes of a free text
	MaxAttempts = 16                       // failed tries before the last
	MaxMicros   = 24 * 60 * 60 * 1_000_000 // the longest duration
	MaxAhead    = 5_000                    // ms by which an instant may be ahead; beyond it the event is stamped at arrival
)

// isIDByte are the characters of ids: what is safe in a URL, in a label and in a log,
// and leaves / and , to join ids.
var isIDByte = func() (ok [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@#=+~-") {
		ok[c] = true
	}
	return ok
}()

// IsIDByte reports whether ids may have a byte.
func IsIDByte(c byte) bool { return isIDByte[c] }

// IDFault says what keeps a text from being an id: a code as refusals have it, and
// a detail; nothing when nothing does. Names that begin
// with __ are the store's own.
func IDFault(id string) (code, detail string) {
	switch {
	case id == "":
		return "empty", "must not be empty"
	case len(id) > MaxID:
		return "too_long", "must have at most " + strconv.Itoa(MaxID) + " characters"
	case len(id) > 1 && id[:2] == "__":
		return "bad_character", "names that begin with __ are reserved"
	}
	for i := range len(id) {
		if !isIDByte[id[i]] {
			return "bad_character", "only letters, digits and ._:@#=+~- are allowed"
		}
	}
	return "", ""
}

// ValidID reports whether a text has the form of an id.
func ValidID(id string) bool {
	code, _ := IDFault(id)
	return code == ""
}

// ValidName reports whether a name may come from another node: an id, or the name that
// the store has for what is no longer told apart.
func ValidName(name string) bool { return name == otherName || ValidID(name) }
