package fanout_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
)

func entry(seq chat.Seq, size int) *fanout.Entry {
	return &fanout.Entry{Seq: seq, Frame: make([]byte, size)}
}

func seqsOf(entries []*fanout.Entry) []chat.Seq {
	seqs := make([]chat.Seq, 0, len(entries))
	for _, e := range entries {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func wantSeqs(t testing.TB, what string, got []*fanout.Entry, want ...chat.Seq) {
	t.Helper()
	if !slices.Equal(seqsOf(got), want) {
		t.Errorf("%s: %v, want %v", what, seqsOf(got), want)
	}
}

func TestARingKeepsTheNewest(t *testing.T) {
	r := fanout.NewRing(3, 1000, 10)
	wantSeqs(t, "empty", r.After(0, 9))
	for _, seq := range []chat.Seq{11, 13, 20} {
		r.Append(entry(seq, 100))
	}
	if floor, head, size := r.Bounds(); floor != 10 || head != 20 || size != 300 {
		t.Errorf("%d %d %d", floor, head, size)
	}
	r.Append(entry(21, 100)) // one too many
	if floor, head, size := r.Bounds(); floor != 11 || head != 21 || size != 300 {
		t.Errorf("%d %d %d", floor, head, size)
	}
	r.Append(entry(22, 900)) // too many bytes
	if floor, head, size := r.Bounds(); floor != 20 || head != 22 || size != 1000 {
		t.Errorf("%d %d %d", floor, head, size)
	}
	r.Append(entry(23, 5000)) // one alone may be over the bound
	if floor, head, size := r.Bounds(); floor != 22 || head != 23 || size != 5000 {
		t.Errorf("%d %d %d", floor, head, size)
	}
	r.Skip(30)
	r.Skip(29)
	if floor, head, _ := r.Bounds(); floor != 22 || head != 30 {
		t.Errorf("%d %d", floor, head)
	}
	r.Reset(40)
	if floor, head, size := r.Bounds(); floor != 40 || head != 40 || size != 0 {
		t.Errorf("%d %d %d", floor, head, size)
	}
}

func TestAfterAtTheBorders(t *testing.T) {
	r := fanout.NewRing(100, 1000, 0)
	for seq := chat.Seq(2); seq <= 80; seq += 2 {
		r.Append(entry(seq, 1))
	}
	wantSeqs(t, "below the first", r.After(0, 2), 2, 4)
	wantSeqs(t, "at the first", r.After(2, 2), 4, 6)
	wantSeqs(t, "between", r.After(5, 2), 6, 8)
	wantSeqs(t, "sixteen from the end", r.After(48, 1), 50)
	wantSeqs(t, "seventeen from the end", r.After(46, 1), 48)
	wantSeqs(t, "before the last", r.After(79, 9), 80)
	wantSeqs(t, "at the last", r.After(80, 9))
	wantSeqs(t, "after the last", r.After(1000, 9))
	wantSeqs(t, "none wanted", r.After(0, 0))
}

func TestAReplacedEntryIsSeenByWhoReadsLater(t *testing.T) {
	r := fanout.NewRing(100, 1000, 0)
	r.Append(entry(1, 10))
	r.Append(entry(2, 10))
	before := r.After(0, 9)
	r.Replace(entry(1, 3))
	r.Replace(entry(7, 3)) // is not here
	if len(before[0].Frame) != 10 || len(r.After(0, 9)[0].Frame) != 3 || len(r.Find(1).Frame) != 3 {
		t.Error("the redaction is not where it belongs")
	}
	if _, _, size := r.Bounds(); size != 13 {
		t.Errorf("size %d", size)
	}
}

// after is what a plain list says.
func after(list []*fanout.Entry, pos chat.Seq, limit int) (found []*fanout.Entry) {
	for _, e := range list {
		if e.Seq > pos && len(found) < limit {
			found = append(found, e)
		}
	}
	return found
}

func sizeOf(list []*fanout.Entry) (n int) {
	for _, e := range list {
		n += len(e.Frame)
	}
	return n
}

// The ring is compared with a plain list, whatever is done to it; what was read stays as it was read.
func TestARingIsAListThatForgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxEntries := rapid.IntRange(1, 150).Draw(t, "entries")
		maxBytes := rapid.IntRange(1, 3000).Draw(t, "bytes")
		r := fanout.NewRing(maxEntries, maxBytes, 5)
		var list []*fanout.Entry
		type reading struct{ got, copied []*fanout.Entry }
		var readings []reading
		floor, head := chat.Seq(5), chat.Seq(5)
		size := func() int { return sizeOf(list) }
		append1 := func() {
			head += chat.Seq(rapid.IntRange(1, 3).Draw(t, "step"))
			e := entry(head, rapid.IntRange(1, 100).Draw(t, "size"))
			r.Append(e)
			for list = append(list, e); len(list) > 1 && (len(list) > maxEntries || size() > maxBytes); list = list[1:] {
				floor = list[0].Seq
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(*rapid.T) { append1() },
			"append many": func(*rapid.T) {
				for range 100 {
					append1()
				}
			},
			"skip": func(*rapid.T) { head++; r.Skip(head) },
			"replace": func(t *rapid.T) {
				seq := chat.Seq(rapid.Uint64Range(0, uint64(head)+2).Draw(t, "seq"))
				e := entry(seq, rapid.IntRange(1, 9).Draw(t, "size"))
				r.Replace(e)
				if i := slices.IndexFunc(list, func(e *fanout.Entry) bool { return e.Seq == seq }); i >= 0 {
					list[i] = e
				}
			},
			"read": func(t *rapid.T) {
				pos := chat.Seq(rapid.Uint64Range(0, uint64(head)+2).Draw(t, "pos"))
				limit := rapid.IntRange(0, 200).Draw(t, "limit")
				got := r.After(pos, limit)
				if want := after(list, pos, limit); !slices.Equal(got, want) {
					t.Fatalf("after %d: %v, want %v", pos, seqsOf(got), seqsOf(want))
				}
				readings = append(readings, reading{got, slices.Clone(got)})
			},
			"": func(t *rapid.T) {
				if f, h, n := r.Bounds(); f != floor || h != head || n != size() {
					t.Fatalf("floor %d head %d bytes %d, want %d %d %d", f, h, n, floor, head, size())
				}
				for _, x := range readings {
					if !slices.Equal(x.got, x.copied) {
						t.Fatal("what was read has changed")
					}
				}
				if n := r.Slots(); n > 4*maxEntries+300 {
					t.Fatalf("%d slots for %d entries", n, maxEntries)
				}
			},
		})
	})
}
