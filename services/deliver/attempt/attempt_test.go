package attempt_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/services/deliver/attempt"
	"github.com/canopychat/canopy/services/deliver/due"
	"github.com/canopychat/canopy/services/deliver/notice"
)

// target answers as it is told.
type target struct {
	id   string
	send func(notice.Notice) error
}

func (t target) ID() string                                    { return t.id }
func (t target) Send(_ context.Context, n notice.Notice) error { return t.send(n) }

// people are who has which targets. Who is not in it cannot be looked up.
type people map[chat.UserID][]notice.Target

func (p people) TargetsOf(_ context.Context, _ chat.WorkspaceID, user chat.UserID) ([]notice.Target, error) {
	if targets, ok := p[user]; ok {
		return targets, nil
	}
	return nil, errors.New("the directory is down")
}

// names are those of one workspace; lost: they cannot be read.
type names struct{ lost bool }

var errLost = errors.New("the directory is down")

func (n names) Workspace(context.Context, chat.WorkspaceID) (chat.Workspace, error) {
	if n.lost {
		return chat.Workspace{}, errLost
	}
	return chat.Workspace{Name: "Town"}, nil
}

func (n names) Channel(context.Context, chat.ChannelID) (chat.Channel, error) {
	if n.lost {
		return chat.Channel{}, errLost
	}
	return chat.Channel{Name: "general"}, nil
}

func (n names) UsersByID(_ context.Context, ids []chat.UserID) ([]chat.User, error) {
	if n.lost {
		return nil, errLost
	}
	return []chat.User{{ID: ids[0], Login: "ann"}}, nil
}

var errSkipped = fault.New(fault.Unavailable, "the breaker is open").After(time.Minute)

func aJob(user chat.UserID, seq chat.Seq) attempt.Job {
	return attempt.Job{
		Delivery: job.Delivery{WorkspaceID: "w1", UserID: user, Epoch: 1, ChannelID: "c1", Seq: seq, Why: chat.OwedMention, Tried: 2, TraceParent: "00-a-b-01"},
		Message:  chat.Message{ChannelID: "c1", Seq: seq, SenderID: "ann", Body: "hello"},
	}
}

func newAttempts(p people, n names) *attempt.Attempts {
	return attempt.New(attempt.Config{
		Targets: p, Names: n, Skipped: func(err error) bool { return errors.Is(err, errSkipped) }, AtOnce: 2, Logger: slog.New(slog.DiscardHandler),
	})
}

func TestEveryTargetSaysWhatItAnswers(t *testing.T) {
	takes := func(notice.Notice) error { return nil }
	a := newAttempts(people{
		"bob": {
			target{"push:a", takes}, target{"push:b", func(notice.Notice) error { return errSkipped }},
			target{"webhook:c", func(notice.Notice) error { return fault.New(fault.RateLimited, "slow down\n").After(time.Hour) }},
		},
		"carl": nil,
	}, names{})
	got := a.Try(t.Context(), []attempt.Job{aJob("bob", 1), aJob("carl", 1), aJob("zoe", 1)})
	want := [][]due.Tried{
		{
			{Target: "push:a"}, {Target: "push:b", Error: "push:b: unavailable: the breaker is open", Skipped: true, RetryAfter: time.Minute},
			{Target: "webhook:c", Error: "webhook:c: rate_limited: slow down", RetryAfter: time.Hour},
		},
		{}, {{Skipped: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	counts := map[attempt.Key]uint64{{"push", "taken"}: 1, {"push", "skipped"}: 1, {"webhook", "failed"}: 1, {"none", "failed"}: 1, {"none", "skipped"}: 1}
	if got := a.Counts(); !maps.Equal(got, counts) {
		t.Errorf("counts are %v", got)
	}
}

func TestANoticeIsOfItsOwnMessageAndRecipient(t *testing.T) {
	for _, lost := range []bool{false, true} {
		var mu sync.Mutex
		got := map[string]notice.Notice{}
		takes := target{"push:a", func(n notice.Notice) error {
			mu.Lock()
			defer mu.Unlock()
			got[n.ID] = n
			return nil
		}}
		a := newAttempts(people{"bob": {takes}, "carl": {takes}}, names{lost})
		a.Try(t.Context(), []attempt.Job{aJob("bob", 1), aJob("carl", 1), aJob("bob", 2)})
		want := map[string]notice.Notice{}
		for _, j := range []attempt.Job{aJob("bob", 1), aJob("carl", 1), aJob("bob", 2)} {
			n := notice.Notice{
				ID: notice.IDOf("w1", chat.Cursor{Epoch: 1, Seq: j.Seq}, j.UserID), WorkspaceID: "w1", Workspace: "Town", ChannelID: "c1", Channel: "general",
				Seq: j.Seq, Epoch: 1, SenderID: "ann", Sender: "ann", UserID: j.UserID, Why: chat.OwedMention, Body: "hello", Attempt: 3, TraceParent: "00-a-b-01",
			}
			if lost { // the notice is worth more than the names
				n.Workspace, n.Channel, n.Sender = "", "", ""
			}
			want[n.ID] = n
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// A process that stops has learnt nothing about its targets.
func TestAStopIsNoFailure(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	a := newAttempts(people{"bob": {target{"push:a", func(notice.Notice) error {
		stop()
		return context.Canceled
	}}}}, names{})
	if got := a.Try(ctx, []attempt.Job{aJob("bob", 1)}); !got[0][0].Skipped {
		t.Errorf("it says %+v", got)
	}
}
