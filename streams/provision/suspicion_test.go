package provision

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestAClusterThatLooksEmptiedIsLookedAtAgain(t *testing.T) {
	emptied := fmt.Errorf("%w: stream CHAT_0 ends at 3", ErrEmptied)
	passing := errors.New("no answer")
	synctest.Test(t, func(t *testing.T) {
		var s suspicion
		for range 40 { // a leader that was cut off
			if err := s.judge(emptied, true); err == nil || errors.Is(err, ErrEmptied) {
				t.Fatalf("at once: %v", err)
			}
			time.Sleep(confirmAfter / 50)
		}
		if err := s.judge(nil, true); err != nil { // and the one that the others have elected
			t.Fatal(err)
		}
		if err := s.judge(emptied, true); errors.Is(err, ErrEmptied) {
			t.Error("an old suspicion counts")
		}
		time.Sleep(confirmAfter / 2)
		if err := s.judge(passing, true); err != passing {
			t.Error(err)
		}
		time.Sleep(confirmAfter / 2)
		if err := s.judge(emptied, true); !errors.Is(err, ErrEmptied) {
			t.Errorf("for as long as a leader can be mistaken: %v", err)
		}
		if err := new(suspicion).judge(emptied, false); !errors.Is(err, ErrEmptied) {
			t.Errorf("a hub that is alone: %v", err)
		}
	})
}
