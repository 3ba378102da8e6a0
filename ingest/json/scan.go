package json

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// scanner reads JSON from a body, strictly: RFC 8259 to the letter, at most
// maxDepth deep, valid UTF-8 and no lone surrogates. Its methods take a position
// and return the position behind what they read, or -1 after a syntax error,
// which they have noted in problem.
type scanner struct {
	data    []byte
	arena   []byte // strings that had escapes, unescaped
	unusual bool   // a string had escapes or characters beyond ASCII
	problem string
}

const maxDepth = 8

func (s *scanner) fail(problem string) int {
	s.problem = problem
	return -1
}

func (s *scanner) space(pos int) int {
	for pos < len(s.data) {
		switch s.data[pos] {
		case ' ', '\t', '\r', '\n':
			pos++
		default:
			return pos
		}
	}
	return pos
}

// bytesToString makes a string of a part of the body without copying it. That is safe
// because the body stays as it is until its events have been applied, and the store
// copies what it keeps.
func bytesToString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// plain8 reports whether eight bytes are printable ASCII other than '"' and '\'.
func plain8(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	w := binary.LittleEndian.Uint64(b)
	quote, slash := w^(ones*'"'), w^(ones*'\\')
	return (w|(w-ones*0x20)|(quote-ones)&^quote|(slash-ones)&^slash)&highs == 0
}

// text reads a string whose opening quote is at pos.
func (s *scanner) text(pos int) (string, int) {
	begin := pos + 1
	i := begin
	data := s.data
	for i+8 <= len(data) && plain8(data[i:]) {
		i += 8
	}
	for i < len(data) {
		switch c := data[i]; {
		case c == '"':
			return bytesToString(data[begin:i]), i + 1
		case c == '\\' || c >= utf8.RuneSelf:
			return s.textSlow(begin, i)
		case c < ' ':
			return "", s.fail("control character in a string")
		}
		i++
	}
	return "", s.fail("string without an end")
}

// textSlow reads a string that has escapes or characters beyond ASCII from i on.
func (s *scanner) textSlow(begin, i int) (string, int) {
	data := s.data
	s.unusual = true
	escaped := false
	from := len(s.arena)
	flushed := begin // what is before it is in the arena, once anything is escaped
	for i < len(data) {
		c := data[i]
		switch {
		case c == '"':
			if !escaped {
				return bytesToString(data[begin:i]), i + 1
			}
			s.arena = append(s.arena, data[flushed:i]...)
			return bytesToString(s.arena[from:]), i + 1
		case c < ' ':
			return "", s.fail("control character in a string")
		case c == '\\':
			escaped = true
			s.arena = append(s.arena, data[flushed:i]...)
			if i = s.escape(i); i < 0 {
				return "", -1
			}
			flushed = i
		case c < utf8.RuneSelf:
			i++
		default:
			r, size := utf8.DecodeRune(data[i:])
			if r == utf8.RuneError && size == 1 {
				return "", s.fail("invalid UTF-8")
			}
			i += size
		}
	}
	return "", s.fail("string without an end")
}

// escape reads one escape at i into the arena.
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.data) {
		return s.fail("string without an end")
	}
	c := s.data[i+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unicodeEscape(i)
	default:
		return s.fail("unknown escape in a string")
	}
	s.arena = append(s.arena, c)
	return i + 2
}

func (s *scanner) unicodeEscape(i int) int {
	r, ok := s.hex4(i)
	if !ok {
		return s.fail("unknown escape in a string")
	}
	i += 6
	if utf16.IsSurrogate(r) {
		low, ok := rune(0), false
		if i+1 < len(s.data) && s.data[i] == '\\' && s.data[i+1] == 'u' {
			low, ok = s.hex4(i)
		}
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return s.fail("lone surrogate in a string")
		}
		i += 6
	}
	s.arena = utf8.AppendRune(s.arena, r)
	return i
}

// hex4 reads the four digits of the escape \uXXXX at i.
func (s *scanner) hex4(i int) (r rune, ok bool) {
	if i+6 > len(s.data) {
		return 0, false
	}
	for _, c := range s.data[i+2 : i+6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number checks the spelling of a number at pos and returns its end.
func (s *scanner) number(pos int) int {
	data, i := s.data, pos
	if i < len(data) && data[i] == '-' {
		i++
	}
	switch {
	case i < len(data) && data[i] == '0':
		i++
	case i < len(data) && data[i] >= '1' && data[i] <= '9':
		i = digits(data, i)
	default:
		return s.fail("not a JSON value")
	}
	if i < len(data) && data[i] == '.' {
		end := digits(data, i+1)
		if end == i+1 {
			return s.fail("number without digits behind the point")
		}
		i = end
	}
	if i < len(data) && (data[i] == 'e' || data[i] == 'E') {
		i++
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		end := digits(data, i)
		if end == i {
			return s.fail("number without an exponent")
		}
		i = end
	}
	return i
}

func digits(data []byte, i int) int {
	for i < len(data) && data[i]-'0' <= 9 {
		i++
	}
	return i
}

// literal reads true, false or null.
func (s *scanner) literal(pos int, word string) int {
	if len(s.data)-pos >= len(word) && string(s.data[pos:pos+len(word)]) == word {
		return pos + len(word)
	}
	return s.fail("not a JSON value")
}

// skip reads any value at pos, which is depth deep, and appends it to the arena
// without the whitespace between its tokens.
func (s *scanner) skip(pos, depth int) int {
	if pos >= len(s.data) {
		return s.fail("value without an end")
	}
	begin, end := pos, 0
	switch c := s.data[pos]; c {
	case '{', '[':
		if depth >= maxDepth {
			return s.fail("nested more than 8 deep")
		}
		return s.skipNested(pos, depth+1)
	case '"':
		mark := len(s.arena)
		if _, end = s.text(pos); end < 0 {
			return -1
		}
		s.arena = s.arena[:mark]
	case 't':
		end = s.literal(pos, "true")
	case 'f':
		end = s.literal(pos, "false")
	case 'n':
		end = s.literal(pos, "null")
	default:
		end = s.number(pos)
	}
	if end > 0 {
		s.arena = append(s.arena, s.data[begin:end]...)
	}
	return end
}

// skipNested reads an object or array whose bracket is at pos.
func (s *scanner) skipNested(pos, depth int) int {
	isObject := s.data[pos] == '{'
	closing := byte(']')
	if isObject {
		closing = '}'
	}
	s.arena = append(s.arena, s.data[pos])
	pos = s.space(pos + 1)
	if pos < len(s.data) && s.data[pos] == closing {
		s.arena = append(s.arena, closing)
		return pos + 1
	}
	for {
		if isObject {
			if pos >= len(s.data) || s.data[pos] != '"' {
				return s.fail("object member without a name")
			}
			begin, mark := pos, len(s.arena)
			if _, pos = s.text(pos); pos < 0 {
				return -1
			}
			s.arena = append(append(s.arena[:mark], s.data[begin:pos]...), ':')
			if pos = s.space(pos); pos >= len(s.data) || s.data[pos] != ':' {
				return s.fail("object member without a colon")
			}
			pos = s.space(pos + 1)
		}
		if pos = s.skip(pos, depth); pos < 0 {
			return -1
		}
		pos = s.space(pos)
		switch {
		case pos < len(s.data) && s.data[pos] == ',':
			s.arena = append(s.arena, ',')
			pos = s.space(pos + 1)
		case pos < len(s.data) && s.data[pos] == closing:
			s.arena = append(s.arena, closing)
			return pos + 1
		default:
			return s.fail("neither comma nor closing bracket behind a value")
		}
	}
}

// eightDigits reads eight ASCII digits at once: pairs, then fours, then all.
func eightDigits(b []byte) (n uint64, ok bool) {
	w := binary.LittleEndian.Uint64(b) ^ 0x3030303030303030
	if (w|(w+0x7676767676767676))&0x8080808080808080 != 0 {
		return 0, false
	}
	w = w*10 + w>>8
	w = (w&0x000000ff000000ff)*(100+1000000<<32) + (w>>16&0x000000ff000000ff)*(1+10000<<32)
	return w >> 32, true
}
