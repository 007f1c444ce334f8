package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
)

// times say by when something of a log was stored for sure: what was told or answered was, and all that lies before it.
type times struct {
	seqs []int64 // rising
	by   []time.Duration
}

// StoredBy is a time at which a seq was in the log for sure. It is false when nobody was told so.
func (l *Ledger) StoredBy(space string, seq int64) (time.Duration, bool) {
	k := l.times[space]
	i, _ := slices.BinarySearch(k.seqs, seq)
	if i == len(k.seqs) {
		return 0, false
	}
	return k.by[i], true
}

func (l *Ledger) noteTimes(r *record.Record) {
	type seen struct {
		seq int64
		at  time.Duration
	}
	all := map[string][]seen{}
	for _, t := range r.Told {
		if (t.T == record.Posted || t.T == record.Changed) && !t.Filled {
			all[l.home[t.Who]] = append(all[l.home[t.Who]], seen{t.Seq, t.Time})
		}
	}
	for _, op := range r.Ops {
		if op.Outcome == record.OK && (op.F == record.Send || op.F == record.Edit) {
			space := cmp.Or(op.Workspace, l.home[op.Who])
			all[space] = append(all[space], seen{op.Seq, op.End})
		}
	}
	for space, list := range all {
		slices.SortFunc(list, func(a, b seen) int { return cmp.Compare(a.seq, b.seq) })
		k := times{make([]int64, len(list)), make([]time.Duration, len(list))}
		for i, s := range slices.Backward(list) {
			k.seqs[i], k.by[i] = s.seq, s.at
			if i+1 < len(list) {
				k.by[i] = min(s.at, k.by[i+1])
			}
		}
		l.times[space] = k
	}
}
