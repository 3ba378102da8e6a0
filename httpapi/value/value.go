// Package value appends values to JSON texts, each in the one form in which answers,
// streams and receipts have it.
package value

import (
	"math"
	"strconv"

	"remuda/store/cell"
)

// AppendString appends a JSON string. What is stored is valid UTF-8.
func AppendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		from = i + 1
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// AppendMillis appends microseconds as milliseconds with up to three decimals.
func AppendMillis(dst []byte, m cell.Micros) []byte {
	if m == cell.None {
		return append(dst, "null"...)
	}
	dst = strconv.AppendInt(dst, int64(m)/1000, 10)
	rest := int64(m) % 1000
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.', byte('0'+rest/100))
	if rest %= 100; rest > 0 {
		dst = append(dst, byte('0'+rest/10))
		if rest %= 10; rest > 0 {
			dst = append(dst, byte('0'+rest))
		}
	}
	return dst
}

// AppendPercent appends part of whole in percent, two decimals; of nothing, null.
func AppendPercent(dst []byte, part, whole uint64) []byte {
	if whole == 0 {
		return append(dst, "null"...)
	}
	return AppendRounded(dst, 100*float64(part)/float64(whole), 100)
}

// AppendRounded appends a number rounded to 1/scale.
func AppendRounded(dst []byte, f, scale float64) []byte {
	return strconv.AppendFloat(dst, math.Round(f*scale)/scale, 'f', -1, 64)
}

// AppendStrings appends a list of strings.
func AppendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, s)
	}
	return append(dst, ']')
}

// AppendUint appends a count.
func AppendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }

// AppendInt appends a whole number.
func AppendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }
