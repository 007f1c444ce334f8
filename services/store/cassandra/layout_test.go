package cassandra_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store/cassandra"
)

// What is decided stays decided, whatever is raised later; and a new bucket begins where nobody can have written.
func TestTheBucketOfADecidedSeqNeverChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 1000).Draw(t, "limit")
		placed := map[chat.Seq]chat.Seq{}
		var l cassandra.Layout
		seq := chat.Seq(rapid.Uint64Range(1, 1<<30).Draw(t, "first"))
		for range rapid.IntRange(1, 40).Draw(t, "raises") {
			old := l
			l = old.Raised(seq, rapid.Int64Range(0, limit).Draw(t, "found"), limit)
			if !l.Decides(seq) || l.Ceiling() > chat.MaxSeq || l.Ceiling() < old.Ceiling() || l.Counted() != old.Ceiling() {
				t.Fatalf("%d is raised to %d, counted to %d; the old ceiling is %d", seq, l.Ceiling(), l.Counted(), old.Ceiling())
			}
			if given := int64(l.Ceiling()) - int64(seq) + 1; given > max(cassandra.MaxStep*limit, 1) {
				t.Fatalf("%d seqs are given at once", given)
			}
			if begins := l.Begins(); begins[0] != 0 || !slices.IsSorted(begins) {
				t.Fatalf("buckets begin at %v", begins)
			}
			if len(old.Begins()) > 0 {
				fresh := l.Begins()[len(old.Begins()):]
				if !slices.Equal(l.Begins()[:len(old.Begins())], old.Begins()) || len(fresh) > 1 || len(fresh) == 1 && fresh[0] != old.Ceiling()+1 {
					t.Fatalf("buckets began at %v, and now at %v; the old ceiling is %d", old.Begins(), l.Begins(), old.Ceiling())
				}
			}
			for s, b := range placed {
				if l.BucketOf(s) != b {
					t.Fatalf("%d was in %d and is in %d", s, b, l.BucketOf(s))
				}
			}
			for _, s := range []chat.Seq{0, seq, l.Ceiling(), chat.Seq(rapid.Uint64Range(0, uint64(l.Ceiling())).Draw(t, "seq"))} {
				placed[s] = l.BucketOf(s)
			}
			if l.Ceiling() == chat.MaxSeq {
				return
			}
			seq = min(chat.MaxSeq, l.Ceiling()+1+chat.Seq(rapid.Uint64Range(0, 1<<rapid.IntRange(0, 47).Draw(t, "bits")).Draw(t, "gap")))
		}
	})
}

// simulated writes n rows, gap seqs apart, and says how often the ceiling was raised and how many rows each bucket got.
func simulated(l cassandra.Layout, from, gap chat.Seq, n int, limit int64) (next cassandra.Layout, raises int, rows map[chat.Seq]int64) {
	rows = map[chat.Seq]int64{}
	var uncounted int64
	for i := range n {
		seq := from + chat.Seq(i)*gap
		if !l.Decides(seq) {
			l = l.Raised(seq, min(uncounted, limit), limit)
			raises, uncounted = raises+1, 0
		}
		uncounted++
		rows[l.BucketOf(seq)]++
	}
	return l, raises, rows
}

func TestCeilingsAreRaisedSeldomAndBucketsAreNotMuchTooFull(t *testing.T) {
	const limit = 100_000
	for _, c := range []struct {
		name   string
		gap    chat.Seq
		rows   int
		raises int // at most
	}{
		{"every seq", 1, 400_000, 16},
		{"every third", 3, 400_000, 20},
		{"every hundredth", 100, 400_000, 30},
		{"seldom: as the step grows, one raise in 32 rows", 100_000, 10_000, 10_000/32 + 8},
		{"a silent channel: a raise a row", 100_000_000, 100, 100},
	} {
		_, raises, rows := simulated(cassandra.Layout{}, 5_000_000, c.gap, c.rows, limit)
		if raises > c.raises {
			t.Errorf("%s: %d raises", c.name, raises)
		}
		for bucket, n := range rows {
			if n > limit+limit/cassandra.RaisesPerBucket+limit/2 {
				t.Errorf("%s: %d rows in the bucket %d", c.name, n, bucket)
			}
		}
	}
	_, raises, rows := simulated(cassandra.Layout{}, 1, 1, 25_000, limit)
	if raises != 1 || len(rows) != 1 {
		t.Errorf("a new channel: %d raises and %d buckets for 25,000 rows", raises, len(rows))
	}
}

func TestAChannelThatWakesUpFillsOneBucketToItsBound(t *testing.T) {
	const limit = 1000
	quiet, _, _ := simulated(cassandra.Layout{}, 1, 10_000, 200, limit)
	_, _, rows := simulated(quiet, 200*10_000+1, 1, 200_000, limit)
	for bucket, n := range rows {
		if n > (cassandra.MaxStep+1)*limit {
			t.Errorf("%d rows in the bucket %d", n, bucket)
		}
	}
	if len(rows) < 100 {
		t.Errorf("only %d buckets", len(rows))
	}
}
