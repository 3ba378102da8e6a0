package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestSpellingsOfChains: a chain is found by every spelling of its number, in all that
// filters by chain.
func TestSpellingsOfChains(t *testing.T) {
	n := newTestNode(t, nil)
	n.post(202,
		strings.Replace(decision("x", "p", ""), `"chain":"x"`, `"chain":8453`, 1),
		strings.Replace(decision("x", "p", ""), `"chain":"x"`, `"chain_id":"0x2105"`, 1),
		decision("base", "p", ""), decision("evm:8453", "p", ""), decision("eip155:8453", "p", ""),
		decision("424242", "p", ""), decision("0x67932", "p", ""),
		`{"type":"circuit","chain_id":8453,"provider_id":"p","to":"open"}`,
		`{"type":"block","chain":"evm:8453","provider_id":"p","height":7}`,
	)
	for chain, want := range map[string]string{
		"base": "[base 5]", "8453": "[base 5]", "0x2105": "[base 5]", "eip155:8453": "[base 5]", "evm:8453,base": "[base 5]",
		"424242": "[424242 2]", "0x67932": "[424242 2]", "8453,evm:424242": "[424242 2 base 5]", "1": "[]", "ethereum": "[]",
	} {
		var got []any
		for _, row := range n.rows("/api/v1/chains?chain=" + chain) {
			got = append(got, row["chain"], row["total_calls"])
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", chain, got, want)
		}
	}
	for _, path := range []string{"/rank?chain=0x2105", "/circuits?chain=8453", "/blocks?chain=eip155:8453", "/decisions?chain=8453&limit=1", "/providers/p?chain=evm:8453"} {
		if rows := n.rows("/api/v1" + path); len(rows) != 1 || rows[0]["chain"] != "base" {
			t.Errorf("%s: %v", path, rows)
		}
	}
	r := n.open("/api/v1/stream?topic=chains%3Fchain%3D0x2105&max_frames=1", "")
	defer r.close()
	for {
		e, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if e.name == "snapshot" {
			if !strings.Contains(string(e.data), `"chain":"base"`) {
				t.Errorf("the topic: %s", e.data)
			}
			break
		}
	}
}
