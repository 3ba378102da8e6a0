package json

import (
	"bytes"
	"strconv"

	"remuda/ingest/judge"
)

// Numbers that cannot be read have a code for the reason, see docs/api.md.

// integer reads an integral number of any spelling at pos, 0 to 2^53.
func (s *scanner) integer(pos int) (n uint64, end int, code string) {
	data, i := s.data, pos
	for i+8 <= len(data) && i-pos <= 8 {
		eight, ok := eightDigits(data[i:])
		if !ok {
			break
		}
		n = n*100_000_000 + eight
		i += 8
	}
	for i < len(data) && i-pos < 18 && data[i]-'0' <= 9 {
		n = n*10 + uint64(data[i]-'0')
		i++
	}
	if i > pos && (data[pos] != '0' || i == pos+1) && i-pos < 18 && (i == len(data) || !continuesNumber(data[i])) {
		if n > judge.MaxInteger {
			return 0, i, "out_of_range"
		}
		return n, i, ""
	}
	return s.integerSlow(pos)
}

func continuesNumber(c byte) bool {
	return c-'0' <= 9 || c == '.' || c == 'e' || c == 'E'
}

func (s *scanner) integerSlow(pos int) (n uint64, end int, code string) {
	if end = s.number(pos); end < 0 {
		return 0, -1, ""
	}
	text := s.data[pos:end]
	n, rest, code := scaled(text, 0)
	switch {
	case code != "":
		return 0, end, code
	case rest != 0:
		return 0, end, "wrong_type"
	case n > judge.MaxInteger:
		return 0, end, "out_of_range"
	}
	return n, end, ""
}

// millis reads a duration in ms at pos, rounded half up to whole µs.
func (s *scanner) millis(pos int) (micros uint64, end int, code string) {
	data, i := s.data, pos
	for i < len(data) && i-pos < 10 && data[i]-'0' <= 9 {
		micros = micros*10 + uint64(data[i]-'0')
		i++
	}
	if i == pos || data[pos] == '0' && i > pos+1 {
		return s.millisSlow(pos)
	}
	micros *= 1000
	if i < len(data) && data[i] == '.' {
		first, scale := i+1, uint64(100)
		for i++; i < len(data) && data[i]-'0' <= 9; i++ {
			switch {
			case scale > 0:
				micros += uint64(data[i]-'0') * scale
				scale /= 10
			case i == first+3 && data[i] >= '5':
				micros++
			}
		}
		if i == first {
			return s.millisSlow(pos)
		}
	}
	if i < len(data) && continuesNumber(data[i]) {
		return s.millisSlow(pos)
	}
	return micros, i, ""
}

func (s *scanner) millisSlow(pos int) (micros uint64, end int, code string) {
	if end = s.number(pos); end < 0 {
		return 0, -1, ""
	}
	micros, rest, code := scaled(s.data[pos:end], 3)
	if rest >= half {
		micros++
	}
	if code != "" {
		return 0, end, code
	}
	return micros, end, ""
}

// remainder is what is left of a number behind its integral part.
type remainder uint8

const (
	none remainder = iota
	belowHalf
	half // or more
)

// scaled returns the integral part of the number that text spells, times
// 10^shift, and what is left of it. It is exact where a float64 is not: the
// spelling of a number must not change it. Parts beyond 2^60 are cut to that.
func scaled(text []byte, shift int) (whole uint64, rest remainder, code string) {
	const enough = 1 << 60
	if _, err := strconv.ParseFloat(string(text), 64); err != nil {
		return 0, none, "not_finite"
	}
	negative := text[0] == '-'
	mantissa := bytes.TrimPrefix(text, []byte{'-'})
	if e := bytes.IndexAny(mantissa, "eE"); e >= 0 {
		// Zero may have any exponent; a larger one than fits moves no other number
		// that is finite.
		exponent, _ := strconv.ParseInt(string(mantissa[e+1:]), 10, 32)
		shift += int(exponent)
		mantissa = mantissa[:e]
	}
	point := bytes.IndexByte(mantissa, '.')
	if point < 0 {
		point = len(mantissa)
	}
	point += shift // how many digits are before it
	n := 0
	for _, c := range mantissa {
		if c == '.' {
			continue
		}
		switch {
		case n < point:
			whole = min(whole*10+uint64(c-'0'), enough)
		case n == point && c >= '5':
			rest = half
		case c != '0':
			rest = max(rest, belowHalf)
		}
		n++
	}
	for ; n < point && whole > 0 && whole < enough; n++ {
		whole = min(whole*10, enough)
	}
	if negative && (whole > 0 || rest > none) {
		return 0, none, "negative"
	}
	return whole, rest, ""
}
