// Package plants is bugs for canopy verify to find: mistakes as people make them, one at a time, put into Canopy's own source. A
// checker that has never seen a broken promise proves nothing, so each invariant has at least one plant that breaks it.
//
// A plant is an edit of the source, and not a hook in it: no product code knows of this package. Build lays the edited files over the
// source (go build -overlay) and makes another program of them, which a site then runs in place of the right one. The source itself
// is never written to.
//
// An edit names the text that it replaces. When the code has moved on and that text is not there exactly once, the plant no longer
// fits, and says so; a test keeps all of them fitting and compiling.
package plants

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/canopychat/canopy/ops/config"
)

// Plant is one bug.
type Plant struct {
	Name       string
	Invariants []int  // that it breaks, the one that it is meant for first
	Story      string // what goes wrong for people
	Finds      string // the traffic or the fault by which it shows
	Flags      string // of canopy verify --local --plant, by which it is found under the first of Invariants
	Edits      []Edit // of one file several, in the order in which they are made
}

// Flags by which many plants are found: the shortest run that has something of everything, and one with time for a few faults. With --files
// nothing but the Go toolchain is needed.
const (
	inTraffic = "--files --calm --duration 20s --rate 60 --seed 1"
	inFaults  = "--duration 30s --rate 60 --seed 1"
)

// Edit replaces a piece of one file.
type Edit struct {
	File string // below the root of the module, with slashes
	Old  string // occurs exactly once
	New  string
}

// All is every plant, by name.
func All() []Plant {
	all := slices.Concat(messages, order, reading, running)
	slices.SortFunc(all, func(a, b Plant) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// near is how many changes of a letter make one name look like another.
const near = 4

// Find is the plant of a name. The error says which names look like it.
func Find(name string) (Plant, error) {
	var alike []string
	for _, p := range All() {
		if p.Name == name {
			return p, nil
		}
		if config.Distance(p.Name, name) <= near || (name != "" && strings.Contains(p.Name, name)) || sharesWord(p.Name, name) {
			alike = append(alike, p.Name)
		}
	}
	if len(alike) == 0 {
		return Plant{}, fmt.Errorf("there is no plant %q", name)
	}
	return Plant{}, fmt.Errorf("there is no plant %q; there is %s", name, strings.Join(alike, ", "))
}

// longWord is from how many letters on a word tells something.
const longWord = 5

func sharesWord(a, b string) bool {
	words := strings.Split(a, "-")
	return slices.ContainsFunc(strings.Split(b, "-"), func(w string) bool { return len(w) >= longWord && slices.Contains(words, w) })
}

// Table writes all plants for people, and for ops/verify/every-plant: between two columns are two spaces at least, and in none.
func Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows := []string{"PLANT\tBREAKS\tFLAGS\tWHAT GOES WRONG\tSHOWN BY"}
	for _, p := range All() {
		rows = append(rows, strings.Join([]string{p.Name, p.breaks(), p.Flags, p.Story, p.Finds}, "\t"))
	}
	if _, err := fmt.Fprintln(t, strings.Join(rows, "\n")); err != nil {
		return fmt.Errorf("list plants: %w", err)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("list plants: %w", err)
	}
	return nil
}

func (p Plant) breaks() string {
	numbers := make([]string, len(p.Invariants))
	for i, n := range p.Invariants {
		numbers[i] = strconv.Itoa(n)
	}
	return cmp.Or(strings.Join(numbers, " "), "none")
}
