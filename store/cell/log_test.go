package cell

import (
	"testing"

	"pgregory.net/rapid"
)

// TestLog holds a log against a map.
func TestLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Log
		model := make(map[uint32]string)
		for range rapid.IntRange(1, 200).Draw(t, "operations") {
			step := uint32(rapid.IntRange(100, 140).Draw(t, "step"))
			if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
				l.DropBefore(step)
				for s := range model {
					if s < step {
						delete(model, s)
					}
				}
			} else {
				text := rapid.StringN(1, 40, -1).Draw(t, "packed")
				l.Put(step, 7, false, []byte(text))
				model[step] = text
			}
			n, last := 0, int64(-1)
			for o := l.head; int(o) < len(l.buf); n++ {
				e := l.At(o)
				if int64(e.Step) <= last || model[e.Step] != string(e.Packed) {
					t.Fatalf("step %d after %d holds %q, want %q", e.Step, last, e.Packed, model[e.Step])
				}
				last, o = int64(e.Step), e.Next
			}
			if n != len(model) {
				t.Fatalf("%d entries, want %d", n, len(model))
			}
			if e, ok := l.Find(step); ok != (model[step] != "") || ok && string(e.Packed) != model[step] {
				t.Fatalf("find %d: %q %v", step, e.Packed, ok)
			}
		}
	})
}
