package ijson

import (
	"reflect"
	"strings"
	"unicode"
)

// Shape is the names that an object of a format has. Other names are taken in any spelling that is not
// one of these in other letters.
type Shape struct {
	fields map[string]field
	folded map[string]bool // the names as encoding/json compares them
}

// field is what stands under a name.
type field struct {
	shape    *Shape // of the object, or of the objects of the array; nil: not looked at
	reserved bool
}

// ShapeOf reads the names from the json tags of the struct T, and of the structs in its fields. The names
// reserved are refused, in every spelling.
func ShapeOf[T any](reserved ...string) *Shape {
	s := shapeOf(reflect.TypeFor[T]())
	for _, name := range reserved {
		s.add(name, field{reserved: true})
	}
	return s
}

func shapeOf(t reflect.Type) *Shape {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	s := &Shape{fields: map[string]field{}, folded: map[string]bool{}}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "" && name != "-" {
			s.add(name, field{shape: shapeOf(f.Type)})
		}
	}
	return s
}

func (s *Shape) add(name string, f field) {
	s.fields[name] = f
	s.folded[fold(name)] = true
}

// find looks a key up. It is respelt when encoding/json would take key for a name that it is not.
func (s *Shape) find(key []byte) (f field, known, respelt bool) {
	if s == nil {
		return field{}, false, false
	}
	if f, known = s.fields[string(key)]; known {
		return f, true, false
	}
	for _, c := range key {
		if (c < 'a' || c > 'z') && c != '_' {
			return field{}, false, s.folded[fold(string(key))]
		}
	}
	return field{}, false, false // it is its own folded form
}

// fold maps all spellings of a name that encoding/json takes for one another to one (Unicode's simple folding).
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}
