package httpapi

import (
	"fmt"
	"net"
	"strings"
)

// Hosts are the names by which requests may ask for a node, besides IP addresses and
// localhost. It guards against DNS rebinding: a page of another site whose name was
// pointed at this node would come with that name.
type Hosts struct {
	names map[string]bool
	under []string // suffixes that begin with a dot; something must be before it
}

// ParseHosts reads names: example.com is that host, *.example.com all below it,
// .example.com both. What no request could match is an error.
func ParseHosts(list []string) (Hosts, error) {
	h := Hosts{names: make(map[string]bool)}
	for _, text := range list {
		name := strings.ToLower(strings.TrimSuffix(strings.TrimSpace(text), "."))
		if net.ParseIP(strings.Trim(name, "[]")) != nil {
			continue // they are all allowed
		}
		name, below := strings.CutPrefix(name, "*.")
		if !below {
			var also bool
			if name, also = strings.CutPrefix(name, "."); also {
				below = true
				h.names[name] = true
			}
		}
		if err := checkHost(name); err != nil {
			return Hosts{}, fmt.Errorf("%q: %w", text, err)
		}
		if below {
			h.under = append(h.under, "."+name)
		} else {
			h.names[name] = true
		}
	}
	return h, nil
}

// checkHost says why no request could name a host so.
func checkHost(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("there is no name")
	case strings.Contains(name, "://") || strings.Contains(name, "/"):
		return fmt.Errorf("want the host alone, not a URL")
	case strings.Contains(name, ":"):
		return fmt.Errorf("want the host alone, any port goes with it")
	case strings.Contains(name, "*"):
		return fmt.Errorf("* stands only for what is before a whole domain, as in *.example.com")
	case len(name) > 253:
		return fmt.Errorf("host names have at most 253 characters")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return fmt.Errorf("the parts between dots have 1 to 63 characters")
		}
	}
	for _, c := range name {
		switch {
		case c >= 0x80:
			return fmt.Errorf("browsers send such names as xn--…: give that")
		case (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.", c):
			return fmt.Errorf("host names have letters, digits, -, _ and dots only")
		}
	}
	return nil
}

// Allow reports whether a request may name a host, with or without a port.
func (h *Hosts) Allow(host string) bool {
	name := host
	if strings.IndexByte(host, ':') >= 0 { // that there is no port would be an error, which is made each time
		if h, _, err := net.SplitHostPort(host); err == nil {
			name = h
		}
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if name == "localhost" || net.ParseIP(name) != nil || h.names[name] {
		return true
	}
	for _, suffix := range h.under {
		if len(name) > len(suffix) && strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}
