package judge

import (
	"strings"

	"remuda/store"
)

// Verdict judges the event that has been read and fills in what was not given. It
// returns the one fault to report: that the text is no event, else the first in it that
// concerns the kind of event, else the first required field that is missing, else an
// instant that is too old. Circuits stand however old their last transition is. An event
// whose ts was too far ahead is adjusted to now.
func (c *Case) Verdict() (f Fault, adjusted bool) {
	e := c.Event
	if c.unfit {
		return c.faults[maxFaults], false
	}
	relevant := fieldsOf[e.Kind]
	for _, f := range c.faults[:c.nfaults] {
		if c.nfaults == maxFaults || f.Field == Whole || relevant&(1<<f.Field) != 0 || f.Code == "duplicate_name" {
			return f, false
		}
	}
	if missing := requiredSet[e.Kind] &^ c.Present; missing != 0 {
		for _, f := range required[e.Kind] {
			if missing&(1<<f) != 0 {
				return Fault{Field: f, Code: "missing", Detail: "required"}, false
			}
		}
	}
	e.Sent = c.Present
	if c.Other {
		e.Sent |= store.FieldOther
	}

	// Decoders may begin with a copy of an event before that has the same members, so what
	// is not given may be that one's default.
	e.TS = e.SentTS
	switch {
	case !c.Has(TS):
		e.TS = c.now
	case e.TS > c.now+store.MaxAhead:
		e.TS, adjusted = c.now, true
	case e.TS < c.now-maxAge && (e.Kind != store.Circuit || e.TS <= 0):
		return Fault{Field: TS, Code: "too_old", Detail: "more than an hour old"}, false
	}
	if !c.Has(Profile) {
		e.Profile = "default"
	}
	if !c.Has(Weight) {
		e.Weight = 1
	}
	if !c.Has(SourceNode) {
		e.SourceNode = c.setting.Node
	}
	if !c.Has(SourceRegion) {
		e.SourceRegion = c.setting.Region
		if c.Lasso&(1<<SourceNode) != 0 && c.Has(SourceNode) {
			e.SourceRegion = c.regionOf(e.SourceNode)
		}
	}
	switch e.Kind {
	case store.Decision:
		c.completeDecision()
	case store.Circuit:
		if c.Has(Since) && e.SinceAt <= 0 {
			return Fault{Field: Since, Code: "too_old", Detail: "before the epoch"}, false
		}
		e.SinceAt = min(e.SinceAt, e.TS)
	case store.Block:
		e.Transport = store.HTTP // a height is the provider's, however it was learnt
	}
	return Fault{}, adjusted
}

func (c *Case) completeDecision() {
	e := c.Event
	if !c.Has(Strategy) {
		e.Strategy = "unknown"
	}
	if !c.Has(Upstream) {
		e.UpstreamMicros = e.DurationMicros
	}
	if !c.Has(Failovers) {
		e.FailoverCount = e.Failovers()
	}
	e.CallReason = store.ReasonUnknown
	if c.Has(Reason) {
		e.CallReason = store.ReasonOf(e.Reason)
	}
	for i := range e.Attempts {
		if a := &e.Attempts[i]; a.Transport == Inherited {
			a.Transport = e.Transport
		}
	}
}

// Sender is whose event it is, as far as that can be read of it, be it good or not.
// Without a name it is this node's own, as are events that name none.
func (c *Case) Sender() (profile, sender, region string) {
	e := c.Event
	profile, sender = c.legible(Profile, e.Profile, "default"), c.legible(SourceNode, e.SourceNode, c.setting.Node)
	region = c.setting.Region
	switch {
	case c.Has(SourceRegion):
		region = c.legible(SourceRegion, e.SourceRegion, region)
	case c.Lasso&(1<<SourceNode) != 0 && sender == e.SourceNode:
		region = placeOf(sender)
	}
	return profile, sender, region
}

// legible is the value of a field of the event being read, if it is there and good.
func (c *Case) legible(f Field, value, otherwise string) string {
	if !c.Has(f) || value == "" || c.nfaults == maxFaults {
		return otherwise
	}
	for i := range c.faults[:c.nfaults] {
		if c.faults[i].Field == f {
			return otherwise
		}
	}
	return value
}

// regionOf is the region in a Lasso node id: the lower-case prefix of ids such as
// Sjc-080713ea67e778, which are a place and a machine; else the whole id. The
// answer for the last id is remembered.
func (c *Case) regionOf(id string) string {
	if id != c.placeID {
		c.placeID, c.place = id, placeOf(id)
	}
	return c.place
}

func placeOf(id string) string {
	place, machine, found := strings.Cut(id, "-")
	if !found || place == "" || len(machine) < 8 {
		return id
	}
	for i := range len(machine) {
		if c := machine[i]; c-'0' > 9 && (c < 'a' || c > 'f') {
			return id
		}
	}
	for i := range len(place) {
		if c := place[i] | 0x20; c < 'a' || c > 'z' {
			return id
		}
	}
	return strings.ToLower(place)
}
