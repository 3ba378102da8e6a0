package link

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"remuda/cluster/wire"
)

// A Call says whose request it is, and the how manyth, and which run of the member
// that is asked it is for. It is part of the URI, and so of what is signed: somebody
// without the secret who has recorded a request cannot have it answered again, neither
// by the run that answered it nor by a later one. No clock is needed for that: those of
// members may be hours apart.
//
// Requests of the version before have none. They are answered, and can be repeated.
type Call struct {
	From    string // the member
	Session uint64 // of its process, at random
	Serial  uint64 // of its requests, from 1
	Run     uint64 // of the member that is asked; 0 when that is not known
}

const (
	// CallParam is the parameter of a URI that a call is in.
	CallParam = "call"

	// callWindow is by how much a request may be late against those after it.
	callWindow = 1024
	// maxSessions bounds the processes whose requests are remembered. Beyond it that is
	// forgotten which has asked nothing for longest.
	maxSessions = wire.MaxOrigins
)

func (c Call) String() string {
	return c.From + "/" + strconv.FormatUint(c.Session, 10) + "/" + strconv.FormatUint(c.Serial, 10) + "/" + strconv.FormatUint(c.Run, 10)
}

// CallOf returns the call of a request; ok is false when it has none that can be read.
func CallOf(r *http.Request) (c Call, ok bool) {
	parts := strings.Split(r.URL.Query().Get(CallParam), "/")
	if len(parts) != 4 {
		return Call{}, false
	}
	c.From = parts[0]
	for i, to := range []*uint64{&c.Session, &c.Serial, &c.Run} {
		n, err := strconv.ParseUint(parts[i+1], 10, 64)
		if err != nil {
			return Call{}, false
		}
		*to = n
	}
	return c, true
}

// ErrRepeated is the answer to a request that was answered before, or was for a former
// run of this node.
var ErrRepeated = errors.New("this request was answered before, or is for another run of this node")

// Sessions remember which calls were answered.
type Sessions struct {
	mu   sync.Mutex
	list map[uint64]*session
	uses uint64
}

type session struct {
	top  uint64                  // the latest serial
	seen [callWindow / 64]uint64 // a bit for each of the last callWindow, by serial
	used uint64
}

// Admit reports whether a call is one that has not been admitted before.
func (s *Sessions) Admit(c Call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.list[c.Session]
	if one == nil {
		if s.list == nil {
			s.list = make(map[uint64]*session)
		}
		if len(s.list) >= maxSessions {
			s.forgetOne()
		}
		one = new(session)
		s.list[c.Session] = one
	}
	s.uses++
	one.used = s.uses
	return one.admit(c.Serial)
}

func (s *Sessions) forgetOne() {
	var oldest uint64
	least := s.uses + 1
	for id, one := range s.list {
		if one.used < least {
			oldest, least = id, one.used
		}
	}
	delete(s.list, oldest)
}

func (s *session) admit(serial uint64) bool {
	word, bit := &s.seen[serial/64%uint64(len(s.seen))], uint64(1)<<(serial%64)
	switch {
	case serial > s.top:
		for n := s.top + 1; n < serial && n <= s.top+callWindow; n++ {
			s.seen[n/64%uint64(len(s.seen))] &^= 1 << (n % 64)
		}
		s.top = serial
	case s.top-serial >= callWindow || *word&bit != 0:
		return false
	}
	*word |= bit
	return true
}
