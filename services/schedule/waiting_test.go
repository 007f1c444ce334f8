package schedule_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/services/schedule"
	"github.com/canopychat/canopy/services/store"
)

func TestWhatWaitsIsListedInTheOrderOfItsTime(t *testing.T) {
	y := newYard(t)
	s, other := y.process(nil), y.process(nil)
	var want []job.Scheduled
	for _, ahead := range []time.Duration{3, 1, 2} {
		n := message("in some hours")
		n.At = time.Now().Add(ahead * time.Hour)
		j, err := s.Schedule(t.Context(), ann, n)
		if err != nil {
			t.Fatal(err)
		}
		if !chat.IsID(j.ID) || j.ClientMsgID == "" || j.UserID != ann || j.WorkspaceID != ws || !j.At.Equal(n.At.UTC().Truncate(time.Millisecond)) {
			t.Errorf("it is kept as %+v", j)
		}
		want = append(want, j)
	}
	want = []job.Scheduled{want[1], want[2], want[0]}
	if _, err := s.Schedule(t.Context(), bob, message("of another")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // before a restart of the hub, and after it
		y.eventually("the list", func() bool {
			got, err := other.List(t.Context(), ann, ws)
			if err == nil {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatal(diff)
				}
			} else if !fault.Is(err, fault.Unavailable) {
				t.Fatal(err)
			}
			return err == nil
		})
		y.c.RestartHub()
	}
	if _, err := s.List(t.Context(), ann, "w2"); !fault.Is(err, fault.NotFound) {
		t.Errorf("another workspace: %v", err)
	}
}

func TestWhatCannotWait(t *testing.T) {
	y := newYard(t)
	s := y.process(nil)
	now := time.Now()
	for name, c := range map[string]struct {
		by     chat.UserID
		change func(*store.NewScheduled)
		want   fault.Kind
	}{
		"the past":             {ann, func(n *store.NewScheduled) { n.At = now.Add(-time.Hour) }, fault.Invalid},
		"now":                  {ann, func(n *store.NewScheduled) { n.At = now.Add(900*time.Millisecond - slack) }, fault.Invalid},
		"no time":              {ann, func(n *store.NewScheduled) { n.At = time.Time{} }, fault.Invalid},
		"in years":             {ann, func(n *store.NewScheduled) { n.At = now.Add(chat.MaxScheduleAhead + time.Hour) }, fault.Invalid},
		"no text":              {ann, func(n *store.NewScheduled) { n.Body = " \n" }, fault.Invalid},
		"too long a text":      {ann, func(n *store.NewScheduled) { n.Body = strings.Repeat("x", chat.MaxBody+1) }, fault.Invalid},
		"too large as JSON":    {ann, func(n *store.NewScheduled) { n.Body = strings.Repeat("\x01", chat.MaxBody) }, fault.TooLarge},
		"no channel":           {ann, func(n *store.NewScheduled) { n.ChannelID = "" }, fault.Invalid},
		"a hidden channel":     {ann, func(n *store.NewScheduled) { n.ChannelID = secret }, fault.NotFound},
		"a channel of nowhere": {ann, func(n *store.NewScheduled) { n.ChannelID = "c9" }, fault.NotFound},
		"not in it":            {guest, func(*store.NewScheduled) {}, fault.Forbidden},
		"no kind":              {ann, func(n *store.NewScheduled) { n.Kind = "" }, fault.Invalid},
		"a bad client_msg_id":  {ann, func(n *store.NewScheduled) { n.ClientMsgID = "a b" }, fault.Invalid},
		"a bad thread":         {ann, func(n *store.NewScheduled) { n.Thread = chat.MaxSeq + 1 }, fault.Invalid},
		"a guest's reminder":   {guest, func(n *store.NewScheduled) { n.Kind, n.ChannelID, n.WorkspaceID = job.Reminder, "", ws }, fault.Forbidden},
		"a reminder elsewhere": {ann, func(n *store.NewScheduled) { n.Kind, n.ChannelID, n.WorkspaceID = job.Reminder, "", "w2" }, fault.NotFound},
		"a reminder about no channel": {ann, func(n *store.NewScheduled) {
			n.Kind, n.ChannelID, n.Seq, n.WorkspaceID = job.Reminder, "", 3, ws
		}, fault.Invalid},
		"a reminder about what is hidden": {ann, func(n *store.NewScheduled) {
			n.Kind, n.ChannelID, n.Seq, n.WorkspaceID = job.Reminder, secret, 3, ws
		}, fault.NotFound},
		"a reminder about another workspace's": {ann, func(n *store.NewScheduled) {
			n.Kind, n.Seq, n.WorkspaceID = job.Reminder, 3, "w2"
		}, fault.NotFound},
		"a reminder that would be too long": {ann, func(n *store.NewScheduled) {
			n.Kind, n.ChannelID, n.WorkspaceID, n.Body = job.Reminder, "", ws, strings.Repeat("x", chat.MaxBody-10)
		}, fault.Invalid},
	} {
		n := message("hello")
		c.change(&n)
		if j, err := s.Schedule(t.Context(), c.by, n); !fault.Is(err, c.want) {
			t.Errorf("%s is %+v: %v, want %s", name, j, err, c.want)
		}
	}
	y.town.change(func() { y.town.archived[general] = true })
	if _, err := s.Schedule(t.Context(), ann, message("hello")); !fault.Is(err, fault.Forbidden) {
		t.Errorf("an archived channel: %v", err)
	}
	if n := y.count(">"); n != 0 {
		t.Errorf("%d messages lie there", n)
	}
	if _, err := schedule.New(schedule.Config{}); err == nil {
		t.Error("a schedule of nothing")
	}
}

func TestAUserHasALimitedNumberWaiting(t *testing.T) {
	y := newYard(t)
	s := y.process(nil)
	for i := range chat.MaxScheduled {
		if _, err := s.Schedule(t.Context(), ann, message("hello")); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if _, err := s.Schedule(t.Context(), ann, message("hello")); !fault.Is(err, fault.Forbidden) {
		t.Errorf("one more: %v", err)
	}
	if _, err := s.Schedule(t.Context(), bob, message("hello")); err != nil {
		t.Errorf("another's: %v", err)
	}
	list, err := s.List(t.Context(), ann, ws)
	if err != nil || len(list) != chat.MaxScheduled {
		t.Fatalf("%d wait: %v", len(list), err)
	}
	if err := s.Cancel(t.Context(), ann, ws, list[7].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Schedule(t.Context(), ann, message("hello")); err != nil {
		t.Errorf("after one was cancelled: %v", err)
	}
}

// Whoever lost the answer asks again, perhaps another process, perhaps in the same moment; it is one job.
func TestTheSameClientMsgIDIsTheSameJob(t *testing.T) {
	y := newYard(t)
	parts := []*part{y.process(nil), y.process(nil)}
	n := message("once")
	n.ClientMsgID = "01980000-0000-7000-8000-000000000001"
	ids := make([]string, 6)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			j, err := parts[i%2].Schedule(t.Context(), ann, n)
			if err != nil || j.ClientMsgID != n.ClientMsgID {
				t.Errorf("%+v: %v", j, err)
			}
			ids[i] = j.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || !chat.IsID(id) {
			t.Errorf("ids: %v", ids)
		}
	}
	if got := y.count(">"); got != 1 {
		t.Errorf("%d messages lie there", got)
	}
	for what, change := range map[string]func(*store.NewScheduled){
		"text": func(n *store.NewScheduled) { n.Body = "other" }, "time": func(n *store.NewScheduled) { n.At = n.At.Add(time.Minute) },
		"thread": func(n *store.NewScheduled) { n.Thread = 7 },
	} {
		other := n
		change(&other)
		if _, err := parts[0].Schedule(t.Context(), ann, other); !fault.Is(err, fault.Conflict) {
			t.Errorf("with another %s: %v", what, err)
		}
	}
	if j, err := parts[0].Schedule(t.Context(), bob, n); err != nil || j.ID == ids[0] {
		t.Errorf("another user's is %s: %v", j.ID, err)
	}
	if err := parts[1].Cancel(t.Context(), ann, ws, ids[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := parts[0].Schedule(t.Context(), ann, n); !fault.Is(err, fault.Conflict) {
		t.Errorf("after it was cancelled: %v", err)
	}
}

func TestCancelling(t *testing.T) {
	y := newYard(t)
	s := y.process(nil)
	j, err := s.Schedule(t.Context(), ann, message("not after all"))
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another's":         s.Cancel(t.Context(), bob, ws, j.ID),
		"another workspace": s.Cancel(t.Context(), ann, "w2", j.ID),
		"another id":        s.Cancel(t.Context(), ann, ws, "nothing"),
		"no id":             s.Cancel(t.Context(), ann, ws, "*"),
		"a decision":        s.Cancel(t.Context(), ann, ws, j.ID+".decided"),
	} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Cancel(t.Context(), ann, ws, j.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Cancel(t.Context(), ann, ws, j.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("again: %v", err)
	}
	if list, err := s.List(t.Context(), ann, ws); err != nil || len(list) != 0 {
		t.Errorf("%d wait: %v", len(list), err)
	}
	if got := s.Counts(); got != (schedule.Counts{Scheduled: 1, Cancelled: 1}) {
		t.Errorf("counts: %+v", got)
	}
}

func TestAProcessWithoutAConnectionDoesNotRun(t *testing.T) {
	y := newYard(t)
	s := y.process(func(c *schedule.Config) { c.Conn = nil })
	if _, err := s.Schedule(t.Context(), ann, message("hello")); err != nil {
		t.Error(err)
	}
	if err := s.Run(t.Context()); err == nil || errors.Is(err, t.Context().Err()) {
		t.Errorf("it ran: %v", err)
	}
}
