package rest_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
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
		{rest.SignedIn{Token: "t", ExpiresIn: 60, User: rest.UserOf(chat.User{ID: "u1", Login: "a", DisplayName: "A"}), Workspaces: []rest.Workspace{rest.WorkspaceOf(chat.Workspace{ID: "w1", Name: "W"}, chat.RoleOwner)}},
			`{"token":"t","expires_in":60,"user":{"id":"u1","login":"a","display_name":"A"},"workspaces":[{"id":"w1","name":"W","role":"owner"}]}`},
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
