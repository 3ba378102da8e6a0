package store_test

import (
	"remuda/store"
	"remuda/store/attention"
	"remuda/store/cell"
	"remuda/store/rank"
)

func init() {
	store.Watch = func(s *store.Store) func(f store.Filter, w cell.Window, pause func()) (store.Meta, []store.Alarm) {
		episodes := new(attention.Episodes)
		return func(f store.Filter, w cell.Window, pause func()) (store.Meta, []store.Alarm) {
			watch := attention.New(s, episodes, f, w)
			watch.Within(pause, nil)
			meta, alarms := watch.Refresh()
			list := make([]store.Alarm, 0, len(alarms))
			for _, a := range alarms {
				list = append(list, store.Alarm{Key: a.Key, Rule: a.Rule, Severity: a.Severity.String(), SinceAt: a.SinceAt})
			}
			return meta, list
		}
	}
	store.Ranked = func(s *store.Store, chain string) map[string]store.RankedRow {
		rows := make(map[string]store.RankedRow)
		for _, r := range rank.Providers(s, rank.Query{Filter: store.Filter{store.ChainDim: {chain}}, Window: cell.Window1m}) {
			rows[r.ProviderID] = store.RankedRow{Eligible: r.Eligible, Reasons: r.Reasons}
		}
		return rows
	}
}
