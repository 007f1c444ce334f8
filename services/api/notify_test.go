package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/api"
	"github.com/canopychat/canopy/services/api/notify"
)

// aBrowser is a subscription as a browser writes it, with a field that nobody needs.
const aBrowser = `{"endpoint":"https://push.example/b1","expirationTime":null,"keys":{` +
	`"p256dh":"BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU","auth":"c2l4dGVlbi1ieXRlcy0xNg"}}`

func TestWhatIsUnread(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	w.call("bob", "POST", at("channels", c.ID, "join"), "").ok(200, &rest.Channel{})
	var dm rest.Channel
	w.call("alice", "POST", at("workspaces", w.ws, "dms"), `{"user_ids":["ubob"]}`).ok(201, &dm)
	read := w.post("alice", c.ID, "one", "m-1").Seq
	named := w.post("alice", c.ID, "@bob, two", "m-2").Seq
	w.post("bob", c.ID, "my own", "m-3")
	direct := w.post("alice", dm.ID, "psst", "m-4").Seq
	w.call("bob", "POST", at("channels", c.ID, "read"), fmt.Sprintf(`{"seq":%d}`, read)).ok(200, &rest.ReadCursor{})

	want := rest.ReadCursorList{Cursors: []rest.ReadState{
		{ChannelID: c.ID, Seq: read, JoinedSeq: 1, Unread: 1, Mentions: 1, Through: w.log.seq, Messages: []rest.UnreadMessage{{Seq: named, Mention: true}}},
		{ChannelID: dm.ID, JoinedSeq: 1, Unread: 1, Mentions: 1, Through: w.log.seq, Messages: []rest.UnreadMessage{{Seq: direct, Mention: true}}},
	}}
	var got rest.ReadCursorList
	w.call("bob", "GET", at("workspaces", w.ws, "read")+"?messages=true", "").ok(200, &got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with its messages (-want +got):\n%s", diff)
	}
	for i := range want.Cursors {
		want.Cursors[i].Messages = nil
	}
	for _, query := range []string{"", "?messages=", "?messages=false"} {
		got = rest.ReadCursorList{}
		w.call("bob", "GET", at("workspaces", w.ws, "read")+query, "").ok(200, &got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("with the query %q (-want +got):\n%s", query, diff)
		}
	}
	for _, query := range []string{"1", "TRUE", "yes", "true,true"} {
		w.call("bob", "GET", at("workspaces", w.ws, "read")+"?messages="+query, "").fails(fault.Invalid)
	}
	w.desk.busy = fault.New(fault.Unavailable, "the history is not available now").After(2 * time.Second)
	if r := w.call("bob", "GET", at("workspaces", w.ws, "read"), ""); r.header.Get("Retry-After") != "2" {
		t.Errorf("without a count it is answered %s", r.body)
	} else {
		r.fails(fault.Unavailable)
	}
}

func TestPreferences(t *testing.T) {
	w := newWorld(t)
	path := at("workspaces", w.ws, "preferences")
	read := func(login string) (p rest.Preferences) { w.call(login, "GET", path, "").ok(200, &p); return p }
	if diff := cmp.Diff(rest.Preferences{}, read("bob")); diff != "" {
		t.Errorf("what everybody begins with:\n%s", diff)
	}
	until := rest.Time(time.Date(2026, 1, 3, 7, 0, 0, 0, time.UTC))
	want := rest.Preferences{Muted: []chat.ChannelID{"c1"}, Keywords: []string{"go"}, Quiet: &rest.Quiet{Until: &until, From: "22:00", To: "07:30", Zone: "UTC"}}
	var got rest.Preferences
	w.call("bob", "PUT", path, `{"muted_channels":["c1"],"keywords":["go"],"do_not_disturb":{"until":"2026-01-03T08:00:00+01:00","from":"22:00","to":"07:30","time_zone":"UTC"}}`).ok(200, &got)
	same := cmp.Comparer(func(a, b rest.Time) bool { return time.Time(a).Equal(time.Time(b)) })
	if diff := cmp.Diff(want, got, same) + cmp.Diff(want, read("bob"), same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(rest.Preferences{}, read("carol")); diff != "" {
		t.Errorf("carol's:\n%s", diff)
	}
	for _, bad := range []string{
		`{"keywords":["x"]}`, `{"keywords":[" go"]}`, `{"keywords":["` + strings.Repeat("x", 41) + `"]}`, `{"muted_channels":["A"]}`, `{"muted_channels":["c.1"]}`,
		`{"keywords":[` + strings.TrimSuffix(strings.Repeat(`"go",`, chat.MaxKeywords+1), ",") + `]}`,
		`{"muted_channels":[` + strings.TrimSuffix(strings.Repeat(`"c1",`, chat.MaxMuted+1), ",") + `]}`,
		`{"do_not_disturb":{"from":"22:00"}}`, `{"do_not_disturb":{"from":"22:00","to":"7:30"}}`, `{"do_not_disturb":{"from":"25:00","to":"07:00"}}`, `{"do_not_disturb":{"time_zone":"Mars/Crater"}}`,
		`{"do_not_disturb":{"time_zone":"../../etc/passwd"}}`, `{"do_not_disturb":{"until":"soon"}}`, `{"do_not_disturb":{"until":7}}`, `{"do_not_disturb":{"from":7,"to":8}}`,
	} {
		w.call("bob", "PUT", path, bad).fails(fault.Invalid)
	}
	if diff := cmp.Diff(want, read("bob"), same); diff != "" {
		t.Errorf("after what was refused (-want +got):\n%s", diff)
	}
	w.call("bob", "PUT", path, `{}`).ok(200, &got)
	if diff := cmp.Diff(rest.Preferences{}, read("bob")); diff != "" {
		t.Errorf("PUT left something:\n%s", diff)
	}
	w.call("eve", "GET", path, "").fails(fault.NotFound)
	w.call("eve", "PUT", path, `{}`).fails(fault.NotFound)
}

func TestThreadsAreFollowed(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPrivate)
	seq := w.post("alice", c.ID, "x", "m-1").Seq
	path := at("channels", c.ID, "messages", seq, "follow")
	for _, step := range []struct {
		method  string
		follows bool
	}{{"PUT", true}, {"PUT", true}, {"DELETE", false}, {"PUT", true}} {
		w.call("alice", step.method, path, "").ok(204, nil)
		if got := w.desk.follows[string(c.ID)+" ualice"]; got != step.follows {
			t.Errorf("after %s alice follows it: %v", step.method, got)
		}
	}
	w.call("bob", "PUT", path, "").fails(fault.NotFound)
	w.call("alice", "PUT", at("channels", c.ID, "messages", seq+1, "follow"), "").fails(fault.NotFound)
}

func TestBrowsersOfOnesOwn(t *testing.T) {
	w := newWorld(t)
	var key rest.PushKey
	w.call("bob", "GET", "/push/key", "").ok(200, &key)
	if key.Key != "BPublic" {
		t.Errorf("the key is %+v", key)
	}
	var made rest.Subscription
	w.call("bob", "POST", "/me/subscriptions", aBrowser).ok(201, &made)
	kept := w.desk.browsers[0]
	if kept.UserID != "ubob" || len(kept.P256dh) != 65 || string(kept.Auth) != "sixteen-bytes-16" || kept.Endpoint != "https://push.example/b1" || made.ID != kept.ID || made.Endpoint != kept.Endpoint {
		t.Errorf("%+v is kept as %+v", made, kept)
	}
	w.call("bob", "POST", "/me/subscriptions", strings.Replace(aBrowser, `0xNg"`, `0xNg=="`, 1)).ok(201, nil) // some libraries pad
	for _, bad := range []string{
		`{}`, `{"endpoint":"https://push.example/b1"}`, `{"endpoint":"https://push.example/b1","keys":{}}`, strings.Replace(aBrowser, "BGsX", "+/sX", 1),
		strings.Replace(aBrowser, "BGsX", "B", 1), strings.Replace(aBrowser, `"c2l4`, `"c2 l4`, 1), strings.Replace(aBrowser, `"keys":{`, `"keys":["x"],"k":{`, 1),
	} {
		w.call("bob", "POST", "/me/subscriptions", bad).fails(fault.Invalid)
	}
	list := func(login string) (l rest.SubscriptionList) {
		w.call(login, "GET", "/me/subscriptions", "").ok(200, &l)
		return l
	}
	if got := list("bob"); len(got.Subscriptions) != 2 || got.Subscriptions[0] != made {
		t.Errorf("bob has %+v", got)
	}
	if got := list("carol"); got.Subscriptions == nil || len(got.Subscriptions) != 0 {
		t.Errorf("carol has %+v", got)
	}
	w.call("carol", "DELETE", at("me", "subscriptions", made.ID), "").fails(fault.NotFound)
	w.call("bob", "DELETE", at("me", "subscriptions", made.ID), "").ok(204, nil)
	w.call("bob", "DELETE", at("me", "subscriptions", made.ID), "").fails(fault.NotFound)
}

func TestWebhooksTellTheirSecretOnce(t *testing.T) {
	w := newWorld(t)
	path := at("workspaces", w.ws, "webhooks")
	var made rest.Webhook
	w.call("alice", "POST", path, `{"url":"https://hooks.example/1"}`).ok(201, &made)
	if want := w.desk.webhooks[0].SecretText(); made.Secret != want || made.By != "ualice" || made.URL != "https://hooks.example/1" {
		t.Errorf("it is answered %+v; the secret is %s", made, want)
	}
	var list rest.WebhookList
	w.call("alice", "GET", path, "").ok(200, &list)
	if made.Secret = ""; len(list.Webhooks) != 1 || list.Webhooks[0] != made {
		t.Errorf("the list has %+v", list)
	}
	for _, try := range []struct {
		login string
		kind  fault.Kind
	}{{"bob", fault.Forbidden}, {"gus", fault.Forbidden}, {"eve", fault.NotFound}} {
		w.call(try.login, "GET", path, "").fails(try.kind)
		w.call(try.login, "POST", path, `{"url":"https://hooks.example/2"}`).fails(try.kind)
		w.call(try.login, "DELETE", path+"/"+made.ID, "").fails(try.kind)
	}
	w.call("eve", "DELETE", at("workspaces", w.eves, "webhooks", made.ID), "").fails(fault.NotFound)
	w.call("alice", "DELETE", path+"/"+made.ID, "").ok(204, nil)
	w.call("alice", "DELETE", path+"/"+made.ID, "").fails(fault.NotFound)
}

// A POST with a key is done once, also these.
func TestAMessageIsScheduledOnce(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	const body = `{"body":"later","at":"2026-02-01T09:00:00+01:00"}`
	header := http.Header{"Authorization": {"Bearer " + w.tokens["alice"]}, "Idempotency-Key": {"k-1"}}
	var first, again rest.Scheduled
	w.send("POST", at("channels", c.ID, "scheduled"), header, strings.NewReader(body)).ok(201, &first)
	r := w.send("POST", at("channels", c.ID, "scheduled"), header, strings.NewReader(body))
	r.ok(201, &again)
	if first != again || r.header.Get("Idempotent-Replayed") != "true" || len(w.desk.waiting) != 1 {
		t.Errorf("%+v, then %+v; there wait %+v", first, again, w.desk.waiting)
	}
	want := job.Scheduled{
		ID: first.ID, Kind: job.Later, WorkspaceID: w.ws, UserID: "ualice", ChannelID: c.ID, ClientMsgID: first.ClientMsgID, Body: "later",
		At: time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC), CreatedAt: w.town.now,
	}
	if diff := cmp.Diff(want, w.desk.waiting[0]); diff != "" || first.ClientMsgID == "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsScheduled(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPrivate)
	seq := w.post("alice", c.ID, "x", "m-1").Seq
	later, reminders, list := at("channels", c.ID, "scheduled"), at("workspaces", w.ws, "reminders"), at("workspaces", w.ws, "scheduled")
	var message, reminder rest.Scheduled
	w.call("alice", "POST", later, fmt.Sprintf(`{"body":"later","at":"2026-02-01T08:00:00Z","client_msg_id":"m-9","thread":%d}`, seq)).ok(201, &message)
	if message.Kind != job.Later || message.ChannelID != c.ID || message.Thread != seq || message.ClientMsgID != "m-9" || message.Body != "later" {
		t.Errorf("it is answered %+v", message)
	}
	w.call("alice", "POST", reminders, fmt.Sprintf(`{"text":"look","at":"2026-02-01T08:00:00Z","channel_id":%q,"seq":%d}`, c.ID, seq)).ok(201, &reminder)
	if reminder.Kind != job.Reminder || reminder.ChannelID != c.ID || reminder.Seq != seq || reminder.Body != "look" {
		t.Errorf("it is answered %+v", reminder)
	}
	for _, bad := range []string{
		`{}`, `{"body":"x"}`, `{"body":"x","at":null}`, `{"body":"x","at":"soon"}`, `{"body":"x","at":"2026-02-01"}`, `{"body":"x","at":1770000000}`, `{"at":"2026-02-01T08:00:00Z"}`,
		`{"body":" ","at":"2026-02-01T08:00:00Z"}`, `{"body":"` + strings.Repeat("x", chat.MaxBody+1) + `","at":"2026-02-01T08:00:00Z"}`, `{"body":"x","at":"2025-12-31T08:00:00Z"}`,
		`{"body":"x","at":"2026-02-01T08:00:00Z","client_msg_id":"a b"}`, `{"body":"x","at":"2026-02-01T08:00:00Z","thread":281474976710656}`,
	} {
		w.call("alice", "POST", later, bad).fails(fault.Invalid)
		if !strings.Contains(bad, "client_msg_id") { // which a reminder does not have
			w.call("alice", "POST", reminders, strings.NewReplacer(`"thread"`, `"seq"`, `"body"`, `"text"`).Replace(bad)).fails(fault.Invalid)
		}
	}
	for _, bad := range []string{`"channel_id":"c1"`, `"seq":7`, `"channel_id":"C.1","seq":7`, `"channel_id":"","seq":7`} {
		w.call("alice", "POST", reminders, `{"text":"x","at":"2026-02-01T08:00:00Z",`+bad+`}`).fails(fault.Invalid)
	}
	w.call("bob", "POST", later, `{"body":"x","at":"2026-02-01T08:00:00Z"}`).fails(fault.NotFound)
	w.call("eve", "POST", reminders, `{"text":"x","at":"2026-02-01T08:00:00Z"}`).fails(fault.NotFound)
	w.call("eve", "GET", list, "").fails(fault.NotFound)

	waiting := func(login string) (ids []string) {
		var l rest.ScheduledList
		w.call(login, "GET", list, "").ok(200, &l)
		for _, s := range l.Scheduled {
			ids = append(ids, s.ID)
		}
		return ids
	}
	if got := waiting("alice"); !slices.Contains(got, message.ID) || !slices.Contains(got, reminder.ID) {
		t.Errorf("there wait %v", got)
	}
	if got := waiting("bob"); len(got) != 0 {
		t.Errorf("for bob there wait %v", got)
	}
	w.call("bob", "DELETE", list+"/"+message.ID, "").fails(fault.NotFound)
	w.call("alice", "DELETE", list+"/"+message.ID, "").ok(204, nil)
	w.call("alice", "DELETE", list+"/"+message.ID, "").fails(fault.NotFound)
	if got := waiting("alice"); slices.Contains(got, message.ID) {
		t.Errorf("there wait %v", got)
	}
}

func TestTheLedgerIsForWhoManagesTheWorkspace(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	hidden := w.channel("hidden", chat.ChannelPrivate)
	seq := w.post("alice", c.ID, "@bob @carol look", "m-1").Seq
	secret := w.post("alice", hidden.ID, "x", "m-2").Seq
	w.call("alice", "PATCH", at("workspaces", w.ws, "members", "ucarol"), `{"role":"admin"}`).ok(200, &rest.Member{})
	path := at("channels", c.ID, "messages", seq, "delivery")
	for _, login := range []string{"alice", "carol"} {
		var first, second rest.Delivery
		w.call(login, "GET", path+"?limit=2", "").ok(200, &first)
		if want := (rpc.LedgerRequest{WorkspaceID: w.ws, ChannelID: c.ID, Seq: seq, Limit: 2}); w.desk.asked != want {
			t.Errorf("the ledger is asked %+v, want %+v", w.desk.asked, want)
		}
		if len(first.Recipients) != 2 || first.Recipients[1].UserID != "ubob" || first.Recipients[1].Error != "it answers 503" || len(first.Recipients[1].Story) != 2 ||
			first.ServerMsgID != fmt.Sprint("1.", seq) || first.NextCursor == "" {
			t.Errorf("%s reads %+v", login, first)
		}
		w.call(login, "GET", path+"?limit=2&cursor="+first.NextCursor, "").ok(200, &second)
		if len(second.Recipients) != 1 || second.Recipients[0].UserID != "ucarol" || second.NextCursor != "" {
			t.Errorf("then %s reads %+v", login, second)
		}
	}
	var one rest.Delivery
	w.call("alice", "GET", path+"?user_id=ucarol", "").ok(200, &one)
	if len(one.Recipients) != 1 || one.Recipients[0].UserID != "ucarol" || w.desk.asked.Limit != chat.DefaultPageSize {
		t.Errorf("of carol alone: %+v", one)
	}
	w.desk.asked = rpc.LedgerRequest{}
	w.call("bob", "GET", path, "").fails(fault.Forbidden)
	w.call("gus", "GET", path, "").fails(fault.NotFound)
	w.call("eve", "GET", path, "").fails(fault.NotFound)
	w.call("carol", "GET", at("channels", hidden.ID, "messages", secret, "delivery"), "").fails(fault.NotFound)
	for _, query := range []string{"user_id=A.b", "cursor=x", "limit=0", "limit=201", "cursor=" + "cHUx"} {
		w.call("alice", "GET", path+"?"+query, "").fails(fault.Invalid)
	}
	if w.desk.asked != (rpc.LedgerRequest{}) {
		t.Errorf("the ledger was asked %+v", w.desk.asked)
	}
	// The seq of a message of another channel, through one that one may see: the ledger finds it, and it is not told.
	w.call("carol", "GET", at("channels", c.ID, "messages", secret, "delivery"), "").fails(fault.NotFound)
}

func TestWhatAServerDoesNotHaveIsUnsupported(t *testing.T) {
	w := newWorld(t, func(c *api.Config) { c.Notify = notify.Config{Workspaces: c.Workspaces, Channels: c.Channels} })
	c := w.channel("plans", chat.ChannelPublic)
	for _, call := range [][2]string{
		{"POST", at("channels", c.ID, "read")}, {"GET", at("workspaces", w.ws, "read")}, {"GET", at("workspaces", w.ws, "preferences")}, {"PUT", at("workspaces", w.ws, "preferences")},
		{"PUT", at("channels", c.ID, "messages", 1, "follow")}, {"DELETE", at("channels", c.ID, "messages", 1, "follow")}, {"GET", "/push/key"}, {"GET", "/me/subscriptions"},
		{"POST", "/me/subscriptions"}, {"DELETE", "/me/subscriptions/b1"}, {"GET", at("workspaces", w.ws, "webhooks")}, {"POST", at("workspaces", w.ws, "webhooks")},
		{"DELETE", at("workspaces", w.ws, "webhooks", "h1")}, {"GET", at("workspaces", w.ws, "scheduled")}, {"DELETE", at("workspaces", w.ws, "scheduled", "j1")},
		{"POST", at("channels", c.ID, "scheduled")}, {"POST", at("workspaces", w.ws, "reminders")}, {"GET", at("channels", c.ID, "messages", 1, "delivery")},
	} {
		w.call("alice", call[0], call[1], `{}`).fails(fault.Unsupported)
	}
}
