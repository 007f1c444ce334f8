package absent_test

import (
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/streams"
)

// What waits for its time comes once, also when everything is down at that time; what was cancelled never does.
func TestWhatWaitsSurvivesARestart(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.Deliver.Grace = 500 * time.Millisecond
	run, stop := launch(t, cfg)
	w := found(t, run)
	in := func(seconds int) time.Time { return time.Now().Add(time.Duration(seconds) * time.Second) }

	want := map[string]int{"sent before": 1, "while down": 1, "after": 1}
	reminded := map[string]int{"Reminder: remind while down": 1, "Reminder: remind after": 1}
	w.later("sent before", in(3))
	until(t, "what is due before the restart comes", func() (bool, string) {
		got := w.bodies(w.bob, w.channel)
		return got["sent before"] == 1, fmt.Sprint(got)
	})
	down := in(8)
	w.later("while down", down)
	w.remind("remind while down", down)
	w.cancel(w.remind("cancelled reminder", in(14)))
	never := in(14)
	w.cancel(w.later("cancelled at once", never))
	after, remindAfter := w.later("after", in(14)), w.remind("remind after", in(14))
	afterwards := w.later("cancelled afterwards", in(3600)) // however long it takes until everything is up again

	stop()
	until(t, "it is down when something is due", func() (bool, string) { return time.Now().After(down.Add(time.Second)), "" })
	run, _ = launch(t, cfg)
	w.again(run)
	w.listed(after, remindAfter, afterwards)
	w.cancel(afterwards)
	last := in(3)
	if end := never.Add(2 * time.Second); end.After(last) {
		last = end // the time of what was cancelled passes
	}
	w.later("the last", last)
	want["the last"] = 1
	until(t, "the last comes", func() (bool, string) {
		got := w.bodies(w.bob, w.channel)
		return got["the last"] == 1 && w.nothingDue(), fmt.Sprint(got)
	})
	if got := w.bodies(w.bob, w.channel); !maps.Equal(got, want) {
		t.Errorf("the channel has %v, want %v", got, want)
	}
	if got := w.bodies(w.alice, w.ownChannel(w.alice)); !maps.Equal(got, reminded) {
		t.Errorf("alice was reminded of %v, want %v", got, reminded)
	}
	w.listed()
	if dead := w.letters(); len(dead) > 0 {
		t.Errorf("dead letters: %+v", dead)
	}
}

// again is the same town in a deployment that was started again.
func (w *town) again(run app.Running) {
	w.t.Helper()
	w.url, w.data = run.HTTP, run.Data
	w.reach(run.Hub)
	for i, p := range []*person{w.alice, w.bob} {
		c, err := client.Login(w.t.Context(), run.HTTP, run.Logins[i].Login, run.Logins[i].Password, "absent")
		if err != nil {
			w.t.Fatal(err)
		}
		p.Client = c
	}
}

// ownChannel is the channel that somebody is alone in.
func (w *town) ownChannel(p *person) (own chat.ChannelID) {
	w.t.Helper()
	for c, err := range p.Channels(w.t.Context(), w.workspace) {
		if err != nil {
			w.t.Fatal(err)
		}
		if c.Type.Direct() {
			own = c.ID
		}
	}
	return own
}

// later has alice send a message later.
func (w *town) later(body string, at time.Time) rest.Scheduled {
	w.t.Helper()
	var made rest.Scheduled
	w.must(w.alice, http.MethodPost, "/channels/"+string(w.channel)+"/scheduled", rest.NewScheduled{Body: body, At: rest.Time(at), ClientMsgID: client.NewMsgID()}, &made)
	return made
}

// remind has alice reminded.
func (w *town) remind(text string, at time.Time) rest.Scheduled {
	w.t.Helper()
	var made rest.Scheduled
	w.must(w.alice, http.MethodPost, "/workspaces/"+string(w.workspace)+"/reminders", rest.NewReminder{Text: text, At: rest.Time(at)}, &made)
	return made
}

// cancel cancels something that waits.
func (w *town) cancel(s rest.Scheduled) {
	w.t.Helper()
	if status := w.ask(w.alice, http.MethodDelete, "/workspaces/"+string(w.workspace)+"/scheduled/"+s.ID, nil, nil); status != http.StatusNoContent {
		w.t.Errorf("cancel %q: %d", s.Body, status)
	}
}

// listed fails unless exactly these wait; those whose time is near may be gone.
func (w *town) listed(waiting ...rest.Scheduled) {
	w.t.Helper()
	var list rest.ScheduledList
	w.must(w.alice, http.MethodGet, "/workspaces/"+string(w.workspace)+"/scheduled", nil, &list)
	told := map[string]string{}
	for _, s := range list.Scheduled {
		told[s.ID] = s.Body
	}
	for _, s := range waiting {
		if told[s.ID] != s.Body && time.Now().Before(time.Time(s.At)) {
			w.t.Errorf("it does not say that %q waits", s.Body)
		}
		delete(told, s.ID)
	}
	if len(told) > 0 {
		w.t.Errorf("it says that %v wait", told)
	}
}

// bodies are how often a channel says what.
func (w *town) bodies(p *person, channel chat.ChannelID) map[string]int {
	w.t.Helper()
	page, err := p.History(w.t.Context(), channel, client.Page{Limit: chat.MaxPageSize})
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[string]int{}
	for _, m := range page.Messages {
		all[m.Body]++
	}
	return all
}

// nothingDue reports whether all that was due has been dealt with.
func (w *town) nothingDue() bool {
	w.t.Helper()
	c, err := w.js.Consumer(w.t.Context(), streams.StreamSched, streams.ConsumerDue)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.CachedInfo().NumPending+uint64(c.CachedInfo().NumAckPending) == 0
}
