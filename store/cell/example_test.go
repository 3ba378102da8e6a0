package cell_test

import (
	"fmt"
	"log"

	"remuda/store/cell"
)

// Two calls take 1 ms, a third one fails by fault of the provider after 3 ms. The bytes are
// the worked example of pack.go.
func ExampleCell_AppendPacked() {
	names := cell.NewCategories()
	call := func(micros uint64, category string) cell.Call {
		k := cell.Call{Micros: micros, Weight: 1, Bucket: uint16(cell.BucketOf(micros)), Final: true}
		if category != "" {
			k.Result, k.Category = cell.Failure, names.ID(category)
			k.ProviderFault = !names.Blameless(k.Category)
		}
		return k
	}
	var open cell.Open
	for _, k := range []cell.Call{call(1000, ""), call(1000, ""), call(3000, "timeout")} {
		open.Add(&k)
	}
	packed := open.Flush().AppendPacked(nil, names)
	fmt.Printf("% x\n", packed)

	var c cell.Cell
	if err := c.Unpack(packed, names); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Calls, c.Errors, c.Latencies().P50, c.ErrorCategories(names))
	// Output:
	// 11 03 01 01 01 b8 17 00 01 05 01 e8 07 00 d0 0f 02 81 05 02 02 e4 05
	// 3 1 1000 [{timeout 1}]
}
