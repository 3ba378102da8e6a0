package store

import (
	"reflect"
	"strings"
	"testing"

	"remuda/store/cell"
	"remuda/store/internal/leaf"
)

// fullRow is a row with all that rows may have.
func fullRow() *Row {
	figures := func() Figures { return Figures{Categories: []cell.CategoryCount{{Category: "timeout", Count: 1}}} }
	previous := figures()
	return &Row{
		Key: "k", Figures: figures(), Previous: &previous, Provider: &ProviderState{StatusReasons: []string{"reason"}},
		Regions: []Row{{Key: "r", Figures: figures()}}, Methods: []Row{{Key: "m", Figures: figures()}},
	}
}

// TestSameRow: rows that differ in anything are not the same. Dims follow from the key.
func TestSameRow(t *testing.T) {
	if !sameRow(fullRow(), fullRow()) {
		t.Fatal("a row is not the same as itself")
	}
	seen := 0
	for i := range leaf.All(fullRow()) {
		row := fullRow()
		l := leaf.All(row)[i]
		if strings.Contains(l.Path, ".Dims[") {
			continue
		}
		seen++
		if l.Change(); sameRow(row, fullRow()) || sameRow(fullRow(), row) {
			t.Errorf("a row is the same whatever its %s", l.Path)
		}
	}
	if seen < 80 {
		t.Errorf("%d fields looked at", seen)
	}
	for what, change := range map[string]func(*Row){
		"previous":   func(r *Row) { r.Previous = nil },
		"provider":   func(r *Row) { r.Provider = nil },
		"region":     func(r *Row) { r.Regions = nil },
		"method":     func(r *Row) { r.Methods = nil },
		"categories": func(r *Row) { r.Categories = nil },
		"reasons":    func(r *Row) { r.Provider.StatusReasons = nil },
	} {
		row := fullRow()
		if change(row); sameRow(row, fullRow()) || sameRow(fullRow(), row) {
			t.Errorf("a row is the same without its %s", what)
		}
	}
	for i := range reflect.TypeFor[Row]().NumField() {
		if f := reflect.TypeFor[Row]().Field(i); f.Name != "Dims" && reflect.ValueOf(fullRow()).Elem().Field(i).IsZero() {
			t.Errorf("fullRow has no %s", f.Name)
		}
	}
}
