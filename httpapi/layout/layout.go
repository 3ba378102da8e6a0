// Package layout lays text out for eyes: lines of cells in columns that are as wide as
// what is in them.
package layout

import (
	"strings"
	"unicode/utf8"
)

// Append appends lines that have a cell for each column, two spaces apart. Columns of
// numbers are aligned to the right. A line does not end in spaces.
func Append(dst []byte, lines [][]string, numeric []bool) []byte {
	widths := make([]int, len(numeric))
	for _, line := range lines {
		for i, text := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	for _, line := range lines {
		for i, text := range line {
			if i > 0 {
				dst = append(dst, "  "...)
			}
			fill := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
			switch {
			case numeric[i]:
				dst = append(append(dst, fill...), text...)
			case i == len(line)-1:
				dst = append(dst, text...)
			default:
				dst = append(append(dst, text...), fill...)
			}
		}
		dst = append(dst, '\n')
	}
	return dst
}
