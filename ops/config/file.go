package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/conf"
)

// token is what the parser makes of a value when it is asked to keep positions.
type token interface {
	Value() any
	Line() int
	SourceFile() string
	IsUsedVariable() bool
}

// readFile sets fields from a file in NATS's syntax. A variable of the file that its values use may have any
// name, as in NATS. The error is a *Problem that begins with the file and, where the parser knows it, the line.
func readFile(path string, known map[string]field) error {
	if _, err := os.Stat(path); err != nil {
		return Problemf("config file %s: %w", path, cause(err))
	}
	tree, err := parse(path)
	if err != nil {
		return parseProblem(path, err)
	}
	return readSection(path, "", tree, known)
}

// parse does not trust the parser with what people write: it panics on what it calls its bugs.
func parse(path string) (tree map[string]any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it is not in the syntax of NATS configuration files (%v)", r)
		}
	}()
	return conf.ParseFileWithChecks(path)
}

var parserLine = regexp.MustCompile(`(?s)^Parse error on line (\d+): '(.*)'$`)

func parseProblem(path string, err error) error {
	if m := parserLine.FindStringSubmatch(err.Error()); m != nil {
		return Problemf("%s:%s: %s", path, m[1], strings.TrimSuffix(m[2], "."))
	}
	return Problemf("%s: %w", path, err)
}

// readSection goes through the keys by their lines, so that the first mistake is told first.
func readSection(path, section string, tree map[string]any, known map[string]field) error {
	keys := slices.SortedFunc(maps.Keys(tree), func(a, b string) int {
		if d := lineOf(tree[a]) - lineOf(tree[b]); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, key := range keys {
		if err := readKey(path, section+strings.ToLower(key), tree[key], known); err != nil {
			return err
		}
	}
	return nil
}

func readKey(path, key string, v any, known map[string]field) error {
	where := path
	tok, positioned := v.(token)
	if positioned {
		if file := tok.SourceFile(); file != "" {
			where = file
		}
		where = fmt.Sprintf("%s:%d", filepath.ToSlash(where), tok.Line())
	}
	if f, ok := known[key]; ok {
		if err := f.set(bare(v)); err != nil {
			return Problemf("%s: %s: %w", where, key, err)
		}
		return nil
	}
	if isSection(key, known) {
		inner, ok := open(v).(map[string]any)
		if !ok {
			return Problemf("%s: %s: it wants a section, %s { … }, not %s", where, key, key, kindName(bare(v)))
		}
		return readSection(path, key+".", inner, known)
	}
	if positioned && tok.IsUsedVariable() && !strings.Contains(key, ".") {
		return nil
	}
	return unknown(where, key, known)
}

func isSection(key string, known map[string]field) bool {
	for name := range known {
		if strings.HasPrefix(name, key+".") {
			return true
		}
	}
	return false
}

func lineOf(v any) int {
	if t, ok := v.(token); ok {
		return t.Line()
	}
	return 0
}

// open takes the position off a value.
func open(v any) any {
	if t, ok := v.(token); ok {
		return t.Value()
	}
	return v
}

// bare takes the positions off a value and what is in it.
func bare(v any) any {
	v = open(v)
	if list, ok := v.([]any); ok {
		items := make([]any, len(list))
		for i := range list {
			items[i] = bare(list[i])
		}
		return items
	}
	return v
}
