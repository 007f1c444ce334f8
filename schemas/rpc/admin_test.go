package rpc_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ijson"
	"github.com/canopychat/canopy/schemas/rpc"
)

var (
	moment = time.Date(2026, 3, 1, 12, 30, 45, 0, time.UTC)
	ada    = rpc.Account{UserID: "u1", Login: "ada", DisplayName: "Ada", Deactivated: true, CreatedAt: moment}
	oak    = rpc.Workspace{WorkspaceID: "w1", Name: "Oak", Shard: 2, Epoch: 1, CreatedAt: moment}
	grace  = rpc.Member{UserID: "u2", Login: "grace", DisplayName: "Grace", Role: chat.RoleAdmin}
)

// What operators' scripts see, besides us: `canopy … --json` prints these.
var goldenAdmin = []struct {
	value any
	json  string
}{
	{rpc.UsersRequest{}, `{}`},
	{rpc.UsersRequest{After: "u1", Limit: 9}, `{"after":"u1","limit":9}`},
	{
		rpc.UsersReply{Users: []rpc.Account{ada}, Next: "u1"},
		`{"users":[{"user_id":"u1","login":"ada","display_name":"Ada","deactivated":true,"created_at":"2026-03-01T12:30:45Z"}],"next":"u1"}`,
	},
	{rpc.UserRequest{Login: "ada"}, `{"login":"ada"}`},
	{
		rpc.UserRequest{Do: rpc.UserAdd, Login: "ada", DisplayName: "Ada", Password: "x"},
		`{"do":"add","login":"ada","display_name":"Ada","password":"x"}`,
	},
	{rpc.UserRequest{Do: rpc.UserRevoke, UserID: "u1", SignInID: "s1"}, `{"do":"revoke","user_id":"u1","sign_in_id":"s1"}`},
	{
		rpc.UserReply{
			Account: ada, Workspaces: []rpc.UserWorkspace{{WorkspaceID: "w1", Name: "Oak", Role: chat.RoleGuest}}, Revoked: 1,
			SignIns: []rpc.SignIn{{SignInID: "s1", Device: "phone", Address: "::1", CreatedAt: moment, UsedAt: moment, ExpiresAt: moment}},
		},
		`{"user_id":"u1","login":"ada","display_name":"Ada","deactivated":true,"created_at":"2026-03-01T12:30:45Z",` +
			`"workspaces":[{"workspace_id":"w1","name":"Oak","role":"guest"}],` +
			`"sign_ins":[{"sign_in_id":"s1","device":"phone","address":"::1","created_at":"2026-03-01T12:30:45Z",` +
			`"used_at":"2026-03-01T12:30:45Z","expires_at":"2026-03-01T12:30:45Z"}],"revoked":1}`,
	},
	{rpc.WorkspacesRequest{After: "w1"}, `{"after":"w1"}`},
	{
		rpc.WorkspacesReply{Workspaces: []rpc.Workspace{oak}},
		`{"workspaces":[{"workspace_id":"w1","name":"Oak","shard":2,"epoch":1,"created_at":"2026-03-01T12:30:45Z"}]}`,
	},
	{rpc.WorkspaceRequest{Do: rpc.WorkspaceAdd, Name: "Oak", Login: "ada"}, `{"do":"add","name":"Oak","login":"ada"}`},
	{rpc.WorkspaceRequest{Do: rpc.WorkspaceRename, WorkspaceID: "w1", Name: "Elm"}, `{"do":"rename","workspace_id":"w1","name":"Elm"}`},
	{
		rpc.WorkspaceReply{Workspace: oak, Members: []rpc.Member{grace}, Next: "u2"},
		`{"workspace_id":"w1","name":"Oak","shard":2,"epoch":1,"created_at":"2026-03-01T12:30:45Z",` +
			`"members":[{"user_id":"u2","login":"grace","display_name":"Grace","role":"admin"}],"next":"u2"}`,
	},
	{
		rpc.MemberRequest{Do: rpc.MemberAdd, WorkspaceID: "w1", Login: "grace", Role: chat.RoleAdmin},
		`{"do":"add","workspace_id":"w1","login":"grace","role":"admin"}`,
	},
	{rpc.MemberRequest{Do: rpc.MemberRemove, WorkspaceID: "w1", UserID: "u2"}, `{"do":"remove","workspace_id":"w1","user_id":"u2"}`},
	{rpc.MemberReply{Member: grace}, `{"user_id":"u2","login":"grace","display_name":"Grace","role":"admin"}`},
	{
		rpc.InviteRequest{WorkspaceID: "w1", Role: chat.RoleGuest, ExpiresIn: 60, MaxUses: 2, ChannelIDs: []chat.ChannelID{"c1"}, Email: "a@b"},
		`{"workspace_id":"w1","role":"guest","expires_in":60,"max_uses":2,"channel_ids":["c1"],"email":"a@b"}`,
	},
	{
		rpc.InviteReply{InviteID: "i1", Code: "c", URL: "https://h/c", Role: chat.RoleGuest, Email: "a@b", Sent: true, ExpiresAt: moment, MaxUses: 2},
		`{"invite_id":"i1","code":"c","url":"https://h/c","role":"guest","email":"a@b","sent":true,"expires_at":"2026-03-01T12:30:45Z","max_uses":2}`,
	},
	{rpc.TokenRequest{Login: "ada"}, `{"login":"ada"}`},
	{
		rpc.TokenReply{UserID: "u1", Login: "ada", Token: "t", SignInID: "s1", ExpiresAt: moment},
		`{"user_id":"u1","login":"ada","token":"t","sign_in_id":"s1","expires_at":"2026-03-01T12:30:45Z"}`,
	},
	{rpc.SigningKeysRequest{Rotate: true}, `{"rotate":true}`},
	{rpc.SigningKeysReply{Keys: []rpc.SigningKey{{ID: "1", CreatedAt: moment}}}, `{"keys":[{"kid":"1","created_at":"2026-03-01T12:30:45Z"}]}`},
}

func TestGoldenBytesOfAdmin(t *testing.T) {
	for _, tt := range goldenAdmin {
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
