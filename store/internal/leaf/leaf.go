// Package leaf walks what a value is made of, for tests that go by the fields that types
// have and not by lists of their own: a field that is forgotten in one of the places that
// must know it fails one of them.
package leaf

import (
	"fmt"
	"reflect"
	"unsafe"
)

// A Leaf is a number, text or flag somewhere in a value.
type Leaf struct {
	Path string
	reflect.Value
}

// All lists those of what v points to. Fields that are not exported can be set, too.
func All(v any) []Leaf {
	var list []Leaf
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				f := v.Field(i)
				walk(path+"."+v.Type().Field(i).Name, reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem())
			}
		case reflect.Array, reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case reflect.Pointer:
			if !v.IsNil() {
				walk(path, v.Elem())
			}
		default:
			list = append(list, Leaf{path, v})
		}
	}
	walk("", reflect.ValueOf(v))
	return list
}

// Change makes a leaf another than it is.
func (l Leaf) Change() {
	switch l.Kind() {
	case reflect.Bool:
		l.SetBool(!l.Bool())
	case reflect.String:
		l.SetString(l.String() + "x")
	case reflect.Float64:
		l.SetFloat(l.Float() + 1)
	default:
		if l.CanInt() {
			l.SetInt(l.Int() ^ 1)
		} else {
			l.SetUint(l.Uint() ^ 1)
		}
	}
}
