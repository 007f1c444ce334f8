package migration_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/canopychat/canopy/services/store/cassandra/migration"
)

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"only blanks and semicolons", " ;\n;; ", nil},
		{"only comments", "-- a; b\n// c; d\n/* e; f */", nil},
		{"one without its semicolon", "DROP TABLE IF EXISTS a", []string{"DROP TABLE IF EXISTS a"}},
		{"two", "a;\nb;\n", []string{"a", "b"}},
		{"inside, lines and blanks stay", "a (\n\tb int\n);", []string{"a (\n\tb int\n)"}},
		{"a comment parts words", "a/* x */b", []string{"a b"}},
		{"comments to the end of the line", "a -- x; y\nb // z;\nc", []string{"a  \nb  \nc"}},
		{"a comment at the end of the file", "a; -- b", []string{"a"}},
		{"comments do not nest", "/* a /* b */ c", []string{"c"}},
		{"a star is no end", "/*/ a; */ b", []string{"b"}},
		{"a semicolon in a string", "a 'b;c';d", []string{"a 'b;c'", "d"}},
		{"a quote in a string", "a 'b'';c';d", []string{"a 'b'';c'", "d"}},
		{"a comment in a string", "a 'http://b -- c /* d';e", []string{"a 'http://b -- c /* d'", "e"}},
		{"a quoted name", `a "b;""c";d`, []string{`a "b;""c"`, "d"}},
		{"a body", "a $$ return 'it; -- $' $$;b", []string{"a $$ return 'it; -- $' $$", "b"}},
		{"a string in a comment", "-- don't\na", []string{"a"}},
		{"minus and division", "a - b / c", []string{"a - b / c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := migration.Split(tt.text); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%q: %q, %v", tt.text, got, err)
			}
		})
	}
}

func TestSplitRefusesWhatHasNoEnd(t *testing.T) {
	for text, want := range map[string]string{
		"a;\nb 'c;":      "line 2: a string has no end",
		"a \"b;":         "line 1: a quoted name has no end",
		"\n\na /* b; *":  "line 3: a comment has no end",
		"a /*/":          "line 1: a comment has no end",
		"a $$ b; $ $ c ": "line 1: a body in $$ has no end",
	} {
		if got, err := migration.Split(text); err == nil || err.Error() != want || got != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// What was split once is not split further, and no statement is made of a comment's words.
func FuzzSplit(f *testing.F) {
	for _, text := range []string{"a;b", "a 'b'';' c", `"a;"`, "$$;$$", "--;\n//;\n/*;*/", "a/**/b", "$/**/$ $$", "'", "/*", "''''", "$$$$$"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := migration.Split(text)
		if err != nil {
			return
		}
		for _, s := range all {
			if s == "" || strings.TrimSpace(s) != s {
				t.Fatalf("%q: a statement %q", text, s)
			}
		}
		again, err := migration.Split(strings.Join(all, ";\n"))
		if err != nil || !slices.Equal(again, all) {
			t.Fatalf("%q: %q, and again: %q, %v", text, all, again, err)
		}
	})
}
