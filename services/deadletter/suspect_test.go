package deadletter

import (
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams/dlq"
)

// watch lets suspects look once a second at what at says of each second, and checks at once what is open. It returns the ranges that were
// looked up.
func watch(u *suspects, seconds int, at func(second int) sample) (looked [][2]chat.Seq) {
	began := time.Unix(1_700_000_000, 0)
	for second := range seconds {
		s := at(second)
		s.at, s.dying = began.Add(time.Duration(second)*time.Second), 30*time.Second
		u.look(s, 10*time.Second)
		if from, to := u.open(); from <= to {
			looked = append(looked, [2]chat.Seq{from, to})
			u.clear(to)
		}
		u.tell(0, 0)
	}
	return looked
}

func in(looked [][2]chat.Seq, seq chat.Seq) bool {
	for _, r := range looked {
		if r[0] <= seq && seq <= r[1] {
			return true
		}
	}
	return false
}

func TestABusyConsumerThatKeepsUpIsNotSuspect(t *testing.T) {
	u := &suspects{}
	looked := watch(u, 100, func(second int) sample {
		return sample{floor: chat.Seq(second * 90), delivered: chat.Seq(second*90 + 50), redelivered: 3} // three that died long ago
	})
	if len(looked) > 1 || len(looked) == 1 && looked[0][1] > 50 { // what was handed out before the first look
		t.Errorf("looked up: %v", looked)
	}
	if u.mark < 90*90 {
		t.Errorf("whole up to %d", u.mark)
	}
}

// TestWhateverDiesWasSuspect: an event is handed out at some second, stays outstanding until it dies, and others are acknowledged around it, with a second
// one that keeps the floor below until after it died.
func TestWhateverDiesWasSuspect(t *testing.T) {
	for handedOut := range 40 {
		for _, shadow := range []int{0, 3, 12, 30} { // seconds that another, before it, is outstanding after it died
			const takes = 40 // seconds until it dies: the wait for its second delivery, and dying
			u := &suspects{}
			x := chat.Seq(handedOut*90 + 40)
			looked := watch(u, 150, func(second int) sample {
				s := sample{delivered: chat.Seq(second*90 + 50), floor: chat.Seq(second * 90)}
				if second >= handedOut+10 { // and it counts as redelivered for as long as the log has it
					s.redelivered = 1
				}
				if second >= handedOut && second < handedOut+takes {
					s.floor = min(s.floor, x-1)
				}
				if second >= handedOut+takes-2 && second < handedOut+takes+shadow {
					s.floor = min(s.floor, x-2)
				}
				return s
			})
			if !in(looked, x) {
				t.Errorf("handed out at %d, shadow %d: %d is not among %v", handedOut, shadow, x, looked)
			}
			if u.mark < 140*90 {
				t.Errorf("whole up to %d", u.mark)
			}
		}
	}
}

func TestWhatNobodyLookedAtIsSuspect(t *testing.T) {
	u := &suspects{mark: 10}
	began := time.Unix(1_700_000_000, 0)
	u.look(sample{at: began, floor: 20, delivered: 30}, 10*time.Second)
	if from, to := u.open(); from != 11 || to != 20 || u.upto != 30 {
		t.Errorf("after a start: %d to %d, up to %d", from, to, u.upto)
	}
	u.clear(20)
	u.look(sample{at: began.Add(time.Second), floor: 30, delivered: 40}, 10*time.Second)
	if from, to := u.open(); from != 21 || to != 30 {
		t.Errorf("what was outstanding at the start: %d to %d", from, to)
	}
	u.clear(30)
	u.look(sample{at: began.Add(2 * time.Second), floor: 40, delivered: 40}, 10*time.Second)
	if from, to := u.open(); from <= to {
		t.Errorf("suspect: %d to %d", from, to)
	}
	u.look(sample{at: began.Add(time.Minute), floor: 50, delivered: 50}, 10*time.Second)
	if from, to := u.open(); from != 31 || to != 50 {
		t.Errorf("after a gap: %d to %d", from, to)
	}
	if u.look(sample{at: began.Add(time.Minute + time.Second), floor: 0, delivered: 0}, 10*time.Second); u.mark != 0 {
		t.Errorf("a consumer that was made anew is whole up to %d", u.mark)
	}
}

func TestTheMarkWaitsForTheNotes(t *testing.T) {
	u := &suspects{}
	began := time.Unix(1_700_000_000, 0)
	u.look(sample{at: began}, 10*time.Second)
	u.look(sample{at: began.Add(time.Second), floor: 50, delivered: 50}, 10*time.Second)
	u.tell(7, 3) // seven notes, three are handled
	u.look(sample{at: began.Add(2 * time.Second), floor: 60, delivered: 60}, 10*time.Second)
	if u.tell(9, 6); u.mark != 0 {
		t.Errorf("whole up to %d while a note of it is not handled", u.mark)
	}
	if u.tell(9, 7); u.mark != 50 {
		t.Errorf("whole up to %d, want 50", u.mark)
	}
	u.doubt()
	if from, to := u.open(); from != 51 || to != 60 {
		t.Errorf("in doubt: %d to %d", from, to)
	}
}

func TestLost(t *testing.T) {
	made := time.Unix(1_700_000_000, 0)
	before := dlq.Shape{Created: made, First: 5, Last: 20}
	for name, x := range map[string]struct {
		now     dlq.Shape
		handled chat.Seq
		want    bool
	}{
		"nothing":            {before, 10, false},
		"more":               {dlq.Shape{Created: made, First: 5, Last: 30}, 10, false},
		"aged":               {dlq.Shape{Created: made, First: 11, Last: 20}, 10, false},
		"aged too early":     {dlq.Shape{Created: made, First: 12, Last: 20}, 10, true},
		"purged":             {dlq.Shape{Created: made, First: 21, Last: 20}, 10, true},
		"one deleted":        {dlq.Shape{Created: made, First: 5, Last: 20, Deleted: 1}, 20, true},
		"made anew":          {dlq.Shape{Created: made.Add(1), First: 5, Last: 20}, 20, true},
		"set back":           {dlq.Shape{Created: made, First: 5, Last: 19}, 20, true},
		"purged and handled": {dlq.Shape{Created: made, First: 21, Last: 20}, 20, false},
	} {
		if got := lost(before, x.now, x.handled); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
