package config

import (
	"slices"
	"strings"
)

// Sources are where settings come from, the strongest last.
type Sources struct {
	Layout Layout   // decides the defaults
	File   string   // path; empty: none
	Env    []string // as os.Environ gives it
	Flags  []Flag   // of two for one key, the later counts
}

// Flag is a setting of the command line.
type Flag struct {
	Name  string // as the user wrote it, for messages: --listen
	Key   string // of the setting: listen
	Value string // lists with commas between
}

// Load reads the sources, fills in the defaults and checks the result. The error is a *Problem, of the first
// thing that is wrong; a setting is checked also where a stronger source overrides it.
func Load(s Sources) (Config, error) {
	var c Config
	known := map[string]field{}
	for _, f := range fields(&c) {
		known[f.key] = f
	}
	if s.File != "" {
		if err := readFile(s.File, known); err != nil {
			return Config{}, err
		}
	}
	if err := readEnv(s.Env, known); err != nil {
		return Config{}, err
	}
	for _, flag := range s.Flags {
		f, ok := known[flag.Key]
		if !ok {
			return Config{}, unknown(flag.Name, flag.Key, known)
		}
		if err := f.setText(flag.Value); err != nil {
			return Config{}, Problemf("%s: %w", flag.Name, err)
		}
	}
	c = c.WithDefaults(s.Layout)
	return c, c.Check()
}

// readEnv takes the variables that are settings. Others are no mistake, though they begin alike: Kubernetes makes
// CANOPY_PORT and more for a service that is called canopy. An empty one is as good as none.
func readEnv(env []string, known map[string]field) error {
	values := map[string]string{}
	for _, entry := range env {
		if name, value, ok := strings.Cut(entry, "="); ok {
			values[name] = value
		}
	}
	keys := make([]string, 0, len(known))
	for key := range known {
		keys = append(keys, key)
	}
	slices.Sort(keys) // so that of two mistakes always the same one is told
	for _, key := range keys {
		f := known[key]
		if value := values[f.env()]; value != "" {
			if err := f.setText(value); err != nil {
				return Problemf("%s: %w", f.env(), err)
			}
		}
	}
	return nil
}

// unknown says that there is no such setting, and which one was perhaps meant.
func unknown(where, key string, known map[string]field) error {
	best, least := "", 3 // a slip of two letters; a name that has nothing in common is no help
	for name := range known {
		if d := Distance(key, name); d < least || (d == least && best != "" && name < best) {
			best, least = name, d
		}
	}
	if best != "" {
		return Problemf("%s: there is no setting %.60q; is it %q?", where, key, best)
	}
	return Problemf("%s: there is no setting %.60q; canopy up --print-config shows them all", where, key)
}

// Distance is how many letters must change, come or go to make b of a (Levenshtein); of a long word, its length.
func Distance(a, b string) int {
	if len(a) > 60 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
