package linear

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/canopychat/canopy/ops/verify/check/grace"
	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// Budgets of the search. A key has some tens of operations, and takes microseconds.
const (
	keyBudget    = 2 * time.Second        // of one key
	shrinkBudget = 200 * time.Millisecond // of one try at a smaller history
	tries        = 200                    // at a smaller history
	allBudget    = 30 * time.Second       // of all
)

// Found is what was found for one invariant.
type Found struct {
	Cases      int // operations that had to find a place
	Violations []verdict.Violation
	Notes      string
}

// act is one operation on a key: what was done, and what was answered.
type act struct {
	do    string
	n     int64 // what it is about
	said  int64 // what was answered
	fresh bool  // it was answered as the first one
	open  bool  // nothing was answered
	op    record.Op
}

// key is all that was done to one thing.
type key struct {
	who  string
	name string
	ops  []porcupine.Operation
}

// kind is one kind of things.
type kind struct {
	invariant int
	rule      string
	model     porcupine.Model
	keys      []*key
}

// Check looks at all keys. The result is by invariant.
func Check(r *record.Record, l *ledger.Ledger) map[int]Found {
	g := grace.Of(r)
	found := make(map[int]Found)
	until := time.Now().Add(allBudget)
	for _, k := range []kind{sends(r), cursors(r), memberships(r, l, g)} {
		found[k.invariant] = k.check(until)
	}
	return found
}

func (k kind) check(until time.Time) (f Found) {
	undecided := 0
	for _, one := range k.keys {
		f.Cases += len(one.ops)
		left := min(keyBudget, time.Until(until))
		if left <= 0 {
			undecided++
			continue
		}
		switch porcupine.CheckOperationsTimeout(k.model, one.ops, left) {
		case porcupine.Unknown:
			undecided++
		case porcupine.Illegal:
			shown := one.ops
			if len(f.Violations) == 0 { // the first of a rule is the one that is shown
				shown = shrink(k.model, one.ops)
			}
			f.Violations = append(f.Violations, k.violation(one, shown))
		}
	}
	f.Notes = fmt.Sprintf("%d in an order that fits", len(k.keys)-undecided-len(f.Violations))
	if undecided > 0 {
		f.Notes += fmt.Sprintf(", %d not decided in time", undecided)
	}
	return f
}

func (k kind) violation(one *key, shown []porcupine.Operation) verdict.Violation {
	v := verdict.Violation{Rule: k.rule, Who: one.who, What: "no order fits what was answered about " + one.name}
	for _, o := range shown {
		a := o.Input.(act)
		op := a.op
		if s := cmp.Or(a.said, a.n); s > 1 && !slices.Contains(v.Seqs, s) {
			v.Seqs = append(v.Seqs, s)
		}
		v.History = append(v.History, record.Line{Op: &op})
	}
	slices.Sort(v.Seqs)
	return v
}

// shrink finds a smaller history that has no order either. First the shortest beginning: what had not ended by then is open. Then each
// answer in turn is forgotten, which allows more and never less, and the ones that are needed stay.
func shrink(model porcupine.Model, ops []porcupine.Operation) []porcupine.Operation {
	ops = slices.Clone(ops)
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	n := sort.Search(len(ops)-1, func(i int) bool {
		return porcupine.CheckOperationsTimeout(model, beginning(ops, i+1), shrinkBudget) == porcupine.Illegal
	})
	ops = beginning(ops, n+1)
	for i, left := len(ops)-1, tries; i >= 0 && left > 0; i, left = i-1, left-1 {
		if ops[i].Input.(act).open {
			continue
		}
		less := slices.Clone(ops)
		less[i] = forgotten(less[i])
		if porcupine.CheckOperationsTimeout(model, less, shrinkBudget) == porcupine.Illegal {
			ops = less
		}
	}
	return slices.DeleteFunc(ops, func(o porcupine.Operation) bool {
		a := o.Input.(act)
		return a.open && a.op.Outcome == record.OK
	})
}

// beginning is the history up to the end of its nth operation, by their ends.
func beginning(ops []porcupine.Operation, n int) (begun []porcupine.Operation) {
	until := ops[n-1].Return
	for _, o := range ops {
		if o.Call > until {
			continue
		}
		if o.Return > until {
			o = forgotten(o)
		}
		begun = append(begun, o)
	}
	return begun
}

// forgotten is an operation whose answer is not known.
func forgotten(o porcupine.Operation) porcupine.Operation {
	a := o.Input.(act)
	a.open = true
	o.Input, o.Return = a, math.MaxInt64
	return o
}

// collection gathers the operations of keys, in the order in which keys are met.
type collection struct {
	by   map[string]*key
	keys []*key
}

// add puts an operation to its key. One of unknown outcome is open to the end.
func (c *collection) add(who, name string, a act, until time.Duration) {
	if c.by == nil {
		c.by = map[string]*key{}
	}
	id := who + "\x00" + name
	k := c.by[id]
	if k == nil {
		k = &key{who: who, name: name}
		c.by[id] = k
		c.keys = append(c.keys, k)
	}
	a.open = a.op.Outcome != record.OK && a.op.Outcome != record.Refused
	o := porcupine.Operation{Input: a, Call: int64(a.op.Start), Return: int64(max(a.op.Start, until))}
	if a.open {
		o.Return = math.MaxInt64
	}
	k.ops = append(k.ops, o)
}
