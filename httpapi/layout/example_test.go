package layout_test

import (
	"os"

	"remuda/httpapi/layout"
)

func ExampleAppend() {
	_, _ = os.Stdout.Write(layout.Append(nil, [][]string{ // an example has no use for an error
		{"CHAIN", "CALLS", "P50MS", "STATUS"},
		{"base", "12", "3.5", "healthy"},
		{"ethereum", "7", "—", "circuit_open"},
	}, []bool{false, true, true, false}))
	// Output:
	// CHAIN     CALLS  P50MS  STATUS
	// base         12    3.5  healthy
	// ethereum      7      —  circuit_open
}
