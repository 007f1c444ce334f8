package ledger_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/deliver/ledger"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/later"
)

const ws = chat.WorkspaceID("w1")

// office is a workspace with its databases, and a log, a router and jobs that say what the test wants.
type office struct {
	*testing.T
	directory *sqlite.Directory
	messages  *sqlite.Messages
	entries   map[chat.Seq]bus.Entry
	floor     chat.Seq
	waits     map[string]time.Time
}

func (o *office) Get(_ context.Context, _ streams.Shard, seq chat.Seq) (bus.Entry, error) {
	if e, ok := o.entries[seq]; ok {
		return e, nil
	}
	return bus.Entry{}, fault.New(fault.NotFound, "The message log does not hold it")
}

func (o *office) Floor(context.Context, string) (chat.Seq, error) { return o.floor, nil }

func (o *office) Last(_ context.Context, _, subject string) (later.Entry, error) {
	if at, ok := o.waits[subject]; ok {
		return later.Entry{Message: later.Message{Subject: subject, At: at}}, nil
	}
	return later.Entry{}, fault.New(fault.NotFound, "nothing waits")
}

func (o *office) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

// newOffice has ann, bob and carl in the channel c1 from the seq 1 on, and dan in the workspace.
func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{T: t, entries: map[chat.Seq]bus.Entry{}, waits: map[string]time.Time{}, floor: 1000}
	var err error
	o.directory, err = sqlite.OpenDirectory(t.Context(), filepath.Join(t.TempDir(), "directory.db"))
	o.must(err)
	o.messages, err = sqlite.OpenMessages(t.Context(), filepath.Join(t.TempDir(), "messages.db"))
	o.must(err)
	t.Cleanup(func() {
		if err := o.directory.Close(); err != nil {
			t.Error(err)
		}
		if err := o.messages.Close(); err != nil {
			t.Error(err)
		}
	})
	var users []store.NewUser
	var members []chat.Member
	for _, u := range []chat.UserID{"ann", "bob", "carl", "dan"} {
		users = append(users, store.NewUser{User: chat.User{ID: u, Login: string(u) + "login", CreatedAt: stored}})
		members = append(members, chat.Member{WorkspaceID: ws, UserID: u, Role: chat.RoleMember})
	}
	o.must(o.directory.CreateUsers(t.Context(), users))
	o.must(o.directory.CreateWorkspace(t.Context(), chat.Workspace{ID: ws, Name: "Office", Epoch: 1, CreatedAt: stored}, "ann"))
	o.must(o.directory.AddMembers(t.Context(), "ann", members))
	c := chat.Channel{ID: "c1", WorkspaceID: ws, Name: "general", Type: chat.ChannelPublic, CreatorID: "ann", CreatedAt: stored}
	o.must(o.directory.CreateChannel(t.Context(), c, []chat.UserID{"ann", "bob", "carl"}))
	o.record()
	return o
}

// record gives the directory's changes the seq 1.
func (o *office) record() {
	o.Helper()
	rows, err := o.directory.Unpublished(o.Context(), 100)
	o.must(err)
	for _, row := range rows {
		o.must(o.directory.Record(o.Context(), []store.OutboxDone{{ID: row.ID, Seq: 1}}))
	}
}

// channel makes a direct message of people, from the seq 1 on.
func (o *office) channel(id chat.ChannelID, people ...chat.UserID) {
	o.Helper()
	o.must(o.directory.CreateChannel(o.Context(), chat.Channel{ID: id, WorkspaceID: ws, Type: chat.ChannelDM, CreatorID: "ann", CreatedAt: stored}, people))
	o.record()
}

// post puts a message of ann's into the store and, if logged, into the log.
func (o *office) post(seq chat.Seq, body string, logged bool) {
	o.Helper()
	e := event.Event{V: event.Version, Kind: event.MessagePosted, Epoch: 1, ChannelID: "c1", SenderID: "ann", ClientMsgID: "m", Body: body}
	o.must(o.messages.Apply(o.Context(), []event.Stored{{Event: e, WorkspaceID: ws, Seq: seq, At: stored}}))
	if logged {
		payload, err := event.Encode(e)
		o.must(err)
		o.entries[seq] = bus.Entry{Place: streams.Place{WorkspaceID: ws, ChannelID: "c1"}, Seq: seq, At: stored, Payload: payload}
	}
}

func (o *office) ledger() *ledger.Ledger {
	return ledger.New(ledger.Config{
		Places: o.directory, People: o.directory, Wishes: o.directory, Messages: o.messages, Cursors: o.messages, Log: o, Routing: o, Jobs: o, Devices: o.directory,
	})
}

func (o *office) show(req rpc.LedgerRequest) rpc.LedgerReply {
	o.Helper()
	req.WorkspaceID = ws
	reply, err := o.ledger().Show(o.Context(), req)
	o.must(err)
	return reply
}

func TestShowAMessage(t *testing.T) {
	o := newOffice(t)
	o.post(17, "hello @boblogin", true)
	id := token.SignInID("0000000000000000000000000s")
	o.must(o.directory.AddSignIn(t.Context(), store.SignIn{ID: id, UserID: "carl", Device: "Carl's phone", CreatedAt: stored, UsedAt: stored, ExpiresAt: stored.Add(time.Hour)}, store.Secret{1}))
	o.must(o.messages.SetDelivered(t.Context(), []store.DeviceCursor{
		{WorkspaceID: ws, UserID: "carl", DeviceID: id, Cursor: chat.Cursor{Epoch: 1, Seq: 18}, At: at(1)},
		{WorkspaceID: ws, UserID: "bob", DeviceID: "old", Cursor: chat.Cursor{Epoch: 1, Seq: 16}, At: at(-9)},
	}))
	o.must(o.messages.SetDeliveries(t.Context(), []chat.Delivery{{
		WorkspaceID: ws, ChannelID: "c1", Seq: 17, UserID: "bob", Status: chat.DeliveryPending, Why: chat.OwedMention, RoutedAt: at(1), At: at(1),
	}}))
	o.waits["delivery.w1.bob.17"] = at(30)

	got := o.show(rpc.LedgerRequest{Seq: 17})
	if got.ChannelID != "c1" || got.SenderID != "ann" || got.SenderLogin != "annlogin" || !got.StoredAt.Equal(stored) || !got.Routed || got.Deleted || got.Next != "" {
		t.Errorf("the message is %+v", got)
	}
	if len(got.Recipients) != 3 {
		t.Fatalf("%d recipients", len(got.Recipients))
	}
	ann, bob, carl := got.Recipients[0], got.Recipients[1], got.Recipients[2]
	if ann.UserID != "ann" || ann.Status != chat.DeliveryDelivered || !strings.Contains(story(ann), "they sent it") {
		t.Errorf("ann: %+v", ann)
	}
	if bob.UserID != "bob" || bob.Login != "boblogin" || bob.Status != chat.DeliveryPending || bob.Why != chat.OwedMention || !bob.Next.Equal(at(30)) {
		t.Errorf("bob: %+v", bob)
	}
	if carl.Status != chat.DeliveryDelivered || carl.Device != "Carl's phone" || carl.Why != "" || !strings.Contains(story(carl), "not owed: it does not name them") {
		t.Errorf("carl: %+v", carl)
	}
	_, err := o.messages.SetRead(t.Context(), store.ReadCursor{WorkspaceID: ws, ChannelID: "c1", UserID: "bob", Cursor: chat.Cursor{Epoch: 1, Seq: 17}, At: at(5)})
	o.must(err)
	for _, req := range []rpc.LedgerRequest{{Seq: 17, Login: "boblogin"}, {Seq: 17, UserID: "bob"}, {Seq: 17, ChannelID: "c1", UserID: "bob"}} {
		if one := o.show(req); len(one.Recipients) != 1 || one.Recipients[0].Status != chat.DeliveryRead || !one.Recipients[0].At.Equal(at(5)) || one.Next != "" {
			t.Errorf("%+v: %+v", req, one.Recipients)
		}
	}
	first := o.show(rpc.LedgerRequest{Seq: 17, Limit: 2})
	rest := o.show(rpc.LedgerRequest{Seq: 17, Limit: 2, After: first.Next})
	if first.Next != "bob" || len(first.Recipients) != 2 || len(rest.Recipients) != 1 || rest.Recipients[0].UserID != "carl" || rest.Next != "" {
		t.Errorf("pages %+v and %+v", first, rest)
	}
}

// Who is owed a message is decided at its seq: whoever is gone since is told of as far as something shows that they were there, and
// leaves nobody alone in a direct message.
func TestShowWhoIsGoneSince(t *testing.T) {
	o := newOffice(t)
	o.channel("d1", "ann", "dan")
	o.channel("d2", "ann")
	post := func(seq chat.Seq, in chat.ChannelID) {
		o.must(o.messages.Apply(t.Context(), []event.Stored{{WorkspaceID: ws, Seq: seq, At: stored, Event: event.Event{
			V: event.Version, Kind: event.MessagePosted, Epoch: 1, ChannelID: in, SenderID: "ann", ClientMsgID: chat.ClientMsgID(fmt.Sprint("m", seq)), Body: "hello",
		}}}))
	}
	post(17, "d1")
	post(18, "d2")
	post(19, "c1")
	o.must(o.messages.SetDeliveries(t.Context(), []chat.Delivery{{
		WorkspaceID: ws, ChannelID: "d1", Seq: 17, UserID: "dan", Status: chat.DeliveryPending, Why: chat.OwedDirect, RoutedAt: at(1), At: at(1),
	}}))
	o.must(o.messages.SetDelivered(t.Context(), []store.DeviceCursor{
		{WorkspaceID: ws, UserID: "bob", DeviceID: "phone", Cursor: chat.Cursor{Epoch: 1, Seq: 30}, At: at(2)},
		{WorkspaceID: ws, UserID: "carl", DeviceID: "phone", Cursor: chat.Cursor{Epoch: 1, Seq: 5}, At: at(-2)},
	}))
	told := func(seq chat.Seq, in chat.ChannelID) string {
		t.Helper()
		var all []string
		for _, r := range o.show(rpc.LedgerRequest{Seq: seq, ChannelID: in}).Recipients {
			all = append(all, fmt.Sprintf("%s %s %s", r.UserID, r.Status, r.Why))
		}
		return strings.Join(all, ", ")
	}
	is := func(when string) {
		t.Helper()
		for _, c := range []struct {
			seq  chat.Seq
			in   chat.ChannelID
			want string
		}{
			{17, "d1", "ann delivered , dan pending direct"},
			{18, "d2", "ann pending "},
		} {
			if got := told(c.seq, c.in); got != c.want {
				t.Errorf("%s, of %d: %q, want %q", when, c.seq, got, c.want)
			}
		}
	}
	is("while all are there")
	for _, who := range []chat.UserID{"bob", "carl", "dan"} {
		_, err := o.directory.SetDeactivated(t.Context(), store.Deactivation{UserID: who, By: "ann", Deactivated: true, At: at(9)})
		o.must(err)
	}
	is("once dan's account is closed")
	if got, want := told(19, "c1"), "ann delivered , bob delivered "; got != want { // carl may have been gone before
		t.Errorf("of a channel: %q, want %q", got, want)
	}
	if _, err := o.ledger().Show(t.Context(), rpc.LedgerRequest{WorkspaceID: ws, Seq: 19, ChannelID: "c1", UserID: "carl"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("carl, who may have been gone before: %v", err)
	}
	_, err := o.directory.RemoveMember(t.Context(), ws, "ann", "dan")
	o.must(err)
	is("once dan does not belong to the workspace")
}

// The log forgets, and the store is behind: each of them is enough.
func TestShowWhatOnlyOneHas(t *testing.T) {
	o := newOffice(t)
	o.post(17, "old", false)
	if got := o.show(rpc.LedgerRequest{Seq: 17, ChannelID: "c1"}); got.SenderID != "ann" || len(got.Recipients) != 3 {
		t.Errorf("the message is %+v", got)
	}
	o.floor = 17
	payload, err := event.Encode(event.Event{Kind: event.MessagePosted, Epoch: 1, ChannelID: "c1", SenderID: "bob", ClientMsgID: "m", Body: "new"})
	o.must(err)
	o.entries[18] = bus.Entry{Place: streams.Place{WorkspaceID: ws, ChannelID: "c1"}, Seq: 18, At: at(1), Payload: payload}
	got := o.show(rpc.LedgerRequest{Seq: 18})
	if got.SenderID != "bob" || got.Routed || !got.StoredAt.Equal(at(1)) || got.Recipients[0].Status != chat.DeliveryPending {
		t.Errorf("the message is %+v", got)
	}
}

func TestShowNothing(t *testing.T) {
	o := newOffice(t)
	o.post(17, "hello", true)
	payload, err := event.Encode(event.Event{Kind: event.MessageDeleted, Epoch: 1, ChannelID: "c1", SenderID: "ann", MessageSeq: 17})
	o.must(err)
	place := streams.Place{WorkspaceID: ws, ChannelID: "c1"}
	o.entries[18] = bus.Entry{Place: place, Seq: 18, At: stored, Payload: payload}
	o.entries[19] = bus.Entry{Place: place, Seq: 19, At: stored, Payload: []byte("by hand")}
	o.entries[20] = bus.Entry{Place: streams.Place{WorkspaceID: "w2", ChannelID: "c9"}, Seq: 20, At: stored, Payload: payload}
	for name, c := range map[string]struct {
		req  rpc.LedgerRequest
		kind fault.Kind
		text string
	}{
		"no seq":                      {rpc.LedgerRequest{}, fault.Invalid, "from 1 on"},
		"a bad id":                    {rpc.LedgerRequest{Seq: 17, ChannelID: "C"}, fault.Invalid, "channel_id"},
		"two names of one user":       {rpc.LedgerRequest{Seq: 17, UserID: "bob", Login: "bob"}, fault.Invalid, "only one"},
		"too many":                    {rpc.LedgerRequest{Seq: 17, Limit: 201}, fault.Invalid, "1 to 200"},
		"the log forgot it":           {rpc.LedgerRequest{Seq: 3}, fault.NotFound, "Name its channel as well"},
		"nor does the store have it":  {rpc.LedgerRequest{Seq: 3, ChannelID: "c1"}, fault.NotFound, "no message 3"},
		"another event":               {rpc.LedgerRequest{Seq: 18}, fault.NotFound, `"message.deleted"`},
		"garbage":                     {rpc.LedgerRequest{Seq: 19}, fault.NotFound, "published by hand"},
		"of another workspace":        {rpc.LedgerRequest{Seq: 20}, fault.NotFound, "something else"},
		"no such channel":             {rpc.LedgerRequest{Seq: 3, ChannelID: "c7"}, fault.NotFound, "no channel c7"},
		"no such login":               {rpc.LedgerRequest{Seq: 17, Login: "zoe"}, fault.NotFound, `"zoe"`},
		"who was not in it":           {rpc.LedgerRequest{Seq: 17, UserID: "dan"}, fault.NotFound, "not in the channel when the message came"},
		"who was not in it, by login": {rpc.LedgerRequest{Seq: 17, Login: "danlogin"}, fault.NotFound, "not in the channel when the message came"},
	} {
		t.Run(name, func(t *testing.T) {
			c.req.WorkspaceID = ws
			_, err := o.ledger().Show(t.Context(), c.req)
			if !fault.Is(err, c.kind) || !strings.Contains(fault.Public(err).Message, c.text) {
				t.Errorf("it ends with %v", err)
			}
		})
	}
	if _, err := o.ledger().Show(t.Context(), rpc.LedgerRequest{WorkspaceID: "w9", Seq: 1}); !fault.Is(err, fault.NotFound) {
		t.Errorf("another workspace ends with %v", err)
	}
}
