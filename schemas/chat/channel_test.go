package chat_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
)

// standings is every standing of a member of the workspace, and what it allows (see allowed) in a channel that
// is in use, and in one that is archived. Who is not a member of the workspace may do nothing.
const standings = `
owner  public   in      spedxjaltkom  slm
owner  public   manager spedxjaltkom  slm
owner  public   out     sjkom         sm
owner  private  in      spedxaltkom   slm
owner  private  manager spedxaltkom   slm
owner  private  out     -             -
owner  dm       in      spedx         s
owner  dm       manager spedx         s
owner  dm       out     -             -
owner  group_dm in      spedx         s
owner  group_dm manager spedx         s
owner  group_dm out     -             -
admin  public   in      spedxjaltkom  slm
admin  public   manager spedxjaltkom  slm
admin  public   out     sjkom         sm
admin  private  in      spedxaltkom   slm
admin  private  manager spedxaltkom   slm
admin  private  out     -             -
admin  dm       in      spedx         s
admin  dm       manager spedx         s
admin  dm       out     -             -
admin  group_dm in      spedx         s
admin  group_dm manager spedx         s
admin  group_dm out     -             -
member public   in      spedjaltk     sl
member public   manager spedjaltkom   slm
member public   out     sj            s
member private  in      spedaltk      sl
member private  manager spedaltkom    slm
member private  out     -             -
member dm       in      sped          s
member dm       manager sped          s
member dm       out     -             -
member group_dm in      sped          s
member group_dm manager sped          s
member group_dm out     -             -
guest  public   in      spedjl        sl
guest  public   manager spedjl        sl
guest  public   out     -             -
guest  private  in      spedl         sl
guest  private  manager spedl         sl
guest  private  out     -             -
guest  dm       in      sped          s
guest  dm       manager sped          s
guest  dm       out     -             -
guest  group_dm in      sped          s
guest  group_dm manager sped          s
guest  group_dm out     -             -
`

// allowed is what a standing allows, in letters: s see, p post, e edit one's own message, d delete it, x delete
// another's, j join, a add others, l leave, t change the name and topic, k archive what one created, o what another did,
// m manage: remove people and give them roles.
func allowed(s chat.Standing) string {
	var b strings.Builder
	for _, rule := range []struct {
		letter string
		may    bool
	}{
		{"s", s.MaySee()}, {"p", s.MayPost()}, {"e", s.MayEdit("me", "me")}, {"d", s.MayDelete("me", "me")},
		{"x", s.MayDelete("other", "me")}, {"j", s.MayJoin()}, {"a", s.MayAdd()}, {"l", s.MayLeave()},
		{"t", s.MayUpdate()}, {"k", s.MayArchive("me", "me")}, {"o", s.MayArchive("other", "me")},
		{"m", s.MayManage()},
	} {
		if rule.may {
			b.WriteString(rule.letter)
		}
	}
	if b.Len() == 0 {
		return "-"
	}
	return b.String()
}

func TestStandings(t *testing.T) {
	seen := map[string]bool{}
	for line := range strings.Lines(strings.TrimSpace(standings)) {
		f := strings.Fields(line)
		for i, archived := range []bool{false, true} {
			s := chat.Standing{Role: chat.Role(f[0]), Type: chat.ChannelType(f[1]), InIt: f[2] != "out", Manages: f[2] == "manager", Archived: archived}
			if !s.Role.Valid() || !s.Type.Valid() {
				t.Fatalf("line %q names no role or type", line)
			}
			seen[fmt.Sprint(s)] = true
			if got := allowed(s); got != f[3+i] {
				t.Errorf("%+v allows %s, not %s", s, got, f[3+i])
			}
		}
	}
	if len(seen) != 4*4*3*2 {
		t.Errorf("the table has %d standings of 96", len(seen))
	}
}

func TestWhoIsNotInTheWorkspaceMayDoNothing(t *testing.T) {
	for _, role := range []chat.Role{"", "Owner", "root"} {
		for _, typ := range []chat.ChannelType{chat.ChannelPublic, chat.ChannelPrivate, chat.ChannelDM, chat.ChannelGroupDM} {
			for _, in := range []bool{false, true} {
				if got := allowed(chat.Standing{Role: role, Type: typ, InIt: in}); got != "-" {
					t.Errorf("role %q, %s, in it %v: %s", role, typ, in, got)
				}
			}
		}
	}
}

// Whoever may do anything in a channel may see it, and an archived one takes nothing.
func TestLawsOfStandings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := chat.Standing{
			Role:     chat.Role(rapid.SampledFrom([]string{"owner", "admin", "member", "guest", "", "x"}).Draw(t, "role")),
			Type:     chat.ChannelType(rapid.SampledFrom([]string{"public", "private", "dm", "group_dm", "", "x"}).Draw(t, "type")),
			Archived: rapid.Bool().Draw(t, "archived"),
			InIt:     rapid.Bool().Draw(t, "in it"),
		}
		s.Manages = s.InIt && rapid.Bool().Draw(t, "manages")
		got := allowed(s)
		if got != "-" && !strings.Contains(got, "s") {
			t.Fatalf("%+v allows %s unseen", s, got)
		}
		if s.Archived && strings.ContainsAny(got, "pedxjatko") {
			t.Fatalf("%+v allows %s", s, got)
		}
		if !s.InIt && strings.ContainsAny(got, "pedxalt") {
			t.Fatalf("%+v allows %s", s, got)
		}
		if s.MayEdit("other", "me") {
			t.Fatalf("%+v allows to edit another's message", s)
		}
	})
}

func TestWhoMayCreateChannels(t *testing.T) {
	for _, typ := range []chat.ChannelType{chat.ChannelPublic, chat.ChannelPrivate, chat.ChannelDM, chat.ChannelGroupDM} {
		for role, want := range map[chat.Role]bool{
			chat.RoleOwner: true, chat.RoleAdmin: true, chat.RoleMember: true, chat.RoleGuest: false, "": false, "root": false,
		} {
			if chat.MayCreateChannel(role, typ) != want {
				t.Errorf("%s may create %s: %v", role, typ, !want)
			}
		}
	}
	if chat.MayCreateChannel(chat.RoleOwner, "") || chat.MayCreateChannel(chat.RoleOwner, "secret") {
		t.Error("a channel of no type")
	}
}

func TestRolesAndTypes(t *testing.T) {
	for role, want := range map[chat.Role][3]bool{ // valid, administers, lists members
		chat.RoleOwner: {true, true, true}, chat.RoleAdmin: {true, true, true}, chat.RoleMember: {true, false, true},
		chat.RoleGuest: {true, false, false}, "": {}, "OWNER": {}, "owner ": {},
	} {
		if got := [3]bool{role.Valid(), role.Administers(), chat.MayListMembers(role)}; got != want {
			t.Errorf("role %q: %v", role, got)
		}
	}
	for typ, want := range map[chat.ChannelType][3]bool{ // valid, named, direct
		chat.ChannelPublic: {true, true, false}, chat.ChannelPrivate: {true, true, false},
		chat.ChannelDM: {true, false, true}, chat.ChannelGroupDM: {true, false, true}, "": {}, "Public": {},
	} {
		if got := [3]bool{typ.Valid(), typ.Named(), typ.Direct()}; got != want {
			t.Errorf("type %q: %v", typ, got)
		}
	}
}

// A tenure holds its first and its last event: that of joining and that of leaving.
func TestTenureHolds(t *testing.T) {
	for _, tt := range []struct {
		joined, left chat.Seq
		holds, not   []chat.Seq
	}{
		{10, 20, []chat.Seq{10, 11, 19, 20}, []chat.Seq{0, 9, 21, chat.MaxSeq}},
		{10, 0, []chat.Seq{10, 11, chat.MaxSeq}, []chat.Seq{0, 9}},
		{10, 10, []chat.Seq{10}, []chat.Seq{9, 11}},
		{0, 0, nil, []chat.Seq{0, 1, chat.MaxSeq}}, // on its way to the log
		{0, 20, nil, []chat.Seq{0, 1, 19, 20, 21}},
		{1, 0, []chat.Seq{1}, []chat.Seq{0}},
	} {
		tenure := chat.Tenure{ChannelID: "c", JoinedSeq: tt.joined, LeftSeq: tt.left}
		for _, seq := range tt.holds {
			if !tenure.Holds(seq) {
				t.Errorf("%d to %d does not hold %d", tt.joined, tt.left, seq)
			}
		}
		for _, seq := range tt.not {
			if tenure.Holds(seq) {
				t.Errorf("%d to %d holds %d", tt.joined, tt.left, seq)
			}
		}
	}
}
