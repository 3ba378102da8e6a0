package cell

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"remuda/store/ids"
)

// The packed form of a cell is what rests in memory once nobody writes the cell
// any more, and what travels: it names no id of this process and the same
// content always has the same bytes.
//
//	flags        1 byte: which of the optional parts below differ from their default
//	calls        uvarint
//	[others]     cut off, not sent, hedges, hedges that won
//	[errors]     errors, provider errors, request errors, min and max-min of the
//	             failures' latencies, number of categories, then per category: 1+known
//	             id, or 0 and the name with its length; count
//	[requests]   uvarint, else equal to calls
//	[samples]    uvarint, else equal to calls
//	[failovers]  uvarint, else 0
//	[successes]  min, max-min, low half of the sum, [high half], distribution
//	[errors]     distribution of failures
//	[others]     distribution of the cut off, if there are any
//
// A distribution is in the shorter of two forms, which the low bit of its first
// number tells apart. Sparse (0, also when they are equally long): the number of its
// buckets, then per bucket the distance to the one before (to -1 for the first)
// shifted left by one; the low bit says that a count follows, otherwise the count is
// 1. Dense (1): how many buckets there are from the first to the last that is not
// empty, the first, and the count of each.
//
// An example: of three calls of weight 1, each of which ended its request, two succeeded
// after 1000 µs, and one failed after 3000 µs with "timeout", whose id is 4.
//
//	11        of the optional parts there are errors (01) and successes (10)
//	03        calls: as many as requests and samples, so these are left out
//	01 01 01  errors, provider errors, request errors
//	b8 17 00  failures took from 3000 µs (0x38 + 0x17·128) to 0 µs more
//	01 05 01  1 category: 1+4, counted once
//	e8 07 00  successes took from 1000 µs to 0 µs more
//	d0 0f     and 2000 µs together
//	02        of successes there is 1 bucket, sparse (1·2 + 0):
//	81 05     641 = 320·2 + 1: the one at -1 + 320 = 319, which is 998 to 1019 µs,
//	02        with the count that follows
//	02        of failures there is 1 bucket, sparse:
//	e4 05     740 = 370·2 + 0: the one at 369, counted once
const (
	packErrors = 1 << iota
	packRequests
	packSamples
	packFailovers
	packSuccesses
	packHighSum
	packOthers
)

var errDamagedCell = errors.New("damaged cell")

// AppendPacked appends the packed form of a cell that is not empty.
func (c *Cell) AppendPacked(dst []byte, names *Categories) []byte {
	var flags byte
	if c.Errors > 0 {
		flags |= packErrors
	}
	if c.Requests != c.Calls {
		flags |= packRequests
	}
	if c.Samples != c.Calls {
		flags |= packSamples
	}
	if c.Failovers > 0 {
		flags |= packFailovers
	}
	if c.HasSuccess() {
		flags |= packSuccesses
	}
	if c.sum.high > 0 {
		flags |= packHighSum
	}
	if c.hasOthers() {
		flags |= packOthers
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, c.Calls)
	if flags&packOthers != 0 {
		dst = binary.AppendUvarint(dst, c.CutOff)
		dst = binary.AppendUvarint(dst, c.NotSent)
		dst = binary.AppendUvarint(dst, c.Hedges)
		dst = binary.AppendUvarint(dst, c.HedgeWins)
	}
	if flags&packErrors != 0 {
		dst = binary.AppendUvarint(dst, c.Errors)
		dst = binary.AppendUvarint(dst, c.ProviderErrors)
		dst = binary.AppendUvarint(dst, c.RequestErrors)
		dst = binary.AppendUvarint(dst, c.failedMin)
		dst = binary.AppendUvarint(dst, c.failedMax-c.failedMin)
		dst = appendPackedCategories(dst, c.categories, names)
	}
	if flags&packRequests != 0 {
		dst = binary.AppendUvarint(dst, c.Requests)
	}
	if flags&packSamples != 0 {
		dst = binary.AppendUvarint(dst, c.Samples)
	}
	if flags&packFailovers != 0 {
		dst = binary.AppendUvarint(dst, c.Failovers)
	}
	if flags&packSuccesses != 0 {
		dst = binary.AppendUvarint(dst, c.min)
		dst = binary.AppendUvarint(dst, c.max-c.min)
		dst = binary.AppendUvarint(dst, c.sum.low)
		if flags&packHighSum != 0 {
			dst = binary.AppendUvarint(dst, c.sum.high)
		}
		dst = c.successes.appendPacked(dst)
	}
	if flags&packErrors != 0 {
		dst = c.failures.appendPacked(dst)
	}
	if c.CutOff > 0 {
		dst = c.cutOffs.appendPacked(dst)
	}
	return dst
}

// hasOthers reports whether there is anything of what only some gateways tell.
func (c *Cell) hasOthers() bool { return c.CutOff|c.NotSent|c.Hedges|c.HedgeWins != 0 }

// appendPackedCategories writes known categories by id and then the others by
// name, so that the bytes do not depend on the order in which this process met them.
func appendPackedCategories(dst []byte, list []categoryCount, names *Categories) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	i := 0
	for ; i < len(list) && int(list[i].id) < len(knownCategories); i++ {
		dst = binary.AppendUvarint(dst, uint64(list[i].id)+1)
		dst = binary.AppendUvarint(dst, list[i].count)
	}
	// Few and rare: repeated selection of the smallest name needs no memory.
	last := ""
	for range list[i:] {
		next := categoryCount{}
		nextName := ""
		for _, k := range list[i:] {
			name := names.Name(k.id)
			if name > last && (nextName == "" || name < nextName) {
				next, nextName = k, name
			}
		}
		dst = append(dst, 0)
		dst = binary.AppendUvarint(dst, uint64(len(nextName)))
		dst = append(dst, nextName...)
		dst = binary.AppendUvarint(dst, next.count)
		last = nextName
	}
	return dst
}

func (d *distribution) appendPacked(dst []byte) []byte {
	begin := len(dst)
	counts := d.counts
	for len(counts) > 0 && counts[len(counts)-1] == 0 {
		counts = counts[:len(counts)-1]
	}
	n, dense, before := 0, 0, -1
	first := 0
	for i, c := range counts {
		if c == 0 {
			if n > 0 {
				dense++
			}
			continue
		}
		if n == 0 {
			first = i
		}
		n++
		dense += uvarintLen(c)
	}
	dst = binary.AppendUvarint(dst, uint64(n)<<1)
	for i, c := range counts {
		if c == 0 {
			continue
		}
		b := int(d.first) + i
		gap := uint64(b-before) << 1
		before = b
		if c == 1 {
			dst = binary.AppendUvarint(dst, gap)
			continue
		}
		dst = binary.AppendUvarint(dst, gap|1)
		dst = binary.AppendUvarint(dst, c)
	}
	width, low := uint64(len(counts)-first)<<1|1, uint64(int(d.first)+first)
	if n == 0 || len(dst)-begin <= uvarintLen(width)+uvarintLen(low)+dense {
		return dst
	}
	dst = binary.AppendUvarint(dst[:begin], width)
	dst = binary.AppendUvarint(dst, low)
	for _, c := range counts[first:] {
		dst = binary.AppendUvarint(dst, c)
	}
	return dst
}

// uvarintLen is how many bytes a number takes.
func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// unpacker reads a packed cell. A damaged one sets bad and reads zeros.
type unpacker struct {
	rest []byte
	bad  bool
}

func (u *unpacker) uvarint() uint64 {
	if len(u.rest) > 0 && u.rest[0] < 0x80 {
		v := uint64(u.rest[0])
		u.rest = u.rest[1:]
		return v
	}
	v, n := binary.Uvarint(u.rest)
	if n <= 0 {
		u.bad = true
		u.rest = nil
		return 0
	}
	u.rest = u.rest[n:]
	return v
}

// Unpack reads a packed cell into c, which must be empty. Bytes from peers go
// through here too: whatever they are, the answer is a valid cell or an error.
func (c *Cell) Unpack(packed []byte, names *Categories) error {
	u := unpacker{rest: packed}
	if len(packed) == 0 || len(packed) > maxPacked {
		return errDamagedCell
	}
	flags := packed[0]
	u.rest = packed[1:]
	c.Calls = u.uvarint()
	c.Requests, c.Samples = c.Calls, c.Calls
	if flags&packOthers != 0 {
		c.CutOff, c.NotSent, c.Hedges, c.HedgeWins = u.uvarint(), u.uvarint(), u.uvarint(), u.uvarint()
	}
	if flags&packErrors != 0 {
		c.Errors, c.ProviderErrors, c.RequestErrors = u.uvarint(), u.uvarint(), u.uvarint()
		c.failedMin = u.uvarint()
		c.failedMax = c.failedMin + u.uvarint()
		u.categories(c, names)
	}
	if flags&packRequests != 0 {
		c.Requests = u.uvarint()
	}
	if flags&packSamples != 0 {
		c.Samples = u.uvarint()
	}
	if flags&packFailovers != 0 {
		c.Failovers = u.uvarint()
	}
	if flags&packSuccesses != 0 {
		c.min = u.uvarint()
		c.max = c.min + u.uvarint()
		c.sum.low = u.uvarint()
		if flags&packHighSum != 0 {
			c.sum.high = u.uvarint()
		}
		u.distribution(&c.successes, c.Successes())
	}
	if flags&packErrors != 0 {
		u.distribution(&c.failures, c.Errors)
	}
	if c.CutOff > 0 {
		u.distribution(c.cutOff(), c.CutOff)
	}
	if u.bad || len(u.rest) > 0 || !c.plausible(flags) {
		c.Reset()
		return errDamagedCell
	}
	return nil
}

// plausible holds for every cell that was packed from counted calls.
func (c *Cell) plausible(flags byte) bool {
	return flags>>7 == 0 && !c.Empty() && c.Calls >= c.Samples && (c.Calls > 0) == (c.Samples > 0) &&
		c.Errors <= c.Calls && c.CutOff <= c.Calls-c.Errors && c.ProviderErrors <= c.Errors &&
		c.Hedges <= c.Calls && c.HedgeWins <= c.Hedges && c.HedgeWins <= c.Requests && c.HedgeWins <= c.Successes() &&
		(flags&packOthers != 0) == c.hasOthers() &&
		c.Requests <= c.Calls && c.RequestErrors <= c.Requests && c.RequestErrors <= c.Errors &&
		c.min <= c.max && c.max <= MaxMicros && c.failedMin <= c.failedMax && c.failedMax <= MaxMicros && (flags&packSuccesses != 0) == c.HasSuccess() &&
		(flags&packErrors != 0) == (c.Errors > 0) && (c.sum.high == 0 || c.sum.high < c.Successes())
}

func (u *unpacker) categories(c *Cell, names *Categories) {
	n := u.uvarint()
	var sum, carry uint64
	for range n {
		if u.bad {
			return
		}
		var id CategoryID
		switch k := u.uvarint(); {
		case k == 0:
			size := u.uvarint()
			if size == 0 || size > ids.Max || size > uint64(len(u.rest)) {
				u.bad = true
				return
			}
			name := string(u.rest[:size])
			if !ids.ValidName(name) {
				u.bad = true
				return
			}
			id = names.ID(name)
			u.rest = u.rest[size:]
		case k <= uint64(len(knownCategories)):
			id = CategoryID(k - 1)
		default:
			u.bad = true
			return
		}
		count := u.uvarint()
		if count == 0 {
			u.bad = true
			return
		}
		if sum, carry = bits.Add64(sum, count, 0); carry != 0 {
			u.bad = true
			return
		}
		c.addCategory(id, count)
	}
	if sum != c.Errors {
		u.bad = true
	}
}

// distribution reads a distribution whose counts add up to total.
func (u *unpacker) distribution(d *distribution, total uint64) {
	n := u.uvarint()
	dense := n&1 != 0
	if n >>= 1; n > numBuckets {
		u.bad = true
		return
	}
	var sum uint64
	if dense {
		sum = u.dense(d, n)
	} else {
		sum = u.sparse(d, n)
	}
	if sum != total {
		u.bad = true
	}
}

func (u *unpacker) sparse(d *distribution, n uint64) (sum uint64) {
	var carry uint64
	b := -1
	for range n {
		step := u.uvarint()
		count := uint64(1)
		if step&1 != 0 {
			count = u.uvarint()
		}
		step >>= 1
		if u.bad || step == 0 || step > numBuckets || b+int(step) >= numBuckets || count == 0 {
			u.bad = true
			return 0
		}
		b += int(step)
		if sum, carry = bits.Add64(sum, count, 0); carry != 0 {
			u.bad = true
			return 0
		}
		d.add(b, count)
	}
	return sum
}

func (u *unpacker) dense(d *distribution, n uint64) (sum uint64) {
	first := u.uvarint()
	if u.bad || n == 0 || first >= numBuckets || first+n > numBuckets {
		u.bad = true
		return 0
	}
	d.cover(int(first), int(first+n)-1)
	counts := d.counts[int(first)-int(d.first):][:n]
	var carry uint64
	for i := range counts {
		count := u.uvarint()
		if sum, carry = bits.Add64(sum, count, 0); carry != 0 {
			u.bad = true
			return 0
		}
		counts[i] = count
	}
	if counts[0] == 0 || counts[n-1] == 0 {
		u.bad = true
	}
	return sum
}

// readRanges reads only the least and the greatest latencies of a cell that was packed
// here into an empty one, together with how many calls they are of, by how these ended.
func (c *Cell) readRanges(packed []byte) {
	flags := packed[0]
	u := unpacker{rest: packed[1:]}
	c.Calls = u.uvarint()
	if flags&packOthers != 0 {
		c.CutOff = u.uvarint()
		for range 3 {
			u.uvarint()
		}
	}
	if flags&packErrors != 0 {
		c.Errors = u.uvarint()
		u.uvarint()
		u.uvarint()
		c.failedMin = u.uvarint()
		c.failedMax = c.failedMin + u.uvarint()
		for range u.uvarint() {
			if u.uvarint() == 0 {
				u.rest = u.rest[u.uvarint():]
			}
			u.uvarint()
		}
	}
	if flags&packSuccesses == 0 {
		return
	}
	for _, flag := range [...]byte{packRequests, packSamples, packFailovers} {
		if flags&flag != 0 {
			u.uvarint()
		}
	}
	c.min = u.uvarint()
	c.max = c.min + u.uvarint()
}
