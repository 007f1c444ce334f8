package rpc_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/ijson"
	"github.com/canopychat/canopy/schemas/rpc"
)

// Processes of two versions ask one another while a deployment is updated, and operators ask by hand: these
// are the bytes. A field may be added; none is renamed.
var golden = []struct {
	value any
	json  string
}{
	{rpc.SessionRequest{UserID: "u1"}, `{"user_id":"u1"}`},
	{rpc.SessionRequest{UserID: "u1", WorkspaceID: "w1", Since: 41}, `{"user_id":"u1","workspace_id":"w1","since":41}`},
	{
		rpc.SessionReply{WorkspaceID: "w1", Shard: 3, Epoch: 2, Role: chat.RoleGuest, Members: 12, Tenures: []rpc.Tenure{
			{ChannelID: "c1", Type: chat.ChannelPublic, JoinedSeq: 4, Members: 7},
			{ChannelID: "c2", Type: chat.ChannelGroupDM, Archived: true, JoinedSeq: 5, LeftSeq: chat.MaxSeq},
		}},
		`{"workspace_id":"w1","shard":3,"epoch":2,"role":"guest","members":12,"tenures":[{"channel_id":"c1","type":"public","joined_seq":4,"members":7},` +
			`{"channel_id":"c2","type":"group_dm","archived":true,"joined_seq":5,"left_seq":281474976710655,"members":0}]}`,
	},
	{rpc.KeysRequest{}, `{}`},
	{rpc.KeysReply{Keys: []rpc.VerifyKey{{ID: "k1", Public: []byte{0xfb, 0xff, 0}}}}, `{"keys":[{"kid":"k1","public":"+/8A"}]}`},
	{rpc.SendRequest{WorkspaceID: "w1", SenderID: "u1", ClientMsgID: "m1"}, `{"workspace_id":"w1","shard":0,"sender_id":"u1","client_msg_id":"m1"}`},
	{rpc.SendReply{Through: 9}, `{"through":9}`},
	{rpc.SendReply{ChannelID: "c1", Seq: 7, Through: 9}, `{"channel_id":"c1","seq":7,"through":9}`},
	{rpc.MessageRequest{ChannelID: "c1", Seq: 7}, `{"channel_id":"c1","seq":7}`},
	{
		rpc.MessageReply{
			SenderID: "u1", ClientMsgID: "m1", Thread: 4, Body: "hi", Edited: true, Deleted: true,
			Attachments: []chat.Attachment{{ID: "f1", Name: "a", Size: 5, Type: "t"}}, At: time.Date(2026, 3, 1, 12, 30, 45, 678_999_999, time.UTC),
		},
		`{"sender_id":"u1","client_msg_id":"m1","thread":4,"body":"hi","edited":true,"deleted":true,` +
			`"attachments":[{"id":"f1","name":"a","size":5,"type":"t"}],"ts":"2026-03-01T12:30:45.678999999Z"}`,
	},
	{
		rpc.ImportRequest{WorkspaceID: "w1", Users: []rpc.ImportUser{{Login: "ada", DisplayName: "Ada", Join: []string{"general"}}}, Channels: []rpc.ImportChannel{{Name: "general", Topic: "t"}}},
		`{"workspace_id":"w1","users":[{"login":"ada","display_name":"Ada","join":["general"]}],"channels":[{"name":"general","topic":"t"}]}`,
	},
	{
		rpc.ImportReply{Users: []rpc.ImportedUser{{UserID: "u1", Login: "ada", Token: "x"}}, Channels: []rpc.ImportedChannel{{ChannelID: "c1", Name: "general"}}},
		`{"users":[{"user_id":"u1","login":"ada","token":"x"}],"channels":[{"channel_id":"c1","name":"general"}]}`,
	},
	{rpc.Fault{Code: fault.RateLimited, Message: "later", RetryAfterMS: 1500}, `{"code":"rate_limited","message":"later","retry_after_ms":1500}`},
	{rpc.Fault{Code: fault.NotFound, Message: "no"}, `{"code":"not_found","message":"no"}`},
}

func TestGoldenBytes(t *testing.T) {
	for _, tt := range golden {
		got, err := json.Marshal(tt.value)
		if err != nil || string(got) != tt.json {
			t.Errorf("%T is %s, not %s, %v", tt.value, got, tt.json, err)
		}
		back := reflect.New(reflect.TypeOf(tt.value))
		if err := json.Unmarshal([]byte(tt.json), back.Interface()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.value, back.Elem().Interface()); diff != "" {
			t.Errorf("%s:\n%s", tt.json, diff)
		}
		if err := ijson.Check(got, ijson.Rules{MaxDepth: 8}); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
}

// The largest import that is allowed fits one NATS message (1 MiB by default) with the longest names.
func TestTheLargestImportFitsAMessage(t *testing.T) {
	req := rpc.ImportRequest{WorkspaceID: "069mz9tyc5w00w0000000000"}
	long := func(n int) string { return string(make([]rune, n)) } // NUL is written as six bytes: the longest of all
	for range rpc.MaxImport {
		req.Users = append(req.Users, rpc.ImportUser{Login: long(chat.MaxLogin), DisplayName: long(chat.MaxDisplayName), Join: []string{long(chat.MaxName)}})
		req.Channels = append(req.Channels, rpc.ImportChannel{Name: long(chat.MaxName), Topic: long(chat.MaxTopic)})
	}
	b, err := json.Marshal(req)
	if err != nil || len(b) > 1<<20 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
