package ijson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/ijson"
)

type inner struct {
	Name string `json:"name"`
	Size int    `json:"size"`
}

type outer struct {
	Kind  string  `json:"kind"`
	Self  string  `json:"self,omitempty"`
	One   *inner  `json:"one,omitempty"`
	Many  []inner `json:"many,omitempty"`
	Quiet string  `json:"-"`
}

var rules = ijson.Rules{Shape: ijson.ShapeOf[outer]("seq"), MaxDepth: 4}

// many is an object of n keys and one more.
func many(n int, last string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"k%d":0,`, i)
	}
	return "{" + b.String() + last + "}"
}

var cases = []struct {
	name, data string
	want       error
}{
	{"known and unknown names", ` { "kind" : "a" , "new": [1, -2.5e3, true, false, null, {"x":{}}] } `, nil},
	{"an empty object", `{}`, nil},
	{"a name of the inner object outside", `{"name":1,"NAME":2}`, nil},
	{"a field without a name in JSON", `{"Quiet":1}`, nil},
	{"keys that only other objects have", `{"one":{"name":"a"},"many":[{"name":"b"},{"name":"c"}],"name":0}`, nil},
	{"names inside an unknown field", `{"new":{"KIND":1,"seq":2}}`, nil},
	{"a pair of surrogates", `{"kind":"\ud83d\ude00 \uD83D\uDE00"}`, nil},
	{"escapes that look like surrogates", `{"kind":"\\ud800 \\\\udc00"}`, nil},
	{"NUL as an escape", `{"kind":"\u0000"}`, nil},
	{"line separators as they are", "{\"kind\":\"\u2028\u2029\"}", nil},
	{"the largest double", `{"new":1.7976931348623157e308}`, nil},
	{"a null of an unknown field", `{"new":null}`, nil},
	{"the deepest", `{"new":[[[1]]]}`, nil},
	{"a hundred keys", many(100, `"x":1`), nil},

	{"a byte that is no UTF-8", "{\"kind\":\"\xff\"}", ijson.ErrNotUTF8},
	{"a surrogate in UTF-8", "{\"kind\":\"\xed\xa0\x80\"}", ijson.ErrNotUTF8},
	{"an overlong slash", "{\"kind\":\"\xc0\xaf\"}", ijson.ErrNotUTF8},
	{"half a pair, the first", `{"kind":"\ud83d"}`, ijson.ErrSurrogate},
	{"half a pair, the second", `{"kind":"\ude00"}`, ijson.ErrSurrogate},
	{"half a pair and a letter", `{"kind":"\ud83d\u0041"}`, ijson.ErrSurrogate},
	{"the first half twice", `{"kind":"\ud83d\ud83d\ude00"}`, ijson.ErrSurrogate},
	{"half a pair before another escape", `{"kind":"\ud83d\n"}`, ijson.ErrSurrogate},
	{"half a pair in a key", `{"new\udead":1}`, ijson.ErrSurrogate},
	{"half a pair far inside", `{"new":[{"x":"\udead"}]}`, ijson.ErrSurrogate},
	{"a key twice", `{"kind":"a","kind":"a"}`, ijson.ErrDuplicate},
	{"a key twice, once with an escape", `{"kind":"a","\u006bind":"a"}`, ijson.ErrDuplicate},
	{"an unknown key twice", `{"new":1,"x":{},"new":2}`, ijson.ErrDuplicate},
	{"a key twice in an inner object", `{"one":{"name":"a","name":"a"}}`, ijson.ErrDuplicate},
	{"a key twice in an array", `{"new":[{"a":1,"a":1}]}`, ijson.ErrDuplicate},
	{"the first of a hundred again", many(100, `"k0":1`), ijson.ErrDuplicate},
	{"an empty key twice", `{"":1,"":1}`, ijson.ErrDuplicate},
	{"capitals", `{"KIND":"a"}`, ijson.ErrSpelling},
	{"one capital", `{"kinD":"a"}`, ijson.ErrSpelling},
	{"the Kelvin sign", `{"` + "\u212a" + `ind":"a"}`, ijson.ErrSpelling},
	{"the long s", `{"` + "\u017f" + `elf":"a"}`, ijson.ErrSpelling},
	{"the long s as an escape", `{"\u017felf":"a"}`, ijson.ErrSpelling},
	{"capitals in an inner object", `{"one":{"Name":"a"}}`, ijson.ErrSpelling},
	{"capitals in an array", `{"many":[{"name":"a"},{"NAME":"a"}]}`, ijson.ErrSpelling},
	{"a reserved key", `{"seq":1}`, ijson.ErrReserved},
	{"a reserved key with an escape", `{"\u0073eq":1}`, ijson.ErrReserved},
	{"a reserved key that is null", `{"seq":null}`, ijson.ErrReserved},
	{"a reserved key in capitals", `{"SEQ":1}`, ijson.ErrSpelling},
	{"too deep", `{"new":[[[[1]]]]}`, ijson.ErrTooDeep},
	{"an exponent too large", `{"new":1e309}`, ijson.ErrNumber},
	{"too many digits", `{"new":-` + strings.Repeat("9", 400) + `}`, ijson.ErrNumber},
}

func TestCheck(t *testing.T) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			if !json.Valid([]byte(tt.data)) {
				t.Fatal("the case is not even JSON")
			}
			if err := ijson.Check([]byte(tt.data), rules); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, not %v", tt.data, err, tt.want)
			}
		})
	}
}

func TestNoNullIsForKnownNames(t *testing.T) {
	strict := rules
	strict.NoNull = true
	for data, want := range map[string]error{
		`{"kind": null}`:             ijson.ErrNull,
		`{"one":{"name":null}}`:      ijson.ErrNull,
		`{"many":[{"size":null}]}`:   ijson.ErrNull,
		`{"new":null,"kind":"null"}`: nil,
		`{"new":{"kind":null}}`:      nil,
	} {
		if err := ijson.Check([]byte(data), strict); !errors.Is(err, want) {
			t.Errorf("%s: %v, not %v", data, err, want)
		}
	}
}

func TestWithoutAShapeEveryKeyIsTaken(t *testing.T) {
	if err := ijson.Check([]byte(`{"KIND":1,"seq":2}`), ijson.Rules{MaxDepth: 1}); err != nil {
		t.Error(err)
	}
}

// FuzzCheck: no bytes make Check panic, and of what it takes encoding/json fills no field from another name.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		`{"kind":"a","one":{"name":"b"},"many":[{"size":1}]}`, `{"kind":"\ud83d\ude00"}`, `{"a":[1e5,{"b":null}]}`,
		`{"kind":"\ud83d"}`, `{"KIND":1}`, `[`, `{"a":"\u00`, `{"a"`, `{"a":}`, `"\`, ``, "{\"\x00\":1}", `{"seq":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := ijson.Check(data, rules)
		var o outer
		if err != nil || json.Unmarshal(data, &o) != nil {
			return
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(data, &fields) != nil {
			return // null
		}
		// Every known field that encoding/json filled stood under its own name.
		for name, set := range map[string]bool{"kind": o.Kind != "", "self": o.Self != "", "one": o.One != nil, "many": o.Many != nil} {
			if _, there := fields[name]; set && !there {
				t.Fatalf("%q filled %s", data, name)
			}
		}
	})
}
