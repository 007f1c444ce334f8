package route_test

import (
	"slices"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/deliver/route"
	"github.com/canopychat/canopy/services/store"
)

const sender = chat.UserID("ann")

func post(body string, direct bool) route.Post {
	return route.PostOf(&event.Event{Epoch: 1, SenderID: sender, ChannelID: "c1", Body: body}, 7, direct)
}

func TestAMessageIsOwedForItsStrongestReason(t *testing.T) {
	all := []chat.Owed{chat.OwedMention, chat.OwedThread, chat.OwedKeyword}
	for name, c := range map[string]struct {
		body   string
		direct bool
		named  []chat.Owed
		member route.Member
		want   chat.Owed
	}{
		"nobody is named":                 {body: "hello", want: ""},
		"a login":                         {body: "hello @bob", named: all[:1], want: chat.OwedMention},
		"a thread":                        {body: "hello", named: all[1:], want: chat.OwedThread},
		"a keyword":                       {body: "hello", named: all[2:], want: chat.OwedKeyword},
		"a login before a thread":         {body: "@bob", named: []chat.Owed{chat.OwedThread, chat.OwedMention}, want: chat.OwedMention},
		"@channel":                        {body: "@channel", want: chat.OwedChannel},
		"@channel before a keyword":       {body: "@channel", named: all[2:], want: chat.OwedChannel},
		"a thread before @channel":        {body: "@channel", named: all[1:2], want: chat.OwedThread},
		"@here, and they are":             {body: "@here", member: route.Member{Active: true}, want: chat.OwedHere},
		"@here, and they are not":         {body: "@here", want: ""},
		"@here, with a keyword":           {body: "@here", named: all[2:], want: chat.OwedKeyword},
		"@here before a keyword":          {body: "@here", named: all[2:], member: route.Member{Active: true}, want: chat.OwedHere},
		"in code":                         {body: "`@channel`", want: ""},
		"a dm":                            {body: "hello", direct: true, want: chat.OwedDirect},
		"a dm that names them":            {body: "@bob", direct: true, named: all[:1], want: chat.OwedDirect},
		"the sender in a dm":              {body: "hello", direct: true, member: route.Member{UserID: sender}, want: ""},
		"the sender names themselves":     {body: "@ann", named: all, member: route.Member{UserID: sender}, want: ""},
		"the sender of @channel":          {body: "@channel", member: route.Member{UserID: sender, Active: true}, want: ""},
		"the sender in their own channel": {body: "call", direct: true, member: route.Member{UserID: sender, Alone: true}, want: chat.OwedDirect},
	} {
		t.Run(name, func(t *testing.T) {
			if c.member.UserID == "" {
				c.member.UserID = "bob"
			}
			p := post(c.body, c.direct)
			r := p.Reasons()
			for _, why := range c.named {
				r.Add(why, c.member.UserID)
			}
			if got := r.Of(c.member); got != c.want {
				t.Errorf("owed for %q, want %q", got, c.want)
			}
			if got := r.WhyNot(c.member); c.want == "" && got == "" {
				t.Error("it does not say why not")
			}
		})
	}
}

func TestWhomToLookAt(t *testing.T) {
	for body, want := range map[string]bool{"hello": false, "@bob": false, "@channel": true, "@here": true} {
		if got := post(body, false).Everybody(); got != want {
			t.Errorf("%q looks at everybody: %v", body, got)
		}
	}
	if !post("hello", true).Everybody() {
		t.Error("a dm does not look at everybody")
	}
	if post("@channel", false).Words() || post("hello", true).Words() || !post("@here", false).Words() || !post("hello", false).Words() {
		t.Error("keywords count where they make no difference, or do not where they do")
	}
	r := post("hello", false).Reasons()
	r.Add(chat.OwedThread, "carl", "bob", sender)
	if got := r.Named(); !slices.Equal(got, []chat.UserID{"bob", "carl"}) {
		t.Errorf("named are %v", got)
	}
}

func TestFollowersAreWhoWroteUnlessTheySayOtherwise(t *testing.T) {
	got := route.Followers([]chat.UserID{"bob", "ann", "bob", "eve"}, []store.Follow{{UserID: "eve"}, {UserID: "carl", Follows: true}, {UserID: "dan"}})
	if !slices.Equal(got, []chat.UserID{"ann", "bob", "carl"}) {
		t.Errorf("followers are %v", got)
	}
}

func TestACursorCoversWhatIsBeforeItInAllEpochs(t *testing.T) {
	message := chat.Cursor{Epoch: 2, Seq: 100}
	for cursor, want := range map[chat.Cursor]bool{
		{Epoch: 2, Seq: 99}: false, {Epoch: 2, Seq: 100}: true, {Epoch: 2, Seq: 101}: true, {Epoch: 1, Seq: 500}: false, {Epoch: 3, Seq: 1}: false, {Epoch: 3, Seq: 100}: true, {}: false,
	} {
		if got := route.Covers(cursor, message); got != want {
			t.Errorf("%v covers %v: %v", cursor, message, got)
		}
	}
	now := time.Unix(1e9, 0)
	device := func(id string, seq chat.Seq, at time.Duration) store.DeviceCursor {
		return store.DeviceCursor{DeviceID: idOf(id), Cursor: chat.Cursor{Epoch: 2, Seq: seq}, At: now.Add(at)}
	}
	devices := []store.DeviceCursor{device("a", 99, 0), device("b", 101, 2*time.Second), device("c", 100, time.Second)}
	if got := route.CoveredBy(devices, message); got == nil || got.DeviceID != idOf("c") {
		t.Errorf("covered by %+v", got)
	}
	if got := route.CoveredBy(devices[:1], message); got != nil {
		t.Errorf("covered by %+v", got)
	}
}

func idOf(s string) token.SignInID { return token.SignInID(s) }

func TestWhoIsActive(t *testing.T) {
	now := time.Unix(1e9, 0)
	for ago, want := range map[time.Duration]bool{route.ActiveFor + 1: false, route.ActiveFor: true, 0: true, -time.Hour: true} {
		if got := route.Active([]store.DeviceCursor{{At: now.Add(-24 * time.Hour)}, {At: now.Add(-ago)}}, now); got != want {
			t.Errorf("active %v ago: %v", ago, got)
		}
	}
	if route.Active(nil, now) {
		t.Error("who has no device is active")
	}
}
