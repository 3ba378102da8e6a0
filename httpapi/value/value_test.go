package value_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"remuda/httpapi/value"
	"remuda/store/cell"
)

func Example() {
	fmt.Println(string(value.AppendMillis(nil, 1250)), string(value.AppendMillis(nil, cell.None)))
	fmt.Println(string(value.AppendPercent(nil, 2, 3)), string(value.AppendPercent(nil, 0, 0)))
	fmt.Println(string(value.AppendStrings(nil, []string{"a", "\"b\"\n"})))
	// Output:
	// 1.25 null
	// 66.67 null
	// ["a","\"b\"\u000a"]
}

// FuzzString: what is appended is what encoding/json reads.
func FuzzString(f *testing.F) {
	f.Add("a\x00\x1f\x7f\"\\é\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s) // it makes valid UTF-8 of what is none
		if err != nil {
			t.Fatal(err)
		}
		var valid, got string
		if err := json.Unmarshal(want, &valid); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(value.AppendString(nil, valid), &got); err != nil || got != valid {
			t.Errorf("%q becomes %q: %v", valid, got, err)
		}
	})
}

// TestMillis: microseconds keep all their digits, and no more.
func TestMillis(t *testing.T) {
	for micros, want := range map[cell.Micros]string{0: "0", 1: "0.001", 10: "0.01", 100: "0.1", 101: "0.101", 1000: "1", 12_340: "12.34"} {
		if got := string(value.AppendMillis(nil, micros)); got != want {
			t.Errorf("%d µs is %s, want %s", micros, got, want)
		}
	}
}
