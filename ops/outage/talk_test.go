package outage_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// ear is somebody's socket, and what came over it.
type ear struct {
	*live.Conn
	person *person
	stop   context.CancelFunc
	ended  chan struct{}

	mu sync.Mutex
	// Guarded by mu.
	posted  []rest.Message
	edits   map[chat.Seq]string // the last text of each message
	joins   []live.Changed
	online  []live.Online
	trouble []string // what an outage of a database must not do to a socket
}

// listen opens a socket, from a cursor when it has one, and waits until it is open.
func (p *person) listen(from chat.Cursor) *ear {
	t := p.town.t
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e := &ear{
		Conn: live.Connect(p.Client, live.Options{Workspace: p.town.workspace, Cursor: from}), person: p,
		stop: cancel, ended: make(chan struct{}), edits: map[chat.Seq]string{},
	}
	go func() {
		if err := e.Run(ctx); err != nil {
			e.note("it ended: %v", err)
		}
	}()
	go func() {
		defer close(e.ended)
		for event := range e.Events() {
			e.take(event)
		}
	}()
	t.Cleanup(e.close)
	until(t, "a socket of "+p.login+" is open", func() (bool, string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.online) > 0, fmt.Sprint(e.trouble)
	})
	return e
}

func (e *ear) close() {
	e.stop()
	<-e.ended
}

func (e *ear) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.trouble = append(e.trouble, fmt.Sprintf(format, args...))
}

func (e *ear) take(event live.Event) {
	switch event := event.(type) {
	case live.Offline:
		e.note("it was offline: %v", event.Err)
	case live.Gap:
		e.note("a gap: %+v", event)
	case live.Resync:
		e.note("a resync: %+v", event)
	case live.Refused:
		e.note("a refusal: %v", event.Err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch event := event.(type) {
	case live.Online:
		e.online = append(e.online, event)
	case live.Posted:
		e.posted = append(e.posted, event.Message)
	case live.Changed:
		e.noteChangedLocked(event)
	}
}

func (e *ear) noteChangedLocked(c live.Changed) {
	switch c.Kind {
	case event.MessageEdited:
		e.edits[c.MessageSeq] = c.Body
	case event.MemberJoined:
		e.joins = append(e.joins, c)
	}
}

// heard is the messages of a channel that came.
func (e *ear) heard(channel chat.ChannelID) []rest.Message {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []rest.Message
	for _, m := range e.posted {
		if m.ChannelID == channel {
			all = append(all, m)
		}
	}
	return all
}

// hears waits until a message came, and everything before it has.
func (e *ear) hears(seq chat.Seq) {
	e.person.town.t.Helper()
	until(e.person.town.t, fmt.Sprintf("%s hears of %d", e.person.login, seq), func() (bool, string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		n := len(e.posted)
		return n > 0 && e.posted[n-1].Seq >= seq, fmt.Sprintf("%d messages came, %v", n, e.trouble)
	})
}

// checkCalm fails when the socket was anything but open.
func (e *ear) checkCalm(t *testing.T) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, what := range e.trouble {
		t.Errorf("the socket of %s: %s", e.person.login, what)
	}
}

// said is a message that the log has by the word of the server.
type said struct {
	seq  chat.Seq
	body string // with the edits that were acknowledged
}

// talk is people who chat in a channel until they are told to stop.
type talk struct {
	town    *town
	channel chat.ChannelID
	ears    []*ear
	enough  context.Context
	stop    context.CancelFunc
	talkers sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	acked   map[chat.ClientMsgID]said
	last    chat.Seq // of acked
	reads   int      // of the newest page after an ack
	refused int      // of these, those that were answered unavailable
	took    map[string][]time.Duration
}

// noteTook notes how long something took, for figures.
func (t *talk) noteTook(what string, since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.took[what] = append(t.took[what], time.Since(since))
}

// times are how long things took since they were asked for last: the middle and the longest.
func (t *talk) times() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := ""
	for _, what := range slices.Sorted(maps.Keys(t.took)) {
		all := slices.Sorted(slices.Values(t.took[what]))
		text += fmt.Sprintf(" %s %d (middle %v, longest %v)", what, len(all), all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
	}
	t.took = map[string][]time.Duration{}
	return text
}

// chatting has everybody open a socket and begin to talk. With reading they also look at the channel's newest page.
func (w *town) chatting(channel chat.ChannelID, reading bool) *talk {
	w.t.Helper()
	t := &talk{town: w, channel: channel, acked: map[chat.ClientMsgID]said{}, took: map[string][]time.Duration{}}
	t.enough, t.stop = context.WithCancel(context.Background())
	for _, p := range w.people {
		t.ears = append(t.ears, p.listen(chat.Cursor{}))
	}
	for _, e := range t.ears {
		t.talkers.Go(func() {
			for n := 0; t.enough.Err() == nil; n++ {
				t.say(e, n, reading)
				_ = client.Wait(t.enough, time.Duration(40+rand.IntN(80))*time.Millisecond) // the loop looks for the end
			}
		})
	}
	w.t.Cleanup(func() {
		t.stop()
		t.talkers.Wait()
	})
	return t
}

// say posts a message, edits some of them, and looks at some.
func (t *talk) say(e *ear, n int, reading bool) {
	test := t.town.t
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	body := fmt.Sprintf("%s says %d", e.person.login, n)
	began := time.Now()
	r, id, err := await(ctx, func() (*live.Pending, error) {
		return e.Send(ctx, client.Message{ChannelID: t.channel, Body: body})
	})
	if err != nil {
		test.Errorf("%q was not acknowledged: %v", body, err)
		return
	}
	t.noteTook("posts", began)
	upTo := r.Seq
	if n%8 == 4 {
		began := time.Now()
		body += ", or rather not"
		edited, _, err := await(ctx, func() (*live.Pending, error) { return e.Edit(ctx, t.channel, r.Seq, body) })
		if err != nil {
			test.Errorf("the edit %q was not acknowledged: %v", body, err)
			return
		}
		t.noteTook("edits", began)
		upTo = edited.Seq
	}
	t.mu.Lock()
	t.acked[id] = said{r.Seq, body}
	t.last = max(t.last, r.Seq)
	t.mu.Unlock()
	if reading && n%4 == 0 {
		t.readOwn(e.person, said{r.Seq, body}, upTo)
	}
}

func await(ctx context.Context, send func() (*live.Pending, error)) (live.Receipt, chat.ClientMsgID, error) {
	p, err := send()
	if err != nil {
		return live.Receipt{}, "", err
	}
	r, err := p.Wait(ctx)
	return r, p.ID(), err
}

// readOwn reads the newest page after an acknowledgement of upTo: it has what was acknowledged, or says that it is not
// complete so far (INVARIANTS 9).
func (t *talk) readOwn(p *person, own said, upTo chat.Seq) {
	began := time.Now()
	list, a, err := t.town.page(p, t.channel, fmt.Sprintf("?limit=%d", chat.MaxPageSize))
	t.noteTook("pages", began)
	t.mu.Lock()
	t.reads++
	t.mu.Unlock()
	switch {
	case err != nil:
		t.town.t.Errorf("a page after %d: %v", upTo, err)
	case a.problem.Code == fault.Unavailable:
		t.mu.Lock()
		t.refused++
		t.mu.Unlock()
	case a.status != http.StatusOK:
		t.town.t.Errorf("a page after %d: %v", upTo, a)
	case list.HasMore && len(list.Messages) > 0 && list.Messages[len(list.Messages)-1].Seq > own.seq: // so much was said since
	case list.CompleteThrough >= upTo && !slices.ContainsFunc(list.Messages, func(m rest.Message) bool { return m.Seq == own.seq && m.Body == own.body }):
		t.town.t.Errorf("a page says that it is complete through %d, and does not have %d as it was acknowledged to who reads it", list.CompleteThrough, own.seq)
	}
}

// figures are how many messages are acknowledged, and the highest of them.
func (t *talk) figures() (n int, last chat.Seq) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.acked), t.last
}

// looks are how many pages were read, and how many of them were refused.
func (t *talk) looks() (reads, refused int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reads, t.refused
}

// goesOn waits until everybody has heard of messages that were sent after this moment.
func (t *talk) goesOn(messages int) {
	t.town.t.Helper()
	before, _ := t.figures()
	var last chat.Seq
	until(t.town.t, fmt.Sprintf("%d more messages are acknowledged", messages), func() (ok bool, _ string) {
		n, seq := t.figures()
		last = seq
		return n >= before+messages, fmt.Sprintf("%d were, %d are", before, n)
	})
	for _, e := range t.ears {
		e.hears(last)
	}
}

// end has everybody stop talking, and answers what was said, in the log's order.
func (t *talk) end() []said {
	t.stop()
	t.talkers.Wait()
	all := slices.SortedFunc(maps.Values(t.acked), func(a, b said) int { return int(a.seq) - int(b.seq) })
	for _, e := range t.ears {
		e.hears(t.last)
	}
	return all
}

// checkHeard fails unless everybody has heard all of it, once and in the log's order, over a socket that was never lost.
func (t *talk) checkHeard(all []said) {
	test := t.town.t
	test.Helper()
	for _, e := range t.ears {
		e.checkCalm(test)
		heard := e.heard(t.channel)
		for i := 1; i < len(heard); i++ {
			if heard[i].Seq <= heard[i-1].Seq {
				test.Errorf("%s heard %d after %d", e.person.login, heard[i].Seq, heard[i-1].Seq)
			}
		}
		byID := map[chat.Seq]rest.Message{}
		for _, m := range heard {
			byID[m.Seq] = m
		}
		for _, s := range all {
			if m, ok := byID[s.seq]; !ok || t.acked[m.ClientMsgID].seq != s.seq {
				test.Errorf("%s did not hear %d %q", e.person.login, s.seq, s.body)
			}
		}
		if len(heard) != len(all) {
			test.Errorf("%s heard %d messages; %d were acknowledged", e.person.login, len(heard), len(all))
		}
	}
}

// checkStored fails unless messages, oldest first, are what was acknowledged: none lost, none doubled, in order.
func (t *talk) checkStored(where string, all []said, messages []rest.Message) {
	test := t.town.t
	test.Helper()
	if len(messages) != len(all) {
		test.Errorf("%s has %d messages; %d were acknowledged", where, len(messages), len(all))
	}
	for i, m := range messages[:min(len(messages), len(all))] {
		if m.Seq != all[i].seq || m.Body != all[i].body || t.acked[m.ClientMsgID].seq != m.Seq {
			test.Errorf("%s has %d %q where %d %q was acknowledged", where, m.Seq, m.Body, all[i].seq, all[i].body)
			return
		}
	}
}

// history is a channel after a seq, oldest first, as REST tells it page by page.
func (p *person) history(channel chat.ChannelID, after chat.Seq) []rest.Message {
	t := p.town.t
	t.Helper()
	var all []rest.Message
	for at := max(after, client.FromBeginning); ; {
		page, err := p.History(t.Context(), channel, client.Page{After: at, Limit: chat.MaxPageSize})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(page.Messages)
		all = append(all, page.Messages...)
		if !page.HasMore {
			return all
		}
		if len(page.Messages) == 0 {
			t.Fatal(errors.New("an empty page says that there is more"))
		}
		at = all[len(all)-1].Seq
	}
}
