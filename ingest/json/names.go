package json

import (
	"encoding/binary"

	"remuda/ingest/judge"
)

// name is one spelling of a field. Both spellings of a field in one event are a
// duplicate.
type name struct {
	quoted string // as in the text
	field  judge.Field
	lasso  bool // the newer spelling of Lasso, whose values differ a little
}

// names is an open hash table of all spellings that are read, by nameKey: a name
// is found by its first bytes before it is known where it ends, which takes half
// the time of reading it first. Names that begin alike follow each other.
var names = func() (table [128]name) {
	add := func(text string, f judge.Field, lasso bool) {
		quoted := `"` + text + `"`
		i := nameKey(binary.LittleEndian.Uint64([]byte(quoted + "        ")[1:]))
		for table[i].quoted != "" {
			i = (i + 1) % uint(len(table))
		}
		table[i] = name{quoted: quoted, field: f, lasso: lasso}
	}
	for f := range judge.NumFields {
		add(f.String(), f, false)
	}
	add("source_node_id", judge.SourceNode, true)
	add("chain_id", judge.Chain, true)
	add("block_number", judge.Height, true)
	add("previous_state", judge.From, true)
	add("new_state", judge.To, true)
	return table
}()

// nameKey hashes the eight bytes behind the opening quote of a name, of which
// those from the closing quote on do not count.
func nameKey(w uint64) uint {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote := w ^ ones*'"'
	found := (quote - ones) &^ quote & highs
	w &= (found&-found)>>7 - 1 // all of them where there is none
	return uint(w * 0x9e3779b97f4a7c15 >> 57)
}

// namesByText are the same, unquoted.
var namesByText = func() map[string]*name {
	m := make(map[string]*name)
	for i := range names {
		if q := names[i].quoted; q != "" {
			m[q[1:len(q)-1]] = &names[i]
		}
	}
	return m
}()

// quoted is a word of an enumeration as it mostly stands in a text.
type quoted struct {
	text  string
	value uint8
}

// words are those of the fields that are enumerations, in the order of [judge.Words].
var words = func() (list [judge.NumFields + 1][]quoted) {
	for f := range judge.NumFields + 1 {
		for _, w := range judge.Words(f) {
			list[f] = append(list[f], quoted{`"` + w.Text + `"`, w.Value})
		}
	}
	return list
}()
