package cassandra

import (
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
)

// layout is where the rows of a channel lie, as far as a process knows. It is not changed once it is made. The zero
// layout is that of a channel without rows.
//
// What it says of seqs up to ceiling is true for ever. Above it, the newest bucket may have come to its end.
type layout struct {
	begins  []chat.Seq // of the buckets, rising; the first is 0. Empty: the channel has no rows
	linked  int        // so many buckets, from the first, are told of by the one before them
	ceiling chat.Seq
	counted chat.Seq // rows of the newest bucket up to here are counted in rows
	step    int64    // seqs that the last raise gave
	rows    int64
}

// decides reports whether seq's bucket is fixed.
func (l layout) decides(seq chat.Seq) bool { return len(l.begins) > 0 && seq <= l.ceiling }

// indexOf is which bucket seq is in, when no other begins after the last. The layout is not empty.
func (l layout) indexOf(seq chat.Seq) int {
	i, found := slices.BinarySearch(l.begins, seq)
	if found {
		return i
	}
	return i - 1
}

// bucketOf is the bucket that seq is in: where it begins.
func (l layout) bucketOf(seq chat.Seq) chat.Seq { return l.begins[l.indexOf(seq)] }

func (l layout) newest() chat.Seq { return l.begins[len(l.begins)-1] }

// newerThan reports whether l knows more than old.
func (l layout) newerThan(old layout) bool {
	if l.ceiling != old.ceiling || len(l.begins) != len(old.begins) {
		return l.ceiling > old.ceiling || len(l.begins) > len(old.begins)
	}
	return l.linked > old.linked
}

const (
	// raisesPerBucket is how many times the ceiling is raised while a bucket fills, when the channel stays as dense as it
	// is. Rows are counted at a raise, so that a bucket is overfull by about one part of these, and by the rows that were
	// under way in other writers at a raise.
	raisesPerBucket = 4
	// maxStep is how many seqs a raise gives at most, in parts of a bucket's limit. A channel that was nearly silent
	// is given many seqs; when all that its workspace says is said there from then on, so many rows are in one bucket.
	maxStep = 32
)

// raised is l after its ceiling is raised so that seq is decided. found is how many rows the newest bucket has above
// l.counted; limit is how many rows are enough for a bucket.
//
// A new bucket begins above the old ceiling: nobody can have written there. The step follows the rows that the last step
// took in, so that the next takes a part of limit, and at most doubles: a channel is dense or sparse for a while.
func (l layout) raised(seq chat.Seq, found, limit int64) layout {
	part := max(limit/raisesPerBucket, 1)
	next := layout{begins: l.begins, linked: l.linked, counted: l.ceiling, step: part, rows: l.rows + found}
	switch {
	case len(l.begins) == 0:
		next.begins, next.linked, next.rows = []chat.Seq{0}, 1, 0
	default:
		next.step = 2 * l.step
		if found > 0 {
			next.step = min(next.step, part*l.step/found)
		}
		next.step = min(max(next.step, part), maxStep*limit)
	}
	if next.rows >= limit {
		next.begins, next.rows = append(slices.Clip(l.begins), l.ceiling+1), 0
	}
	next.ceiling = min(max(seq, 1)-1+chat.Seq(next.step), chat.MaxSeq)
	return next
}
