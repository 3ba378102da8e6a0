package heights

import (
	"fmt"
	"testing"
)

// told are heights of providers a, b, c … that were told at an instant.
func told(at int64, heights ...uint64) (seen []Seen) {
	for i, h := range heights {
		seen = append(seen, Seen{Provider: string(rune('a' + i)), Height: h, At: at, Told: true})
	}
	return seen
}

// steady are the marks of a chain that makes a block a second: 100 at second 0, and so on.
func steady(seconds int64) (m Marks) {
	for i := range seconds + 1 {
		h := uint64(100 + i)
		m = m.Note(Agree(told(i*1000, h, h), m), false)
	}
	return m
}

func ExampleAgree() {
	h := Agree([]Seen{{Provider: "a", Height: 5100}, {Provider: "b", Height: 100}, {Provider: "c", Height: 98}}, nil)
	fmt.Println(h.Height, h.Seen[0].Provider)
	// Output: 100 a
}

func TestAgree(t *testing.T) {
	for _, c := range []struct {
		seen     []Seen
		marks    Marks
		want     uint64
		lone     bool
		disputed bool
	}{
		{seen: told(0, 100), want: 100, lone: true},
		{seen: told(0, 100, 110), want: 110},
		{seen: told(0, 100, 111), want: 100},
		{seen: told(0, 100, 200), want: 100},
		{seen: told(0, 100, 201), want: 100, disputed: true},
		{seen: []Seen{{Provider: "a", Height: 100}, {Provider: "b", Height: 400, At: 200_000}}, marks: steady(9), want: 100},
		{seen: []Seen{{Provider: "a", Height: 100}, {Provider: "b", Height: 401, At: 200_000}}, marks: steady(9), want: 100, disputed: true},
		{seen: told(0, 100, 5000, 40), want: 100},
		{seen: told(0, 100, 98, 100, 40), want: 100},
		{seen: told(0, 1, 2, 3, 4, 5, 6, 7, 8), want: 6},
	} {
		h := Agree(c.seen, c.marks)
		if h.Height != c.want || h.lone != c.lone || h.Disputed != c.disputed {
			t.Errorf("%v: %d, lone %v, disputed %v", c.seen, h.Height, h.lone, h.Disputed)
		}
	}
}

func TestLag(t *testing.T) {
	m := steady(30)
	now := Agree(told(30_000, 130, 130), m)
	for name, c := range map[string]struct {
		head  *Head
		seen  Seen
		lag   int64
		ahead bool
		ok    bool
	}{
		"told of long ago":              {now, Seen{Height: 128, At: 10_000, Told: true}, -2, false, true},
		"asked, and right then":         {now, Seen{Height: 110, At: 10_000}, 0, false, true},
		"asked, and behind then":        {now, Seen{Height: 108, At: 10_000}, -2, false, true},
		"asked before there was any":    {now, Seen{Height: 90, At: -4000}, -10, false, true},
		"asked long before that":        {now, Seen{Height: 90, At: -6000}, 0, false, false},
		"of another chain":              {now, Seen{Height: 231, At: 30_000, Told: true}, 101, true, true},
		"nobody else tells of any":      {nil, Seen{Height: 128, At: 10_000, Told: true}, 0, false, false},
		"nobody else, but lately":       {nil, Seen{Height: 120, At: 34_000}, -10, false, true},
		"nobody else, and too long ago": {nil, Seen{Height: 120, At: 36_000}, 0, false, false},
		"one alone":                     {Agree(told(30_000, 130), m), Seen{Height: 120, At: 30_000}, -10, false, true},
		"disputed":                      {Agree(told(30_000, 130, 900), m), Seen{Height: 120, At: 30_000}, 0, false, false},
	} {
		lag, ahead, ok := m.Lag(c.head, &c.seen)
		if lag != c.lag || ahead != c.ahead || ok != c.ok {
			t.Errorf("%s: %d, ahead %v, ok %v", name, lag, ahead, ok)
		}
	}
}

// TestMarksAreBounded: of a consensus that moves every second, two minutes are known; where
// room is scarce, or of one provider alone, the last steps.
func TestMarksAreBounded(t *testing.T) {
	m := steady(1000)
	if want := Kept/1000 + 1; len(m) != want {
		t.Errorf("%d marks, want %d", len(m), want)
	}
	if m = m.Note(Agree(told(1_001_000, 1101, 1101), m), true); len(m) != Steps+1 {
		t.Errorf("%d marks where room is scarce, want %d", len(m), Steps+1)
	}
	if m := steady(50); len(m.Note(Agree(told(51_000, 151), m), false)) != Steps+1 {
		t.Error("of one provider alone more is kept")
	}
}

func TestStalled(t *testing.T) {
	m := steady(9)
	for _, c := range []struct {
		marks   Marks
		at      int64
		heights []uint64
		stalled bool
		usual   int64
	}{
		{m, 19_000, []uint64{109, 109}, false, 1000},
		{m, 19_001, []uint64{109, 109}, true, 1000}, // ten steps after second 9
		{m, 19_001, []uint64{109}, true, 1000},
		{m, 19_001, []uint64{109, 900}, false, 1000},
		{m, 19_001, []uint64{110, 110}, false, 1000},
		{m[:2], 601_000, []uint64{101, 101}, false, 0}, // two marks tell too little
		{m[:2], 601_001, []uint64{101, 101}, true, 0},
	} {
		since, usual, stalled := c.marks.Stalled(Agree(told(c.at, c.heights...), c.marks))
		if stalled != c.stalled || usual != c.usual {
			t.Errorf("%v at %d: stalled %v since %d, usually %d", c.heights, c.at, stalled, since, usual)
		}
	}
}
