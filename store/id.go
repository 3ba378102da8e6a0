package store

// maxID is the most bytes of an id.
const maxID = 128

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

// ValidID reports whether a text has the form of an id. Names that begin with __ are
// the store's own.
func ValidID(id string) bool {
	if id == "" || len(id) > maxID || len(id) > 1 && id[:2] == "__" {
		return false
	}
	for i := range len(id) {
		if !isIDByte[id[i]] {
			return false
		}
	}
	return true
}

// ValidName reports whether a name may come from another node: an id, or the name that
// the store has for what is no longer told apart.
func ValidName(name string) bool { return name == otherName || ValidID(name) }
