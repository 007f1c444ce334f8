package ledger

import (
	"maps"
	"math"
	"slices"

	"github.com/canopychat/canopy/ops/verify/record"
)

// join makes a log out of all looks at it. What a stream holds that is about to be lost is looked at before, for no later look finds it: so
// the log is what each lost stream held, and then what the last one holds, in one order, since seqs go on rising over all epochs. When a later
// look finds the same stream again, it was not lost after all, and the later look has everything.
func (s *space) join(looks map[int][]record.Event) {
	for _, n := range backwards(looks) {
		if n > 0 && len(s.events) > 0 && spanOf(looks[n]).again(spanOf(s.events)) {
			continue
		}
		s.events = append(slices.Clone(looks[n]), s.events...)
		if n > 0 {
			s.ended = max(s.ended, spanOf(looks[n]).to)
		}
	}
}

// backwards are the numbers of looks, the last one, which is 0, first.
func backwards(looks map[int][]record.Event) []int {
	numbers := slices.Sorted(maps.Keys(looks))
	slices.Reverse(numbers)
	if n := len(numbers); n > 0 && numbers[n-1] == 0 {
		numbers = slices.Insert(numbers[:n-1], 0, 0)
	}
	return numbers
}

// span is where events lie. What was erased is left out: a delete may say so of a message of an earlier stream.
type span struct{ from, to, low, high int64 } // seqs; epochs, of those that say one

func spanOf(events []record.Event) span {
	s := span{math.MaxInt64, 0, math.MaxInt64, 0}
	for _, e := range events {
		if e.Erased {
			continue
		}
		s.from, s.to = min(s.from, e.Seq), max(s.to, e.Seq)
		if e.Epoch > 0 {
			s.low, s.high = min(s.low, e.Epoch), max(s.high, e.Epoch)
		}
	}
	return s
}

// again reports whether later events are of the same stream as these: they go back behind their end, and are of no later epoch.
func (s span) again(later span) bool { return later.from <= s.to && later.low <= s.high }

// Ended is the last seq of the streams of a workspace that were lost before the last one: what somebody is told who begins at the beginning
// lies after it. 0: none was.
func (l *Ledger) Ended(space string) int64 {
	if s := l.spaces[space]; s != nil {
		return s.ended
	}
	return 0
}
