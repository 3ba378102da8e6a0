package wire_test

import (
	"fmt"

	"remuda/cluster/wire"
	"remuda/store"
)

// A head alone announces a sequence: what changed in it is to be pulled.
func ExampleReadDelta() {
	h := wire.Head{ID: store.OriginID{Node: "iad", Incarnation: 1}, Sequence: 42, After: 41, Wall: 1_800_000_000_000, Parts: 1}
	event := h.Append(nil)

	told, entries, err := wire.ReadDelta(event)
	fmt.Println(told.ID.Node, told.Sequence, "builds on", told.After, "whole:", told.Whole, "rows:", len(entries.Rows), err)

	_, _, err = wire.ReadDelta(event[:len(event)-1])
	fmt.Println(err)
	// Output:
	// iad 42 builds on 41 whole: false rows: 0 <nil>
	// damaged message
}
