// Package ids says what ids are: the names of profiles, chains, providers, methods and
// whatever else is told apart, wherever they are read: in a body, in what another node
// tells, in a query or a flag.
package ids

import "strconv"

// Max is how many bytes an id may have.
const Max = 128

// Other stands for what is no longer told apart once a cap is reached.
const Other = "__other__"

// isByte are the characters of ids: what is safe in a URL, in a label and in a log,
// and leaves / and , to join ids.
var isByte = func() (ok [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@#=+~-") {
		ok[c] = true
	}
	return ok
}()

// IsByte reports whether ids may have a byte.
func IsByte(c byte) bool { return isByte[c] }

// Fault says what keeps a text from being an id: a code as refusals have it, and
// a detail; nothing when nothing does. Names that begin with __ are the store's own.
func Fault(id string) (code, detail string) {
	switch {
	case id == "":
		return "empty", "must not be empty"
	case len(id) > Max:
		return "too_long", "must have at most " + strconv.Itoa(Max) + " characters"
	case len(id) > 1 && id[:2] == "__":
		return "bad_character", "names that begin with __ are reserved"
	}
	for i := range len(id) {
		if !isByte[id[i]] {
			return "bad_character", "only letters, digits and ._:@#=+~- are allowed"
		}
	}
	return "", ""
}

// Valid reports whether a text is an id.
func Valid(id string) bool {
	code, _ := Fault(id)
	return code == ""
}

// ValidName reports whether a name may come from another node: an id, or Other.
func ValidName(name string) bool { return name == Other || Valid(name) }
