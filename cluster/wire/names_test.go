package wire

import (
	"reflect"
	"strings"
	"testing"
)

// TestNamesOfMembers: every name and text in a note is judged as those of events are.
func TestNamesOfMembers(t *testing.T) {
	readable := func(change func(s reflect.Value, name string)) bool {
		n := everything()
		var walk func(v reflect.Value, name string)
		walk = func(v reflect.Value, name string) {
			switch v.Kind() {
			case reflect.Pointer:
				walk(v.Elem(), name)
			case reflect.Slice:
				for i := range v.Len() {
					walk(v.Index(i), name)
				}
			case reflect.Struct:
				for i := range v.NumField() {
					if f := v.Type().Field(i); f.IsExported() && f.Name != "Key" && f.Name != "Node" {
						walk(v.Field(i), f.Name)
					}
				}
			case reflect.String:
				change(v, name)
			}
		}
		walk(reflect.ValueOf(n), "")
		_, _, err := ReadDelta(encode(&testHead, n))
		return err == nil
	}
	texts := map[string]bool{"Reason": true, "RequestID": true, "EventID": true, "ErrorCode": true}
	count := 0
	readable(func(reflect.Value, string) { count++ })
	if count < 40 {
		t.Fatalf("%d names and texts in the notes", count)
	}
	for value, as := range map[string]struct{ id, text bool }{
		"base": {true, true}, "__other__": {true, true}, "löst \"ß\"": {false, true}, "a b": {false, true}, "__x": {false, true}, "a/b": {false, true},
		"a\nb": {}, "a\x00b": {}, "a\x7fb": {}, "a\u0085b": {}, "\xff": {}, strings.Repeat("a", 600): {},
	} {
		for at := range count {
			i, isText := 0, false
			ok := readable(func(s reflect.Value, name string) {
				if i == at {
					s.SetString(value)
					isText = texts[name]
				}
				i++
			})
			if want := as.id && !isText || as.text && isText; ok != want {
				t.Errorf("%.20q as string %d, text %v: read %v", value, at, isText, ok)
			}
		}
	}
}
