package app_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
)

// edited is what the frame of a channel's or a user's event says besides its place.
type edited struct {
	Kind      string `json:"kind"`
	ChannelID string `json:"channel_id"`
	SenderID  string `json:"sender_id"`
	UserID    string `json:"user_id"`
	Channel   struct {
		Name, Type, Topic string
		CreatorID         string `json:"creator_id"`
	} `json:"channel"`
	User struct {
		Login       string
		DisplayName string `json:"display_name"`
		Deactivated bool
	} `json:"user"`
}

// channelNow is a channel as REST shows it.
type channelNow struct {
	ID       string
	Name     string
	Type     string
	Topic    string
	Archived bool
	Joined   bool
}

// edits are the frames of changed channels and users among frames, without their places.
func edits(t *testing.T, frames []frame) []edited {
	t.Helper()
	var out []edited
	for _, f := range frames {
		if !slices.Contains([]string{"channel.updated", "channel.archived", "user.updated"}, f.Kind) {
			continue
		}
		var e edited
		if err := json.Unmarshal([]byte(f.raw), &e); err != nil {
			t.Fatalf("%v in %s", err, f.raw)
		}
		if f.Type != "event" || f.Seq == 0 || f.TS == "" {
			t.Errorf("no event with a place: %s", f.raw)
		}
		out = append(out, e)
	}
	return out
}

// heard reads a socket's frames up to the next event of a kind about somebody, and answers them.
func (s *socket) heard(kind string, about *user) []frame {
	s.t.Helper()
	var seen []frame
	for {
		f := s.stored()
		seen = append(seen, f)
		if f.Kind == kind && f.UserID == about.id {
			return seen
		}
	}
}

// Changes of channels and of people travel the whole way: REST, directory, log, live frame, frame of a resume, lists.
func TestChangesOfChannelsAndPeopleTravelTheWholeWay(t *testing.T) {
	t.Parallel()
	for name, ring := range map[string]int{"ring": 2048, "pages of the log": 2} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			cfg.Edge.RingEntries = ring
			d := up(t, cfg)
			alice, bob := d.signIn("alice"), d.signIn("bob")
			general := alice.channel("general")
			plans, secret, gone := alice.create("plans", "public"), alice.create("secret", "private"), alice.create("gone", "public")
			a, b := alice.open(), bob.open() // alice is in these channels, bob in none of them

			var now channelNow
			alice.must(http.StatusOK, "PATCH", "/channels/"+secret, map[string]any{"topic": "not for bob"}, nil)
			alice.must(http.StatusOK, "PATCH", "/channels/"+gone, map[string]any{"name": "long-gone", "archived": true}, nil)
			alice.must(http.StatusOK, "PATCH", "/channels/"+plans, map[string]any{"name": "roadmap", "topic": "what comes"}, &now)
			renamed := channelNow{ID: plans, Name: "roadmap", Type: "public", Topic: "what comes", Joined: true}
			if now != renamed {
				t.Errorf("the change is answered with %+v", now)
			}
			if code := bob.refused(http.StatusForbidden, "PATCH", "/channels/"+plans, map[string]any{"topic": "x"}); code != "forbidden" {
				t.Errorf("who is not in the channel: %s", code)
			}
			bob.must(http.StatusOK, "POST", "/channels/"+plans+"/join", nil, nil)
			alices, bobs := a.heard("member.joined", bob), b.heard("member.joined", bob)
			b.say(plans, "before the end")
			alice.must(http.StatusOK, "PATCH", "/channels/"+plans, map[string]any{"archived": true}, &now)
			bob.must(http.StatusOK, "PATCH", "/me", map[string]any{"display_name": "Bob Ünal"}, nil)
			alices, bobs = append(alices, a.heard("user.updated", bob)...), append(bobs, b.heard("user.updated", bob)...)

			inPlans := edited{Kind: "channel.updated", ChannelID: plans, SenderID: alice.id}
			inPlans.Channel.Name, inPlans.Channel.Type, inPlans.Channel.Topic, inPlans.Channel.CreatorID = "roadmap", "public", "what comes", alice.id
			inSecret := inPlans
			inSecret.ChannelID, inSecret.Channel.Name, inSecret.Channel.Type, inSecret.Channel.Topic = secret, "secret", "private", "not for bob"
			inGone := inPlans
			inGone.Kind, inGone.ChannelID, inGone.Channel.Name, inGone.Channel.Topic = "channel.archived", gone, "long-gone", ""
			ended := inPlans
			ended.Kind = "channel.archived"
			profile := edited{Kind: "user.updated", SenderID: bob.id, UserID: bob.id}
			profile.User.Login, profile.User.DisplayName = "bob", "Bob Ünal"
			bobsEdits := []edited{inGone, inPlans, ended, profile}
			alicesEdits := append([]edited{inSecret}, bobsEdits...)
			checkEdits(t, "alice", alices, alicesEdits)
			checkEdits(t, "bob", bobs, bobsEdits)

			checkArchived(t, plans, map[*user]*socket{alice: a, bob: b})
			end := a.say(general, "the end")
			for who, s := range map[*user]*socket{alice: a, bob: b} {
				resumed := who.open(s.hello.Head).until(end)
				checkOrder(t, who.id, who.id, resumed)
				want := alicesEdits
				if who == bob {
					want = bobsEdits
				}
				checkEdits(t, "resumed by "+who.id, resumed, want)
			}
			// A session that begins now knows it too.
			checkArchived(t, plans, map[*user]*socket{alice: alice.open(), bob: bob.open()})
			checkLists(t, bob, channelNow{ID: plans, Name: "roadmap", Type: "public", Topic: "what comes", Archived: true, Joined: true})
		})
	}
}

func checkEdits(t *testing.T, who string, frames []frame, want []edited) {
	t.Helper()
	if got := edits(t, frames); !slices.Equal(got, want) {
		t.Errorf("%s was shown\n%+v, want\n%+v", who, got, want)
	}
}

// checkArchived looks at what an archived channel takes: nothing.
func checkArchived(t *testing.T, c string, open map[*user]*socket) {
	t.Helper()
	for who, s := range open {
		if code := s.refused(map[string]any{"type": "message.send", "channel_id": c, "body": "x", "client_msg_id": newMsgID()}); code != "forbidden" {
			t.Errorf("a send over a socket: %s", code)
		}
		if code := who.refused(http.StatusForbidden, "POST", "/channels/"+c+"/messages", map[string]any{"body": "x", "client_msg_id": newMsgID()}); code != "forbidden" {
			t.Errorf("a send over REST: %s", code)
		}
		if code := who.refused(http.StatusBadRequest, "PATCH", "/channels/"+c, map[string]any{"archived": false}); code != "invalid" {
			t.Errorf("bringing it back: %s", code)
		}
		if messages, _ := who.history(c); len(messages) != 1 || messages[0].Body != "before the end" {
			t.Errorf("its history is %+v", messages)
		}
	}
}

// checkLists looks at what the directory shows of a changed channel and of bob, who has another name.
func checkLists(t *testing.T, bob *user, want channelNow) {
	t.Helper()
	var list struct {
		Channels []channelNow
	}
	bob.must(http.StatusOK, "GET", bob.workspace("/channels"), nil, &list)
	if !slices.Contains(list.Channels, want) {
		t.Errorf("the channels are %+v, without %+v", list.Channels, want)
	}
	type person struct {
		Login       string
		DisplayName string `json:"display_name"`
	}
	var me struct{ User person }
	bob.must(http.StatusOK, "GET", "/me", nil, &me)
	var members struct{ Members []person }
	bob.must(http.StatusOK, "GET", bob.workspace("/members"), nil, &members)
	if named := (person{"bob", "Bob Ünal"}); me.User != named || !slices.Contains(members.Members, named) {
		t.Errorf("bob is %+v, among %+v", me.User, members.Members)
	}
}
