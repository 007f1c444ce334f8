package confirm_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/client/confirm"
	"github.com/canopychat/canopy/schemas/chat"
)

// Whatever is taken when: what is confirmed was taken, never goes back, and in the end is the last that had a seq.
func TestNothingIsConfirmedThatWasNotTaken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f confirm.Taken
		f.Begin(false, 0)
		var queue, taken []chat.Seq
		var seq, last, confirmed chat.Seq
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				seq++
				last = seq
				queue = append(queue, seq)
				f.Tell()
				f.Note(seq)
			case 1:
				queue = append(queue, 0)
				f.Tell()
			case 2:
				n := rapid.IntRange(0, len(queue)).Draw(t, "taken")
				taken, queue = append(taken, queue[:n]...), queue[n:]
			case 3:
				got := f.Upto(len(queue))
				var want chat.Seq
				for _, s := range taken {
					want = max(want, s)
				}
				if got != 0 && (got != want || got <= confirmed) || got == 0 && want > confirmed {
					t.Fatalf("confirms %d of %v, after %d", got, taken, confirmed)
				}
				confirmed = max(confirmed, got)
			}
		}
		f.Upto(0)
		if f.Waiting() != 0 || f.Upto(0) != 0 {
			t.Fatalf("%d wait of %d", f.Waiting(), last)
		}
	})
}

// A socket that went on at a cursor has confirmed it; one that did not begins anew.
func TestConfirmingOverSockets(t *testing.T) {
	var f confirm.Taken
	f.Begin(false, 4)
	f.Tell()
	f.Note(6)
	f.Begin(true, 6)
	if got := f.Upto(0); got != 0 {
		t.Errorf("confirms %d, which the cursor did", got)
	}
	f.Tell()
	f.Note(8)
	f.Begin(false, 2) // of another log
	f.Tell()
	f.Note(3)
	if got := f.Upto(0); got != 3 {
		t.Errorf("confirms %d", got)
	}
}
