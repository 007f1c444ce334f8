package chat

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/ops/chat/line"
	"github.com/canopychat/canopy/ops/chat/wish"
	"github.com/canopychat/canopy/ops/plain"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/schemas/rest"
)

// later performs the commands about what waits for its time.
func (t *talk) later(ctx context.Context, c line.Command) error {
	switch c.Name {
	case "scheduled":
		return t.scheduled(ctx)
	case "cancel":
		err := t.o.Client.CancelScheduled(ctx, t.ws.ID, c.Word)
		if err == nil {
			t.screen.Line("-- " + plain.Line(c.Word) + " is taken back")
		}
		return err
	}
	at, err := line.When(c.Word, time.Now().In(t.o.Zone))
	if err != nil {
		return err
	}
	var made rest.Scheduled
	if c.Name == "remind" {
		made, err = t.o.Client.Remind(ctx, t.ws.ID, rest.NewReminder{Text: c.Text, At: rest.Time(at)})
	} else {
		made, err = t.o.Client.Schedule(ctx, t.view.here, rest.NewScheduled{Body: c.Text, At: rest.Time(at)})
	}
	if err == nil {
		t.screen.Line("-- waits: " + t.view.waiting(made))
	}
	return err
}

func (t *talk) scheduled(ctx context.Context) error {
	all, err := t.o.Client.Scheduled(ctx, t.ws.ID)
	if err == nil && len(all) == 0 {
		t.screen.Line("-- nothing waits")
	}
	for _, s := range all {
		t.orient(ctx, s.ChannelID)
		t.screen.Line("  " + t.view.waiting(s))
	}
	return err
}

// waiting is what waits for its time, in a line.
func (v *view) waiting(s rest.Scheduled) string {
	what := "for you"
	if s.Kind != job.Reminder {
		what = "to " + v.where(s.ChannelID)
	}
	return fmt.Sprintf("%s  %s  %s: %s", plain.Line(s.ID), time.Time(s.At).In(v.zone).Format("2006-01-02 15:04"), what, plain.Line(s.Body))
}

// follows performs /follow and /unfollow.
func (t *talk) follows(ctx context.Context, c line.Command) error {
	says := map[string]string{"follow": "-- you follow the replies to #%d", "unfollow": "-- you do not follow the replies to #%d"}[c.Name]
	err := t.o.Client.Follow(ctx, t.view.here, c.Seq, c.Name == "follow")
	if err == nil {
		t.screen.Line(fmt.Sprintf(says, c.Seq))
	}
	return err
}

// prefer performs the commands about when and where the person wants to be woken.
func (t *talk) prefer(ctx context.Context, c line.Command) error {
	p, err := t.o.Client.Preferences(ctx, t.ws.ID)
	if err == nil {
		p, err = wish.Apply(p, c, t.view.here, wish.ZoneName(t.o.Zone))
	}
	if err == nil {
		_, err = t.o.Client.SetPreferences(ctx, t.ws.ID, p)
	}
	if err == nil {
		t.screen.Line("-- " + wish.Said(p, t.view.here))
	}
	return err
}
