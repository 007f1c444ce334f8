// Package attempt asks all the targets of some recipients at once, and says what each of them answered. It decides neither who is asked
// nor what follows (package due), and knows of a target only that it takes notices.
package attempt

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/services/deliver/due"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/streams/bus"
)

// DefaultAtOnce is how many targets are asked at once, for each batch of jobs.
const DefaultAtOnce = 64

// Names are what people call a workspace, a channel and a sender; a store.Directory knows.
type Names interface {
	Workspace(ctx context.Context, id chat.WorkspaceID) (chat.Workspace, error)
	Channel(ctx context.Context, id chat.ChannelID) (chat.Channel, error)
	UsersByID(ctx context.Context, ids []chat.UserID) ([]chat.User, error)
}

// Config is what Attempts are made with.
type Config struct {
	Targets notice.Targets
	Names   Names
	Skipped func(error) bool // whether an error of a Target says that it was not asked at all; nil: none does
	AtOnce  int              // 0: DefaultAtOnce
	Logger  *slog.Logger     // nil: slog.Default
}

// Attempts asks targets. It may be used by any number of goroutines.
type Attempts struct {
	cfg Config

	mu     sync.Mutex // guards counts
	counts map[Key]uint64
}

// Key is how an attempt at a target ended.
type Key struct {
	Target  string // push or webhook; none: there was nothing to try, or that is not known
	Outcome string // taken, failed, or skipped: its breaker was open
}

// New makes Attempts. It starts nothing.
func New(cfg Config) *Attempts {
	cfg.AtOnce = cmp.Or(max(cfg.AtOnce, 0), DefaultAtOnce)
	if cfg.Skipped == nil {
		cfg.Skipped = func(error) bool { return false }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Attempts{cfg: cfg, counts: map[Key]uint64{}}
}

// Counts is how the attempts ended so far.
func (a *Attempts) Counts() map[Key]uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.counts)
}

// Job is one message for one recipient, and what the message says now.
type Job struct {
	job.Delivery
	Message chat.Message
}

// one is the attempt for one Job.
type one struct {
	notice  notice.Notice
	targets []notice.Target
	tried   []due.Tried // one a target; each owned by its goroutine until all have ended
}

// Try makes an attempt for each job, and returns when all targets have answered: for each job what each of its targets said. It does not
// fail: what cannot be asked, such as who the targets are, is as if it had been skipped.
func (a *Attempts) Try(ctx context.Context, jobs []Job) [][]due.Tried {
	all := make([]one, len(jobs))
	type message struct {
		ws  chat.WorkspaceID
		seq chat.Seq
	}
	byMessage := map[message][]int{}
	for n, j := range jobs {
		m := message{j.WorkspaceID, j.Seq}
		byMessage[m] = append(byMessage[m], n)
	}
	asking := a.group()
	for m, places := range byMessage {
		asking.Go(func() error {
			words := a.words(ctx, m.ws, jobs[places[0]].Message)
			for _, n := range places {
				all[n] = a.prepare(ctx, jobs[n], words)
			}
			return nil
		})
	}
	_ = asking.Wait() // none of them fails
	sending := a.group()
	for _, o := range all {
		for n, target := range o.targets {
			sending.Go(func() error {
				o.tried[n] = a.send(ctx, target, o.notice)
				return nil
			})
		}
	}
	_ = sending.Wait() // none of them fails
	tried := make([][]due.Tried, len(all))
	for n, o := range all {
		tried[n] = o.tried
		a.note(o.tried)
	}
	return tried
}

func (a *Attempts) group() *errgroup.Group {
	g := new(errgroup.Group)
	g.SetLimit(a.cfg.AtOnce)
	return g
}

// words are what a notice of a message says to everybody. A name that cannot be found is left out: it is worth less than the notice.
func (a *Attempts) words(ctx context.Context, ws chat.WorkspaceID, m chat.Message) notice.Notice {
	n := notice.Notice{WorkspaceID: ws, ChannelID: m.ChannelID, Seq: m.Seq, SenderID: m.SenderID, Body: notice.Excerpt(m.Body)}
	workspace, err1 := a.cfg.Names.Workspace(ctx, ws)
	channel, err2 := a.cfg.Names.Channel(ctx, m.ChannelID)
	users, err3 := a.cfg.Names.UsersByID(ctx, []chat.UserID{m.SenderID})
	n.Workspace, n.Channel = workspace.Name, channel.Name
	if len(users) == 1 {
		n.Sender = cmp.Or(users[0].DisplayName, users[0].Login)
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		a.cfg.Logger.Info("a notice goes out without all it could say", "workspace_id", ws, "seq", m.Seq, "err", err)
	}
	return n
}

// prepare finds the targets of a recipient.
func (a *Attempts) prepare(ctx context.Context, j Job, n notice.Notice) one {
	n.ID = notice.IDOf(j.WorkspaceID, chat.Cursor{Epoch: j.Epoch, Seq: j.Seq}, j.UserID)
	n.Epoch, n.UserID, n.Why, n.PostedAt = j.Epoch, j.UserID, j.Why, j.PostedAt
	n.Attempt, n.TraceParent = j.Tried+1, j.TraceParent
	targets, err := a.cfg.Targets.TargetsOf(ctx, j.WorkspaceID, j.UserID)
	if err != nil {
		a.cfg.Logger.Warn("the targets of a recipient are not known", "workspace_id", j.WorkspaceID, "user_id", j.UserID, "err", err)
		return one{tried: []due.Tried{{Skipped: true}}}
	}
	return one{notice: n, targets: targets, tried: make([]due.Tried, len(targets))}
}

// send asks one target.
func (a *Attempts) send(ctx context.Context, t notice.Target, n notice.Notice) due.Tried {
	err := t.Send(ctx, n)
	tried := due.Tried{Target: t.ID()}
	if err == nil {
		return tried
	}
	tried.Error = t.ID() + ": " + bus.PrintableReason(err.Error())
	tried.Skipped = a.cfg.Skipped(err) || ctx.Err() != nil // when we are stopping, an error says nothing of the target
	if known := new(fault.Error); errors.As(err, &known) {
		tried.RetryAfter = known.RetryAfter
	}
	return tried
}

// note counts an attempt.
func (a *Attempts) note(tried []due.Tried) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range tried {
		kind, _, _ := strings.Cut(t.Target, ":")
		outcome := "taken"
		switch {
		case t.Skipped:
			outcome = "skipped"
		case t.Error != "":
			outcome = "failed"
		}
		a.counts[Key{cmp.Or(kind, "none"), outcome}]++
	}
	if len(tried) == 0 {
		a.counts[Key{"none", "failed"}]++
	}
}
