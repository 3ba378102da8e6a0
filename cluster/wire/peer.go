package wire

import "strconv"

// Names of the tags with which a member tells serf about itself.
const (
	RegionTag      = "region"
	HTTPTag        = "http"
	IncarnationTag = "incarnation"
)

// A Peer is a member as serf knows it: by its tags.
type Peer struct {
	Name, Region, HTTPAddr string
	Incarnation            uint64 // 0 when not known yet
	State                  string // alive, leaving, left, failed; empty when serf knows nothing
}

// Alive reports whether it is up.
func (p *Peer) Alive() bool { return p.State == "alive" || p.State == "leaving" }

// ReadPeer reads the tags of a member.
func ReadPeer(name, state string, tags map[string]string) Peer {
	incarnation, _ := strconv.ParseUint(tags[IncarnationTag], 10, 53)
	return Peer{Name: name, Region: tags[RegionTag], HTTPAddr: tags[HTTPTag], Incarnation: incarnation, State: state}
}

// Tags are those of a peer.
func (p *Peer) Tags() map[string]string {
	return map[string]string{
		RegionTag: p.Region, HTTPTag: p.HTTPAddr, IncarnationTag: strconv.FormatUint(p.Incarnation, 10),
	}
}
