package ingest

import (
	"math"
	"strconv"
)

// maxInteger is the greatest integer that every JSON implementation keeps exact.
const maxInteger = 1 << 53

// maxDuration is 24 h in µs.
const maxDuration = 24 * 60 * 60 * 1_000_000

// code is the name of a fault, see docs/api.md.
type code = string

// integer reads an integral number of any spelling at pos, 0 to 2^53.
func (s *scanner) integer(pos int) (n uint64, end int, fault code) {
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
		if n > maxInteger {
			return 0, i, "out_of_range"
		}
		return n, i, ""
	}
	return s.integerSlow(pos)
}

func continuesNumber(c byte) bool {
	return c-'0' <= 9 || c == '.' || c == 'e' || c == 'E'
}

func (s *scanner) integerSlow(pos int) (n uint64, end int, fault code) {
	if end = s.number(pos); end < 0 {
		return 0, -1, ""
	}
	f, err := strconv.ParseFloat(string(s.data[pos:end]), 64)
	switch {
	case err != nil:
		return 0, end, "not_finite"
	case f < 0:
		return 0, end, "negative"
	case f != math.Trunc(f):
		return 0, end, "wrong_type"
	case f > maxInteger || f == maxInteger && s.data[end-1] != '2':
		// 2^53+1 reads as 2^53; the last digit tells them apart.
		return 0, end, "out_of_range"
	}
	return uint64(f), end, ""
}

// millis reads a duration in ms at pos, rounded half up to whole µs.
func (s *scanner) millis(pos int) (micros uint64, end int, fault code) {
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
	if micros > maxDuration {
		return 0, i, "out_of_range"
	}
	return micros, i, ""
}

func (s *scanner) millisSlow(pos int) (micros uint64, end int, fault code) {
	if end = s.number(pos); end < 0 {
		return 0, -1, ""
	}
	f, err := strconv.ParseFloat(string(s.data[pos:end]), 64)
	switch {
	case err != nil:
		return 0, end, "not_finite"
	case f < 0:
		return 0, end, "negative"
	case f*1000 > maxDuration:
		return 0, end, "out_of_range"
	}
	return uint64(math.Floor(f*1000 + 0.5)), end, ""
}
