package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// asking is a request of the member with a key.
func (f *fixture) asking(key string, at time.Time) store.IdempotencyKey {
	return store.IdempotencyKey{UserID: f.member, Key: key, Request: secret("request"), At: at, Lease: time.Minute}
}

// begins expects that a request is to be done.
func (f *fixture) begins(what string, k store.IdempotencyKey) {
	f.t.Helper()
	a, done, err := f.d.Begin(f.ctx, k)
	ok(f.t, err)
	same(f.t, what+": done", false, done)
	same(f.t, what+": answer", store.Answered{}, a)
}

// busy expects that a request is refused.
func (f *fixture) busy(what string, k store.IdempotencyKey) {
	f.t.Helper()
	a, done, err := f.d.Begin(f.ctx, k)
	isKind(f.t, what, err, fault.Conflict)
	same(f.t, what+": done", false, done)
	same(f.t, what+": answer", store.Answered{}, a)
}

// answers expects that a request was done.
func (f *fixture) answers(what string, k store.IdempotencyKey, want store.Answered) {
	f.t.Helper()
	a, done, err := f.d.Begin(f.ctx, k)
	ok(f.t, err)
	same(f.t, what+": done", true, done)
	same(f.t, what+": answer", want, a)
}

func idempotency(t *testing.T, f *fixture) {
	key := strings.Repeat("k", chat.MaxIdempotencyKey)
	k := f.asking(key, dawn)
	f.begins("the first", k)
	again := f.asking(key, dawn.Add(time.Second))
	f.busy("again, while it is being done", again)
	other := again
	other.Request = secret("another request")
	f.busy("another request with the key", other)
	theirs := other
	theirs.UserID = f.owner
	f.begins("another one's key", theirs)
	f.begins("another key", f.asking("other", dawn))

	answer := store.Answered{Status: 201, Body: []byte("\x00\xff{}")}
	ok(t, f.d.End(f.ctx, k, answer))
	f.answers("again, when it is done", again, answer)
	f.answers("and again", k, answer)
	f.busy("another request with the key", other)
	ok(t, f.d.End(f.ctx, k, store.Answered{}))
	ok(t, f.d.End(f.ctx, k, store.Answered{Status: 500}))
	f.answers("an answer stays", again, answer)
	ok(t, f.d.End(f.ctx, f.asking("never begun", dawn), answer))
	f.begins("never begun", f.asking("never begun", dawn))
	f.busy("another one's key", theirs)

	ok(t, f.d.End(f.ctx, f.asking("other", dawn), store.Answered{}))
	other = f.asking("other", dawn.Add(time.Second))
	other.Request = secret("another request")
	f.begins("a key that was forgotten", other)
	ok(t, f.d.End(f.ctx, other, store.Answered{Status: 204}))
	f.answers("an answer without body", other, store.Answered{Status: 204})
	nobody := f.asking("k", dawn)
	nobody.UserID = newID[chat.UserID]()
	_, _, err := f.d.Begin(f.ctx, nobody)
	isKind(t, "of no account", err, fault.NotFound)
}

func idempotencyLease(t *testing.T, f *fixture) {
	k := f.asking("k", dawn)
	f.begins("the first", k)
	f.busy("at the end of its lease", f.asking("k", dawn.Add(time.Minute)))
	other := f.asking("k", dawn.Add(time.Hour))
	other.Request = secret("another request")
	f.busy("another request after its lease", other)
	second := f.asking("k", dawn.Add(time.Minute+time.Microsecond))
	f.begins("the same after its lease", second)
	f.busy("in the second lease", f.asking("k", dawn.Add(90*time.Second)))
	ok(t, f.d.End(f.ctx, k, store.Answered{Status: 500}))
	f.busy("the first one ended, and the second is at it", f.asking("k", dawn.Add(90*time.Second)))
	ok(t, f.d.End(f.ctx, k, store.Answered{}))
	f.busy("the first one gave up, and the second is at it", f.asking("k", dawn.Add(90*time.Second)))
	answer := store.Answered{Status: 200, Body: []byte("done")}
	ok(t, f.d.End(f.ctx, second, answer))
	f.answers("done", k, answer)

	for i := range 5 { // others, some of which are forgotten with it
		f.begins("another", f.asking(string(rune('a'+i)), dawn))
	}
	end := second.At.Add(chat.IdempotencyWindow)
	f.answers("at the end of the window", f.asking("k", end), answer)
	other.At = end.Add(time.Microsecond)
	f.begins("after the window, another request", other)
	f.begins("after the window", f.asking("a", end))
}

func raceToBegin(t *testing.T, f *fixture) {
	for range 5 {
		key := string(newID[chat.ChannelID]())
		done := make([]bool, many)
		begun := 0
		for i, err := range together(many, func(i int) (err error) {
			_, done[i], err = f.d.Begin(f.ctx, f.asking(key, dawn))
			return err
		}) {
			same(t, "done", false, done[i])
			if err == nil {
				begun++
			} else {
				isKind(t, "who came second", err, fault.Conflict)
			}
		}
		same(t, "who does it", 1, begun)
	}
}
