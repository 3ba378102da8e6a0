package link

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"

	"remuda/cluster/wire"
)

// Secrets are those of a cluster. Members prove to each other that they know one, and
// nobody else can read or change what they say. Keys for gossip, requests and answers are
// derived from it. A file may hold several secrets, one a line: the first is used,
// all are accepted, so that it can be changed node by node.
//
// A request carries a nonce and a MAC of itself; its answer is sealed with the
// nonce, so that an old answer is none to a new request. A request is answered once:
// calls.go. Requests only read, or tell what somebody has.
type Secrets []secretKeys

type secretKeys struct {
	gossip, request []byte
	answer          cipher.AEAD
}

const (
	minSecret = 16
	nonceSize = 16

	clusterHeader = "Remuda-Cluster"
	nonceHeader   = "Remuda-Nonce"
	bodyHeader    = "Remuda-Body"
	macHeader     = "Remuda-Mac"
)

// ReadSecrets reads the file of secrets of a cluster.
func ReadSecrets(path, cluster string) (Secrets, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	var list Secrets
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if len(line) < minSecret {
			return nil, fmt.Errorf("secret file %s: a secret has %d characters at least; openssl rand -base64 32 makes a good one", path, minSecret)
		}
		k, err := deriveKeys(line, cluster)
		if err != nil {
			return nil, fmt.Errorf("derive keys of the secret: %w", err)
		}
		list = append(list, k)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("secret file %s: there is no secret in it", path)
	}
	return list, nil
}

// ForOthers reports whether somebody besides its owner may read or change a file.
func ForOthers(path string) (mode fs.FileMode, others bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	return info.Mode().Perm(), info.Mode().Perm()&0o066 != 0
}

func deriveKeys(secret, cluster string) (k secretKeys, err error) {
	derive := func(use string) []byte {
		key, derr := hkdf.Key(sha256.New, []byte(secret), []byte("remuda "+cluster), use, 32)
		err = errors.Join(err, derr)
		return key
	}
	k.gossip, k.request = derive("gossip"), derive("request")
	block, berr := aes.NewCipher(derive("answer"))
	if err = errors.Join(err, berr); err != nil {
		return k, err
	}
	k.answer, err = cipher.NewGCM(block)
	return k, err
}

// Sign adds what an internal request needs.
func (s Secrets) Sign(r *http.Request, cluster string, body []byte) (nonce []byte) {
	r.Header.Set(clusterHeader, cluster)
	if len(s) == 0 {
		return nil
	}
	nonce = make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // it never fails
	sum := sha256.Sum256(body)
	for header, value := range map[string][]byte{nonceHeader: nonce, bodyHeader: sum[:], macHeader: s[0].mac(r, cluster, nonce, sum[:])} {
		r.Header.Set(header, base64.RawURLEncoding.EncodeToString(value))
	}
	return nonce
}

func (k *secretKeys) mac(r *http.Request, cluster string, nonce, sum []byte) []byte {
	m := hmac.New(sha256.New, k.request)
	for _, part := range [][]byte{[]byte(r.Method), []byte(r.URL.RequestURI()), []byte(cluster), nonce, sum} {
		_ = binary.Write(m, binary.BigEndian, uint32(len(part)))
		m.Write(part)
	}
	return m.Sum(nil)
}

// errForbidden is the answer to a request that does not come from a member.
var errForbidden = errors.New("not a member of this cluster")

// Check admits a request of a member, before its body is read, and returns what its
// answer is sealed with; without secrets that is nothing, and only this machine is
// admitted.
func (s Secrets) Check(r *http.Request, cluster string) (*seal, error) {
	if r.Header.Get(clusterHeader) != cluster {
		return nil, errForbidden
	}
	if len(s) == 0 {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			return nil, errForbidden
		}
		return nil, nil
	}
	nonce, err := base64.RawURLEncoding.DecodeString(r.Header.Get(nonceHeader))
	sum, serr := base64.RawURLEncoding.DecodeString(r.Header.Get(bodyHeader))
	mac, merr := base64.RawURLEncoding.DecodeString(r.Header.Get(macHeader))
	if err != nil || serr != nil || merr != nil || len(nonce) != nonceSize {
		return nil, errForbidden
	}
	for i := range s {
		if hmac.Equal(mac, s[i].mac(r, cluster, nonce, sum)) {
			return &seal{keys: s[i : i+1], nonce: nonce, body: sum}, nil
		}
	}
	return nil, errForbidden
}

// CheckBody refuses a body that is not the one that was signed.
func (s *seal) CheckBody(body []byte) error {
	if s == nil {
		return nil
	}
	if sum := sha256.Sum256(body); !hmac.Equal(sum[:], s.body) {
		return errForbidden
	}
	return nil
}

// A seal encrypts the chunks of one answer, or opens them: each with its place in
// the answer, so that none can be left out or moved.
type seal struct {
	keys  []secretKeys // the first seals, any opens
	nonce []byte       // of the request
	body  []byte       // sum of its body
	chunk uint64
}

// Opening opens the chunks of the answer to a request that was signed with a nonce; nil
// without one.
func (s Secrets) Opening(nonce []byte) *seal {
	if nonce == nil {
		return nil
	}
	return &seal{keys: s, nonce: nonce}
}

// GossipKeys returns the keys of gossip, the one that is used first.
func (s Secrets) GossipKeys() (keys [][]byte) {
	for i := range s {
		keys = append(keys, s[i].gossip)
	}
	return keys
}

// Box is what seals the chunks; without a secret there is none.
func (s *seal) Box() wire.Box {
	if s == nil {
		return nil
	}
	return s
}

// Seal encrypts a chunk.
func (s *seal) Seal(plain []byte) []byte {
	box := make([]byte, s.keys[0].answer.NonceSize(), len(plain)+64)
	_, _ = rand.Read(box)
	return s.keys[0].answer.Seal(box, box, plain, s.place())
}

// Open decrypts one.
func (s *seal) Open(box []byte) ([]byte, error) {
	place := s.place()
	for i := range s.keys {
		aead := s.keys[i].answer
		if n := aead.NonceSize(); len(box) > n {
			if plain, err := aead.Open(nil, box[:n], box[n:], place); err == nil {
				return plain, nil
			}
		}
	}
	return nil, errForbidden
}

func (s *seal) place() []byte {
	s.chunk++
	return binary.BigEndian.AppendUint64(s.nonce[:nonceSize:nonceSize], s.chunk)
}
