// Package judge says which events are good, and what is meant by what they leave out:
// required fields, ids, ranges, ages, the words of enumerations, defaults. It is the same
// for every format of bodies.
//
// A decoder reads an event into a [Case]: it notes which fields the event has, hands
// their values to the method for their type, which notes what is wrong with them, and
// puts them into the event. [Case.Verdict] then judges the event as a whole.
package judge

import "remuda/store"

// Setting is what events are judged by, beside what they say themselves.
type Setting struct {
	Node   string // the sender of an event that names none
	Region string // and its region
	Chains *store.Chains
}

// A Case is one event at a time, as far as it has been read. It belongs to one body at a
// time, and so to one goroutine.
type Case struct {
	Event  *store.Event // what has been read; good once the verdict says so
	Offset int          // where in the body its text begins
	Size   int          // bytes of its text, of which there is a bound
	Members

	setting Setting
	now     int64 // ms; one for all events of a body
	faults  [maxFaults + 1]Fault
	nfaults int
	unfit   bool // the last of faults is why the text is no event

	place, placeID string // the region in the Lasso node id seen last
}

// Members says which fields an event has.
type Members struct {
	Given   store.Fields // with a value or null
	Present store.Fields // with a value
	Lasso   store.Fields // with a value, in Lasso's newer spelling
	Other   bool         // it has fields that this version does not know
}

// A Fault is what is wrong with an event.
type Fault struct {
	Field  Field
	Path   string // instead of the field's name, for parts of attempts
	Code   string // see docs/api.md; "" when there is no fault
	Detail string // a sentence for people
}

// Name is the name of the field, "" for the whole event.
func (f *Fault) Name() string {
	if f.Path != "" {
		return f.Path
	}
	return f.Field.String()
}

// maxFaults is more than the fields have: beyond it an event is hopeless anyway,
// see Verdict.
const maxFaults = 40

// New returns a case for the events of a node.
func New(s Setting) *Case { return &Case{Event: new(store.Event), setting: s} }

// Start begins with a body, whose events are judged at one instant, in ms. It lets go of
// the one before.
func (c *Case) Start(now int64) {
	c.now = now
	c.Open(Members{})
	c.Forget()
	clear(c.faults[:])
}

// Open begins with an event that has the given members.
func (c *Case) Open(m Members) { c.Members, c.nfaults, c.unfit = m, 0, false }

// Forget lets go of what points into the memory of events read so far, which the decoder
// is about to use again.
func (c *Case) Forget() { c.place, c.placeID = "", "" }

// Has reports whether the event has a value of a field.
func (c *Case) Has(f Field) bool { return c.Present&(1<<f) != 0 }

// Give notes that the event names a field; twice is a fault. Whether it has a value is for
// the caller to note.
func (c *Case) Give(f Field) {
	if c.Given&(1<<f) != 0 {
		c.Fault(Fault{Field: f, Code: "duplicate_name", Detail: "the name, or another spelling of it, occurs twice"})
	}
	c.Given |= 1 << f
}

// Fault notes what is wrong with the event. Only one fault is reported, but which
// one depends on the kind of event, which may come last.
func (c *Case) Fault(f Fault) {
	if c.nfaults < maxFaults {
		c.faults[c.nfaults] = f
		c.nfaults++
	}
}

// Faults is how many were noted.
func (c *Case) Faults() int { return c.nfaults }

// Unfit notes that the text is no event at all, whatever else is wrong with it.
func (c *Case) Unfit(code, detail string) {
	c.unfit = true
	c.faults[maxFaults] = Fault{Field: Whole, Code: code, Detail: detail}
}

// Within makes the faults noted since there were so many point into the nth attempt.
func (c *Case) Within(since, n int, name string) {
	for i := since; i < c.nfaults; i++ {
		f := &c.faults[i]
		f.Field = Attempts
		if f.Path == "" {
			f.Path = pathOf(n, name)
		}
	}
}
