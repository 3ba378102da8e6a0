package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remuda/store/cell"
)

// TestTotalsOfManyGroups: summing many groups at once gives what summing each by
// itself does, and the regions that had calls.
func TestTotalsOfManyGroups(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []Query{
		{By: []Dim{ChainDim, ProviderDim, MethodDim}, Window: cell.Window1m},
		{By: []Dim{ChainDim, ProviderDim}, Window: cell.Window5m, Providers: true, ExpandRegions: true},
		{By: []Dim{RegionDim, NodeDim}, Window: cell.Window10s},
	} {
		table := s.NewTable(q)
		for round := range 3 {
			for i, batch := range workload(3000, 5, 1000, s.Now()) {
				renew(batch, uint64(round*10+i)+1<<40, s.Now())
				s.Apply(batch)
			}
			if round == 1 {
				s.Tick()
			}
			table.Refresh()
			if q.Window == cell.Window1m && len(table.groups) <= 2*groupsAtOnce {
				t.Fatalf("%d groups are no more than fit at once", len(table.groups))
			}
			for _, g := range table.groups {
				var members []*series
				var active []string
				for _, m := range g.members {
					members = append(members, m.series)
					var one cell.Cell
					table.addMembers(&one, g, []*series{m.series})
					if region := m.dim(RegionDim); !one.Empty() && !slices.Contains(active, region) {
						active = append(active, region)
					}
				}
				slices.Sort(active)
				var sum cell.Cell
				var want Figures
				lastSeen := table.addMembers(&sum, g, members)
				s.figures(&want, &sum)
				want.LastSeenAt = lastSeen
				if diff := cmp.Diff(want, g.figures); diff != "" {
					t.Fatalf("%v, round %d, %s:\n%s", q.By, round, g.key, diff)
				}
				if !slices.Equal(active, g.active) {
					t.Fatalf("%s is active in %v, not %v", g.key, g.active, active)
				}
			}
		}
	}
}

// BenchmarkTotal sums all groups, many at once and one by one.
func BenchmarkTotal(b *testing.B) {
	for _, n := range []int{600, 10_000} {
		s, err := New(Options{})
		if err != nil {
			b.Fatal(err)
		}
		for i, batch := range workload(n, max(8, n/250), 1000, s.Now()) {
			renew(batch, uint64(i)+1<<40, s.Now())
			s.Apply(batch)
		}
		s.Tick()
		t := s.NewTable(Query{By: []Dim{ChainDim, ProviderDim}, Window: cell.Window1m})
		t.Refresh()
		var groups []*group
		for _, g := range t.groups {
			groups = append(groups, g)
		}
		b.Run(fmt.Sprintf("series=%d/many", n), func(b *testing.B) {
			for b.Loop() {
				t.total(groups)
			}
		})
		b.Run(fmt.Sprintf("series=%d/each", n), func(b *testing.B) {
			var sum cell.Cell
			for b.Loop() {
				for _, g := range groups {
					members := make([]*series, 0, len(g.members))
					for _, m := range g.members {
						members = append(members, m.series)
					}
					t.addMembers(&sum, g, members)
					s.figures(&g.figures, &sum)
					sum.Reset()
				}
			}
		})
	}
}
