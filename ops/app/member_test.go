package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// bodies are the texts of the messages among frames.
func bodies(frames []frame) []string {
	var texts []string
	for _, f := range frames {
		if f.Message != nil && f.Message.Body != "mark" {
			texts = append(texts, f.Message.Body)
		}
	}
	return texts
}

// checkBodies compares the messages among frames with texts.
func checkBodies(t *testing.T, what string, frames []frame, want ...string) {
	t.Helper()
	if got := bodies(frames); !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// Joins and leaves count from their place in the log: bob sees what was said while he was in, live and in a resume.
func TestMembershipIsByLogOrder(t *testing.T) {
	t.Parallel()
	for name, ring := range map[string]int{"from the ring": 2048, "from pages of the log": 2} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			cfg.Edge.RingEntries = ring
			d := up(t, cfg)
			alice, bob := d.signIn("alice"), d.signIn("bob")
			general := alice.channel("general")
			a, live := alice.open(), bob.open()
			c := alice.create("club", "private")
			a.joined(c)
			visit := func(what string) {
				a.say(c, what+": before")
				alice.must(http.StatusNoContent, "POST", "/channels/"+c+"/members", map[string]any{"user_ids": []string{bob.id}}, nil)
				a.say(c, what+": inside")
				bob.must(http.StatusNoContent, "POST", "/channels/"+c+"/leave", nil, nil)
				a.say(c, what+": after")
			}
			visit("first")
			visit("second")
			end := a.say(general, "the end")

			want := []string{"first: inside", "second: inside", "the end"}
			checkTenures(t, "live", bob, live.until(end), c, want)
			resumed := bob.open(live.hello.Head)
			checkTenures(t, "resumed", bob, resumed.until(end), c, want)
			checkBodies(t, "a session that begins now", bob.open().mark(general))
		})
	}
}

// checkTenures looks at what somebody saw who was in channel c twice.
func checkTenures(t *testing.T, how string, who *user, frames []frame, c string, want []string) {
	t.Helper()
	checkBodies(t, how, frames, want...)
	checkOrder(t, how, who.id, frames)
	in := false
	for _, f := range frames {
		mine := f.ChannelID == c && f.UserID == who.id
		if f.ChannelID == c && f.Type == "message.deliver" && !in {
			t.Errorf("%s: not in it, but given %s", how, f.raw)
		}
		if mine && f.Kind == "member.joined" {
			in = true
		}
		if mine && f.Kind == "member.left" {
			in = false
		}
	}
	if in {
		t.Errorf("%s: leaving was not shown", how)
	}
}

// Who was away while their membership changed sees the events of their tenure, whenever the cut was.
func TestATenureThatBeganOrEndedWhileAway(t *testing.T) {
	t.Parallel()
	d := up(t, testConfig(t))
	alice, bob := d.signIn("alice"), d.signIn("bob")
	general := alice.channel("general")
	a := alice.open()
	c := alice.create("club", "public")
	a.joined(c)
	path := "/channels/" + c

	away := a.say(general, "bob goes away")
	bob.must(http.StatusOK, "POST", path+"/join", nil, nil)
	a.say(c, "bob is in")
	inside := a.say(c, "still in")
	bob.must(http.StatusNoContent, "POST", path+"/leave", nil, nil)
	a.say(c, "bob is out")
	end := a.say(general, "the end")

	checkBodies(t, "away all the time", bob.open(away).until(end), "bob is in", "still in", "the end")
	checkBodies(t, "cut inside", bob.open(inside-1).until(end), "still in", "the end")
	checkBodies(t, "cut at the last message", bob.open(inside).until(end), "the end")

	s := bob.open(inside)
	if code := s.refused(map[string]any{"type": "message.send", "channel_id": c, "body": "x", "client_msg_id": newMsgID()}); code != "not_found" {
		t.Errorf("who has left sends: %s", code)
	}
	t.Run("who left and came back may send at once", func(t *testing.T) {
		bob.must(http.StatusOK, "POST", path+"/join", nil, nil)
		again := a.say(general, "bob is back")
		// Before he waits for anything: his first frame goes out with the request to open the socket.
		s := bob.open(inside - 1)
		seq := s.say(c, "I am back")
		if seq < again {
			t.Errorf("sent at %d", seq)
		}
	})
}

// What is private is nowhere to be found for who is not in it: not live, not in a resume, not over REST.
func TestWhatIsPrivateIsNotFound(t *testing.T) {
	t.Parallel()
	d := up(t, testConfig(t))
	alice, bob := d.signIn("alice"), d.signIn("bob")
	general := alice.channel("general")
	a, b := alice.open(), bob.open()
	start := b.hello.Head
	secret := alice.create("secret", "private")
	a.joined(secret)
	seq := a.say(secret, "hidden")
	a.do("reaction.add", map[string]any{"channel_id": secret, "seq": seq, "emoji": "👀"})
	a.do("message.edit", map[string]any{"channel_id": secret, "seq": seq, "body": "well hidden"})
	end := a.say(general, "the end")

	for how, frames := range map[string][]frame{"live": b.until(end), "resumed": bob.open(start).until(end)} {
		for _, f := range frames {
			if f.ChannelID != general {
				t.Errorf("%s: %s", how, f.raw)
			}
		}
	}
	for _, call := range []struct {
		method, path string
		body         any
	}{
		{"GET", "", nil}, {"GET", "/messages", nil}, {"GET", "/members", nil}, {"GET", "/pins", nil}, {"POST", "/join", nil}, {"POST", "/leave", nil},
		{"POST", "/members", map[string]any{"user_ids": []string{bob.id}}},
		{"POST", "/messages", map[string]any{"body": "x", "client_msg_id": newMsgID()}},
		{"PATCH", fmt.Sprint("/messages/", seq), map[string]any{"body": "x"}}, {"DELETE", fmt.Sprint("/messages/", seq), nil},
		{"GET", fmt.Sprintf("/messages/%d/replies", seq), nil}, {"PUT", fmt.Sprintf("/messages/%d/reactions/x", seq), nil},
		{"PUT", fmt.Sprint("/pins/", seq), nil}, {"DELETE", fmt.Sprint("/pins/", seq), nil},
	} {
		if code := bob.refused(http.StatusNotFound, call.method, "/channels/"+secret+call.path, call.body); code != "not_found" {
			t.Errorf("%s %s: %s", call.method, call.path, code)
		}
	}
	for _, f := range []map[string]any{
		{"type": "message.send", "channel_id": secret, "body": "x", "client_msg_id": newMsgID()},
		{"type": "message.edit", "channel_id": secret, "seq": seq, "body": "x"}, {"type": "message.delete", "channel_id": secret, "seq": seq},
		{"type": "reaction.add", "channel_id": secret, "seq": seq, "emoji": "x"}, {"type": "reaction.remove", "channel_id": secret, "seq": seq, "emoji": "👀"},
		{"type": "message.send", "channel_id": "nosuchchannel", "body": "x", "client_msg_id": newMsgID()},
		{"type": "message.send", "channel_id": "*", "body": "x", "client_msg_id": newMsgID()},
		{"type": "message.send", "channel_id": "a.b", "body": "x", "client_msg_id": newMsgID()},
		{"type": "message.edit", "channel_id": general, "seq": seq, "body": "x"}, // a message of another channel
	} {
		if code := b.refused(f); code != "not_found" {
			t.Errorf("%v: %s", f, code)
		}
	}
	if messages, _ := alice.history(secret); len(messages) != 1 || messages[0].Body != "well hidden" || len(messages[0].Reactions) != 1 {
		t.Errorf("what bob was refused left something behind: %+v", messages)
	}
}
