package auth_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/auth"
)

func TestAnEndedSignInIsKnownUntilItsTokensHaveExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := auth.NewRevocations(auth.RevocationsConfig{})
		r.Note("s1", time.Now().Add(15*time.Minute))
		r.Note("s2", time.Now().Add(time.Hour))
		if !r.Revoked("s1") || !r.Revoked("s2") || r.Revoked("s3") {
			t.Error("it does not know what it was told")
		}
		r.Note("s1", time.Now()) // an older note changes nothing
		time.Sleep(15*time.Minute - 1)
		if !r.Revoked("s1") {
			t.Error("it went early")
		}
		time.Sleep(time.Nanosecond)
		if r.Revoked("s1") || !r.Revoked("s2") {
			t.Error("after 15 minutes")
		}
		r.Note("s2", time.Now().Add(2*time.Hour)) // a later one does
		r.Note("s3", time.Now().Add(time.Minute))
		if got := r.Counts(); got.Known != 2 || got.Dropped != 0 {
			t.Errorf("what has lapsed is kept: %+v", got)
		}
		time.Sleep(2*time.Hour - 1)
		if !r.Revoked("s2") || r.Revoked("s3") {
			t.Error("after more than two hours")
		}
	})
}

func TestEachEndIsToldOnce(t *testing.T) {
	r := auth.NewRevocations(auth.RevocationsConfig{})
	var told [2]sync.Map
	for i := range told {
		r.OnRevoked(func(id token.SignInID) {
			n, _ := told[i].LoadOrStore(id, new(atomic.Int32))
			n.(*atomic.Int32).Add(1)
			if !r.Revoked(id) { // under a lock this would hang, and before the note it would be false
				t.Errorf("%s is told and not known", id)
			}
			r.OnRevoked(func(token.SignInID) {})
		})
	}
	until := time.Now().Add(time.Hour)
	var crowd sync.WaitGroup
	for i := range 200 {
		crowd.Go(func() { r.Note(token.SignInID(fmt.Sprintf("s%d", i%50)), until.Add(time.Duration(i))) })
	}
	crowd.Wait()
	for i := range told {
		heard := 0
		told[i].Range(func(id, n any) bool {
			heard++
			if n.(*atomic.Int32).Load() != 1 {
				t.Errorf("%v is told %d times", id, n.(*atomic.Int32).Load())
			}
			return true
		})
		if heard != 50 {
			t.Errorf("%d of 50 are told", heard)
		}
	}
}

func TestALateNoteClosesSocketsAndIsNotKept(t *testing.T) {
	r := auth.NewRevocations(auth.RevocationsConfig{})
	var told []token.SignInID
	r.OnRevoked(func(id token.SignInID) { told = append(told, id) })
	r.Note("s1", time.Now().Add(-time.Minute))
	if len(told) != 1 || r.Counts().Known != 0 {
		t.Errorf("told %v, known %d", told, r.Counts().Known)
	}
}

func TestWhatIsKnownOfEndedSignInsIsBounded(t *testing.T) {
	r := auth.NewRevocations(auth.RevocationsConfig{Limit: 10})
	start := time.Now()
	for i := range 25 {
		r.Note(token.SignInID(fmt.Sprintf("s%d", i)), start.Add(time.Hour))
	}
	if got := r.Counts(); got.Known != 10 || got.Dropped != 15 {
		t.Errorf("%+v", got)
	}
	if r.Revoked("s14") || !r.Revoked("s15") || !r.Revoked("s24") {
		t.Error("the one that was noted first goes first")
	}
}

func TestNobodyKnowsOfNone(t *testing.T) {
	var none *auth.Revocations
	if none.Revoked("s1") {
		t.Error("nil knows of one")
	}
}
