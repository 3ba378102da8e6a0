package ask

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"remuda/httpapi/problem"
)

func unknownParameter(res *Resource, name string) error {
	known := res.ParameterNames()
	slices.Sort(known)
	return problem.OfParameter("unknown_parameter", name, "there is no parameter "+strconv.Quote(Clip(name))+" here"+Suggestion(name, known))
}

func unknownValue(name, value string, known []string) error {
	return problem.OfParameter("invalid_parameter", name, strconv.Quote(Clip(value))+" is no value of "+name+Suggestion(value, known))
}

// Suggestion names the nearest known word to one that is not known, if any is near.
func Suggestion(word string, known []string) string {
	if best := nearest(word, known); best != "" {
		return "; the nearest is " + best
	}
	return ""
}

// Clip cuts a text of a client short.
func Clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// nearest is the known word that most likely was meant by another: the duration next to
// it, if it is at most three times as long, or three times as short; else one that begins
// with the word; else one with at most an edit in three letters. Case does not count.
func nearest(word string, known []string) (best string) {
	word = strings.ToLower(Clip(word))
	if d, err := time.ParseDuration(word); err == nil && d > 0 {
		least := math.Log(3)
		for _, k := range known {
			if other, err := time.ParseDuration(k); err == nil {
				if apart := math.Abs(math.Log(float64(d) / float64(other))); apart <= least {
					best, least = k, apart
				}
			}
		}
		return best
	}
	for _, k := range known {
		if len(word) >= 3 && strings.HasPrefix(k, word) {
			return k
		}
	}
	least := max(len(word)/3, 1)
	for _, k := range known {
		if n := edits(word, k); n < least || n == least && best == "" {
			best, least = k, n
		}
	}
	return best
}

// edits counts the insertions, deletions, replacements and swaps of neighbours
// that make b of a.
func edits(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := rows[0], rows[1], rows[2]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		rows = [3][]int{last, row, before}
	}
	return rows[1][len(b)]
}
