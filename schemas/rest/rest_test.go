package rest_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/schemas/rest"
)

var at = time.Date(2026, 3, 4, 5, 6, 7, 89_999_999, time.FixedZone("", -3600))

// TestGoldenBytes pins what clients are written against.
func TestGoldenBytes(t *testing.T) {
	whole := chat.Message{
		ChannelID: "c1", Seq: 12, Epoch: 3, SenderID: "u1", Body: "hi <there>", ClientMsgID: "m1", Thread: 7, PostedAt: at, EditedAt: at.Add(time.Second),
		Reactions:   []chat.Reaction{{Emoji: "👍", UserIDs: []chat.UserID{"u1", "u2"}}},
		Attachments: []chat.Attachment{{ID: "a1", Name: "x.txt", Size: 3, Type: "text/plain"}}, Pinned: true,
	}
	plain := chat.Message{ChannelID: "c1", Seq: 12, Epoch: 3, SenderID: "u1", Body: "hi", ClientMsgID: "m1", PostedAt: at}
	deleted := whole
	deleted.Deleted = true
	for _, c := range []struct {
		v    any
		want string
	}{
		{rest.MessageOf(plain), `{"seq":12,"server_msg_id":"3.12","channel_id":"c1","sender_id":"u1","body":"hi","client_msg_id":"m1","ts":"2026-03-04T06:06:07.089Z"}`},
		{rest.MessageOf(whole), `{"seq":12,"server_msg_id":"3.12","channel_id":"c1","sender_id":"u1","body":"hi \u003cthere\u003e","client_msg_id":"m1","ts":"2026-03-04T06:06:07.089Z","thread":7,` +
			`"edited_at":"2026-03-04T06:06:08.089Z","reactions":[{"emoji":"👍","user_ids":["u1","u2"]}],"attachments":[{"id":"a1","name":"x.txt","size":3,"type":"text/plain"}]}`},
		{rest.MessageOf(deleted), `{"seq":12,"server_msg_id":"3.12","channel_id":"c1","sender_id":"u1","body":"","client_msg_id":"m1","ts":"2026-03-04T06:06:07.089Z","thread":7,"deleted":true}`},
		{rest.MessageListOf(nil, false, 9), `{"messages":[],"has_more":false,"complete_through":9}`},
		{rest.AckOf(event.Change{ClientMsgID: "m1", ChannelID: "c1", Epoch: 3}, event.Receipt{Seq: 12, At: at, Duplicate: true}),
			`{"client_msg_id":"m1","channel_id":"c1","seq":12,"server_msg_id":"3.12","ts":"2026-03-04T06:06:07.089Z","status":"stored","duplicate":true}`},
		{rest.ChannelOf(chat.Channel{ID: "c1", WorkspaceID: "w1", Name: "plans", Type: chat.ChannelPublic, CreatorID: "u1", CreatedAt: at}, true),
			`{"id":"c1","workspace_id":"w1","name":"plans","type":"public","topic":"","creator_id":"u1","created_at":"2026-03-04T06:06:07.089Z","archived":false,"joined":true}`},
		{rest.ChannelList{Channels: []rest.Channel{}, NextCursor: "x"}, `{"channels":[],"next_cursor":"x"}`},
		{rest.SignedIn{Tokens: rest.Tokens{Token: "t", ExpiresIn: 60, RefreshToken: "s1.x", SessionID: "s1"}, User: rest.UserOf(chat.User{ID: "u1", Login: "a", DisplayName: "A"}), Workspaces: []rest.Workspace{rest.WorkspaceOf(chat.Workspace{ID: "w1", Name: "W"}, chat.RoleOwner)}},
			`{"token":"t","expires_in":60,"refresh_token":"s1.x","session_id":"s1","user":{"id":"u1","login":"a","display_name":"A"},"workspaces":[{"id":"w1","name":"W","role":"owner"}]}`},
		{rest.SetupState{Needed: true}, `{"needed":true}`},
		{rest.Setup{Code: "c", Workspace: "W", Login: "a", Password: "p"}, `{"code":"c","workspace":"W","login":"a","display_name":"","password":"p","device":""}`},
		{rest.Refresh{RefreshToken: "s1.x"}, `{"refresh_token":"s1.x"}`},
		{rest.NewPassword{Old: "o", New: "n"}, `{"old":"o","new":"n"}`},
		{rest.SessionList{Sessions: []rest.Session{{ID: "s1", Device: "d", Address: "::1", CreatedAt: rest.Time(at), UsedAt: rest.Time(at), ExpiresAt: rest.Time(at), Current: true}}},
			`{"sessions":[{"id":"s1","device":"d","address":"::1","created_at":"2026-03-04T06:06:07.089Z","used_at":"2026-03-04T06:06:07.089Z","expires_at":"2026-03-04T06:06:07.089Z","current":true}]}`},
		{rest.Ticket{Ticket: "x", ExpiresIn: 30}, `{"ticket":"x","expires_in":30}`},
		{rest.GatewayList{Gateways: []rest.Gateway{{ID: "g1", URL: "wss://g1", Region: "eu", Sockets: 1, Max: 2, Draining: true}, {}}},
			`{"gateways":[{"id":"g1","url":"wss://g1","region":"eu","sockets":1,"max_sockets":2,"draining":true},{"id":"","url":"","region":"","sockets":0,"max_sockets":0}]}`},
		{rest.NewInvite{}, `{"role":"","expires_in":0,"max_uses":0,"channel_ids":null,"email":""}`},
		{rest.Invite{ID: "i1", Code: "c", URL: "https://x", Role: chat.RoleMember, Channels: []chat.ChannelID{"c1"}, Email: "a@b", Sent: true, By: "u1", CreatedAt: rest.Time(at), ExpiresAt: rest.Time(at), MaxUses: 2, Uses: 1},
			`{"id":"i1","code":"c","url":"https://x","role":"member","channel_ids":["c1"],"email":"a@b","sent":true,"by":"u1","created_at":"2026-03-04T06:06:07.089Z","expires_at":"2026-03-04T06:06:07.089Z","max_uses":2,"uses":1}`},
		{rest.InviteList{Invites: []rest.Invite{{ID: "i1", Role: chat.RoleGuest, By: "u1", CreatedAt: rest.Time(at), ExpiresAt: rest.Time(at), MaxUses: 1}}},
			`{"invites":[{"id":"i1","role":"guest","by":"u1","created_at":"2026-03-04T06:06:07.089Z","expires_at":"2026-03-04T06:06:07.089Z","max_uses":1,"uses":0}]}`},
		{rest.InviteState{Workspace: "W", Role: chat.RoleGuest, InvitedBy: "A", ExpiresAt: rest.Time(at)}, `{"workspace":"W","role":"guest","invited_by":"A","expires_at":"2026-03-04T06:06:07.089Z"}`},
		{rest.AcceptInvite{Login: "a", Password: "p"}, `{"login":"a","display_name":"","password":"p","device":""}`},
		{rest.EditMember{}, `{}`},
		{rest.EditMember{Role: new(chat.RoleAdmin), Deactivated: new(false)}, `{"role":"admin","deactivated":false}`},
		{rest.EditWorkspace{Name: "W"}, `{"name":"W"}`},
		{rest.EditChannelMember{Role: chat.ChannelManager}, `{"role":"manager"}`},
		{rest.Member{UserID: "u1", Login: "a", DisplayName: "A", ChannelRole: chat.ChannelMember}, `{"user_id":"u1","login":"a","display_name":"A","channel_role":"member"}`},
		{rest.MarkRead{Seq: 7}, `{"seq":7}`},
		{rest.ReadCursor{ChannelID: "c1", Seq: 7}, `{"channel_id":"c1","seq":7}`},
		{rest.ReadCursorList{Cursors: []rest.ReadState{
			{ChannelID: "c1", Seq: 7, JoinedSeq: 3, Unread: 2, Mentions: 1, More: true, Through: 12, Messages: []rest.UnreadMessage{{Seq: 11, Mention: true}, {Seq: 9}}},
			{ChannelID: "c2", JoinedSeq: 4},
		}}, `{"cursors":[{"channel_id":"c1","seq":7,"joined_seq":3,"unread":2,"mentions":1,"more":true,"through":12,"messages":[{"seq":11,"mention":true},{"seq":9}]},` +
			`{"channel_id":"c2","seq":0,"joined_seq":4,"unread":0,"mentions":0,"through":0}]}`},
		{rest.PreferencesOf(chat.Preferences{Muted: []chat.ChannelID{"c1"}, Keywords: []string{"go"}, Quiet: &chat.Quiet{Until: at, From: "22:00", To: "07:30", Zone: "Europe/Berlin"}}),
			`{"muted_channels":["c1"],"keywords":["go"],"do_not_disturb":{"until":"2026-03-04T06:06:07.089Z","from":"22:00","to":"07:30","time_zone":"Europe/Berlin"}}`},
		{rest.PreferencesOf(chat.Preferences{Quiet: &chat.Quiet{}}), `{"do_not_disturb":{}}`},
		{rest.PushKey{Key: "BP"}, `{"key":"BP"}`},
		{rest.NewSubscription{Endpoint: "https://p", Keys: rest.SubscriptionKeys{P256dh: "BP", Auth: "x"}}, `{"endpoint":"https://p","keys":{"p256dh":"BP","auth":"x"}}`},
		{rest.SubscriptionList{Subscriptions: []rest.Subscription{{ID: "s1", Endpoint: "https://p", CreatedAt: rest.Time(at)}}},
			`{"subscriptions":[{"id":"s1","endpoint":"https://p","created_at":"2026-03-04T06:06:07.089Z"}]}`},
		{rest.NewWebhook{URL: "https://h"}, `{"url":"https://h"}`},
		{rest.WebhookList{Webhooks: []rest.Webhook{{ID: "h1", URL: "https://h", Secret: "whsec_x", By: "u1", CreatedAt: rest.Time(at)}, {ID: "h2", CreatedAt: rest.Time(at)}}},
			`{"webhooks":[{"id":"h1","url":"https://h","secret":"whsec_x","by":"u1","created_at":"2026-03-04T06:06:07.089Z"},{"id":"h2","url":"","by":"","created_at":"2026-03-04T06:06:07.089Z"}]}`},
		{rest.NewScheduled{Body: "x", At: rest.Time(at)}, `{"body":"x","at":"2026-03-04T06:06:07.089Z","client_msg_id":"","thread":0}`},
		{rest.NewReminder{Text: "x", At: rest.Time(at), ChannelID: "c1", Seq: 7}, `{"text":"x","at":"2026-03-04T06:06:07.089Z","channel_id":"c1","seq":7}`},
		{rest.ScheduledList{Scheduled: []rest.Scheduled{rest.ScheduledOf(job.Scheduled{
			ID: "j1", Kind: job.Later, WorkspaceID: "w1", UserID: "u1", ChannelID: "c1", Thread: 3, ClientMsgID: "m", Body: "x", At: at, CreatedAt: at,
		}), rest.ScheduledOf(job.Scheduled{ID: "j2", Kind: job.Reminder, ChannelID: "c1", Seq: 5, At: at, CreatedAt: at})}},
			`{"scheduled":[{"id":"j1","kind":"message","channel_id":"c1","thread":3,"client_msg_id":"m","body":"x","at":"2026-03-04T06:06:07.089Z","created_at":"2026-03-04T06:06:07.089Z"},` +
				`{"id":"j2","kind":"reminder","channel_id":"c1","seq":5,"body":"","at":"2026-03-04T06:06:07.089Z","created_at":"2026-03-04T06:06:07.089Z"}]}`},
		{rest.Delivery{ChannelID: "c1", Seq: 7, ServerMsgID: "2.7", SenderID: "u1", StoredAt: rest.Time(at), Routed: true, NextCursor: "x", Recipients: []rest.Recipient{
			{UserID: "u2", Login: "b", Status: chat.DeliveryPending, Why: chat.OwedDirect, Next: new(rest.Time(at)), Attempts: 2, Error: "410", Rounds: 1,
				Story: []rest.Step{{At: new(rest.Time(at)), What: "stored"}, {What: "attempt", Text: "410"}}},
			{UserID: "u3", Status: chat.DeliveryRead, At: new(rest.Time(at)), Device: "laptop", Story: []rest.Step{}},
			{UserID: "u4", Status: chat.DeliveryDead, Reason: "gave up", Story: []rest.Step{}},
		}}, `{"channel_id":"c1","seq":7,"server_msg_id":"2.7","sender_id":"u1","stored_at":"2026-03-04T06:06:07.089Z","routed":true,"recipients":[` +
			`{"user_id":"u2","login":"b","status":"pending","why":"direct","next_attempt":"2026-03-04T06:06:07.089Z","attempts":2,"last_error":"410","rounds":1,` +
			`"story":[{"at":"2026-03-04T06:06:07.089Z","what":"stored"},{"what":"attempt","text":"410"}]},` +
			`{"user_id":"u3","status":"read","at":"2026-03-04T06:06:07.089Z","device":"laptop","attempts":0,"story":[]},` +
			`{"user_id":"u4","status":"dead","attempts":0,"reason":"gave up","story":[]}],"next_cursor":"x"}`},
		{rest.UserOf(chat.User{ID: "u1", Login: "a", DisplayName: "Ä"}), `{"id":"u1","login":"a","display_name":"Ä"}`},
		{rest.EditMe{DisplayName: "Ä"}, `{"display_name":"Ä"}`},
		{rest.EditChannel{}, `{}`},
		{rest.EditChannel{Name: new("plans"), Topic: new(""), Archived: new(false)}, `{"name":"plans","topic":"","archived":false}`},
		{rest.MemberOf(chat.User{ID: "u1", Login: "a", DisplayName: "A", Deactivated: true}, ""), `{"user_id":"u1","login":"a","display_name":"A","deactivated":true}`},
		{rest.ProblemOf(fault.New(fault.RateLimited, "slower").After(1500 * time.Millisecond)),
			`{"type":"urn:canopy:error:rate_limited","title":"Too much at once","status":429,"detail":"slower","code":"rate_limited","retry_after":1.5}`},
		{rest.ProblemOf(errors.New("the password of the database")), `{"type":"urn:canopy:error:internal","title":"Something went wrong here","status":500,"code":"internal"}`},
	} {
		got, err := json.Marshal(c.v)
		if err != nil || string(got) != c.want {
			t.Errorf("%T is\n%s, %v; want\n%s", c.v, got, err, c.want)
		}
	}
}

func TestPreferencesAreReadAsTheyAreWritten(t *testing.T) {
	for _, want := range []chat.Preferences{
		{}, {Muted: []chat.ChannelID{"c1", "c2"}, Keywords: []string{"go", "deploy day"}},
		{Quiet: &chat.Quiet{Until: at.Truncate(time.Millisecond).UTC()}}, {Quiet: &chat.Quiet{From: "22:00", To: "07:30", Zone: "Europe/Berlin"}},
	} {
		written, err := json.Marshal(rest.PreferencesOf(want))
		if err != nil {
			t.Fatal(err)
		}
		var read rest.Preferences
		if err := json.Unmarshal(written, &read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, read.Chat()); diff != "" {
			t.Errorf("%s (-written +read):\n%s", written, diff)
		}
	}
}

func TestATimeIsReadAsItIsWritten(t *testing.T) {
	written, err := json.Marshal(rest.Time(at))
	if err != nil {
		t.Fatal(err)
	}
	var read rest.Time
	if err := json.Unmarshal(written, &read); err != nil || !time.Time(read).Equal(at.Truncate(time.Millisecond)) {
		t.Errorf("%s is read as %v, %v", written, time.Time(read), err)
	}
	if err := json.Unmarshal([]byte(`"soon"`), &read); err == nil {
		t.Error("soon is a time")
	}
}

func TestTheLongestMessageFitsIntoARequest(t *testing.T) {
	body := `{"body":"` + strings.Repeat(`\u0041`, chat.MaxBody) + `","client_msg_id":"` + strings.Repeat("x", chat.MaxClientMsgID) + `","thread":281474976710655}`
	if len(body) > rest.MaxRequest {
		t.Errorf("%d bytes are more than %d", len(body), rest.MaxRequest)
	}
}
