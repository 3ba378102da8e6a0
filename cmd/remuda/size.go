package main

import (
	"fmt"
	"math"

	"github.com/dustin/go-humanize"
)

// A size is a number of bytes, which flags take as 65536, 64KiB or 64KB.
type size int64

// UnmarshalText reads a size.
func (s *size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("%q is no size: want a number of bytes, or such as 64MiB", text)
	}
	*s = size(n)
	return nil
}
