package plants

import (
	"context"
	"maps"
	"path"
	"slices"
)

// Fits says why a plant no longer fits the code.
func (p Plant) Fits(source string) error { return p.edit(source, map[string]string{}) }

// Together packs plants into sets that can be in one source at the same time, so that they are compiled in one go.
func Together(source string, all []Plant) (sets [][]Plant) {
	var texts []map[string]string
	for _, p := range all {
		at := 0
		for ; at < len(sets); at++ {
			with := maps.Clone(texts[at])
			if p.edit(source, with) == nil {
				texts[at] = with
				sets[at] = append(sets[at], p)
				break
			}
		}
		if at == len(sets) {
			with := map[string]string{}
			if p.edit(source, with) != nil {
				continue // it fits nowhere
			}
			texts, sets = append(texts, with), append(sets, []Plant{p})
		}
	}
	return sets
}

// Compile compiles the packages that plants edit, as all of them make them.
func Compile(ctx context.Context, source string, of []Plant) error {
	var packages []string
	for _, p := range of {
		for _, e := range p.Edits {
			packages = append(packages, "./"+path.Dir(e.File))
		}
	}
	slices.Sort(packages)
	return run(ctx, source, of, append([]string{"build"}, slices.Compact(packages)...))
}
