package ijson

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The errors of Check. None repeats what it read.
var (
	ErrNotUTF8   = errors.New("it is not UTF-8")
	ErrSyntax    = errors.New("it is not JSON")
	ErrTooDeep   = errors.New("it nests too deep")
	ErrDuplicate = errors.New("an object has the same key twice")
	ErrSpelling  = errors.New("a key is a known field's in other letters")
	ErrReserved  = errors.New("a key is reserved")
	ErrNull      = errors.New("a known field is null")
	ErrSurrogate = errors.New("a string has half a surrogate pair")
	ErrNumber    = errors.New("a number is larger than any double")
)

// Rules are what Check asks for.
type Rules struct {
	Shape    *Shape // of the outermost object; nil: every key is taken
	MaxDepth int    // of objects and arrays in one another
	NoNull   bool   // a field of Shape may be absent, and not null
}

// Check says what keeps data from being read the same by every parser. The data must be JSON that
// encoding/json took: of its syntax Check looks only at what it needs. The error is one of those above.
func Check(data []byte, r Rules) error {
	if !utf8.Valid(data) {
		return ErrNotUTF8
	}
	w := walker{data: data, rules: r}
	var room [20][]byte // enough for the keys of most payloads
	w.keys = room[:0]
	if err := w.value(r.Shape); err != nil {
		return err
	}
	w.space()
	if w.at != len(data) {
		return ErrSyntax
	}
	return nil
}

// walker reads data from left to right.
type walker struct {
	data  []byte
	rules Rules
	at    int      // of the next byte
	depth int      // of the objects and arrays around at
	keys  [][]byte // of all objects around at, the innermost last
}

// peek is the next byte, or 0 at the end.
func (w *walker) peek() byte {
	if w.at < len(w.data) {
		return w.data[w.at]
	}
	return 0
}

func (w *walker) space() {
	for w.at < len(w.data) && isSpace(w.data[w.at]) {
		w.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// take skips white space and then c, when it is there.
func (w *walker) take(c byte) bool {
	w.space()
	if w.peek() != c {
		return false
	}
	w.at++
	return true
}

// value reads a value whose objects are of shape s.
func (w *walker) value(s *Shape) error {
	w.space()
	switch c := w.peek(); c {
	case '{', '[':
		if w.depth++; w.depth > w.rules.MaxDepth {
			return ErrTooDeep
		}
		w.at++
		defer func() { w.depth-- }()
		if c == '[' {
			return w.array(s)
		}
		return w.object(s)
	case '"':
		_, _, err := w.text()
		return err
	}
	return w.scalar()
}

func (w *walker) array(s *Shape) error {
	if w.take(']') {
		return nil
	}
	for {
		if err := w.value(s); err != nil {
			return err
		}
		if w.take(']') {
			return nil
		}
		if !w.take(',') {
			return ErrSyntax
		}
	}
}

func (w *walker) object(s *Shape) error {
	outer := len(w.keys)
	defer func() { w.keys = w.keys[:outer] }()
	if w.take('}') {
		return nil
	}
	for {
		if err := w.member(s); err != nil {
			return err
		}
		if w.take('}') {
			return unique(w.keys[outer:])
		}
		if !w.take(',') {
			return ErrSyntax
		}
	}
}

// member reads a key and its value.
func (w *walker) member(s *Shape) error {
	w.space()
	key, escaped, err := w.text()
	if err == nil && escaped {
		key, err = unescape(key)
	}
	if err != nil {
		return err
	}
	if !w.take(':') {
		return ErrSyntax
	}
	f, known, respelt := s.find(key)
	w.space()
	switch {
	case f.reserved:
		return ErrReserved
	case respelt:
		return ErrSpelling
	case known && w.rules.NoNull && w.peek() == 'n':
		return ErrNull
	}
	w.keys = append(w.keys, key)
	return w.value(f.shape)
}

// unique says whether no two keys are the same. It may reorder them.
func unique(keys [][]byte) error {
	if len(keys) > 16 {
		slices.SortFunc(keys, bytes.Compare)
		for i := 1; i < len(keys); i++ {
			if bytes.Equal(keys[i-1], keys[i]) {
				return ErrDuplicate
			}
		}
		return nil
	}
	for i, key := range keys {
		for _, other := range keys[:i] {
			if bytes.Equal(key, other) {
				return ErrDuplicate
			}
		}
	}
	return nil
}

// text reads a string. It returns what stands between the quotes, and whether that has escapes.
func (w *walker) text() (raw []byte, escaped bool, err error) {
	if w.peek() != '"' {
		return nil, false, ErrSyntax
	}
	start := w.at + 1
	for w.at = start; ; w.at++ {
		switch w.peek() {
		case 0: // the end: a string holds no NUL
			return nil, false, ErrSyntax
		case '\\':
			escaped = true
			if err := w.escape(); err != nil {
				return nil, false, err
			}
		case '"':
			w.at++
			return w.data[start : w.at-1], escaped, nil
		}
	}
}

// escape reads an escape up to its last byte, and with the first half of a surrogate pair also the second.
func (w *walker) escape() error {
	w.at++
	if w.peek() != 'u' {
		return nil
	}
	r, err := w.unit()
	if err != nil || !utf16.IsSurrogate(r) {
		return err
	}
	if w.at+2 >= len(w.data) || w.data[w.at+1] != '\\' || w.data[w.at+2] != 'u' {
		return ErrSurrogate
	}
	w.at += 2
	second, err := w.unit()
	if err == nil && utf16.DecodeRune(r, second) == utf8.RuneError {
		return ErrSurrogate
	}
	return err
}

// unit reads the four digits after a u, up to the last.
func (w *walker) unit() (rune, error) {
	if w.at+4 >= len(w.data) {
		return 0, ErrSyntax
	}
	n, err := strconv.ParseUint(string(w.data[w.at+1:w.at+5]), 16, 16)
	if err != nil {
		return 0, ErrSyntax
	}
	w.at += 4
	return rune(n), nil
}

// unescape is what a key with escapes says. They are rare: encoding/json does it.
func unescape(raw []byte) ([]byte, error) {
	var s string
	if json.Unmarshal(slices.Concat([]byte{'"'}, raw, []byte{'"'}), &s) != nil {
		return nil, ErrSyntax
	}
	return []byte(s), nil
}

// scalar reads a number, true, false or null.
func (w *walker) scalar() error {
	start := w.at
	for w.at < len(w.data) && !isSpace(w.data[w.at]) && w.data[w.at] != ',' && w.data[w.at] != ']' && w.data[w.at] != '}' {
		w.at++
	}
	word := w.data[start:w.at]
	if len(word) == 0 {
		return ErrSyntax
	}
	// Up to 300 digits without an exponent fit a double.
	if len(word) <= 300 && bytes.IndexByte(word, 'e') < 0 && bytes.IndexByte(word, 'E') < 0 {
		return nil
	}
	switch word[0] {
	case 't', 'f', 'n':
		return nil
	}
	if _, err := strconv.ParseFloat(string(word), 64); errors.Is(err, strconv.ErrRange) {
		return ErrNumber
	}
	return nil
}
