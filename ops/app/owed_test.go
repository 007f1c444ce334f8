package app_test

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// browser is what a browser gives that has subscribed to Web Push at an address.
func browser(t *testing.T, endpoint string) map[string]any {
	t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	return map[string]any{"endpoint": endpoint, "keys": map[string]any{"p256dh": text(private.PublicKey().Bytes()), "auth": text([]byte("sixteen bytes 16"))}}
}

// knocks are the requests that an outside server was sent.
type knocks chan knock

// knock is one request: of a webhook, told has what it says.
type knock struct {
	path   string
	header http.Header
	body   []byte
	told   told
}

// told is what a webhook is told of a message.
type told struct {
	ID     string
	Seq    uint64
	UserID string `json:"user_id"`
	Why    string
	Body   string
}

// outside is a server of somebody else: a push service at /push that knows nobody any more, and a receiver of webhooks.
func outside(t *testing.T) (address string, asked knocks) {
	t.Helper()
	asked = make(knocks, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		k := knock{path: r.URL.Path, header: r.Header.Clone(), body: body}
		if k.path == "/push" {
			w.WriteHeader(http.StatusGone)
		} else if err := json.Unmarshal(body, &k.told); err != nil {
			t.Errorf("a webhook is told %.200s: %v", body, err)
		}
		asked <- k
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

// next is the next request.
func (k knocks) next(t *testing.T) knock {
	t.Helper()
	select {
	case one := <-k:
		return one
	case <-time.After(patience):
		t.Fatal("nobody is asked")
		return knock{}
	}
}

// signed reports whether a webhook's secret has signed what was sent (Standard Webhooks).
func (k knock) signed(t *testing.T, secret string) bool {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatalf("the secret %q: %v", secret, err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(k.header.Get("webhook-id") + "." + k.header.Get("webhook-timestamp") + "."))
	mac.Write(k.body)
	return k.header.Get("webhook-signature") == "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// absence is a deployment whose people are not there, and which tells a webhook of what they miss.
type absence struct {
	*deployment
	ada, bob *user
	general  string
	address  string // of the outside
	asked    knocks
	hook     struct{ ID, Secret string }
}

func absent(t *testing.T) *absence {
	t.Helper()
	cfg := testConfig(t)
	cfg.Empty = true
	cfg.Deliver.Grace, cfg.Deliver.FirstRetry, cfg.Deliver.AllowPrivate = 300*time.Millisecond, 100*time.Millisecond, []string{"127.0.0.0/8"}
	a := &absence{deployment: up(t, cfg)}
	a.ada, _ = a.found("ada")
	a.bob, _ = a.ada.invite("bob", "member")
	a.general = a.ada.channel("general")
	a.address, a.asked = outside(t)
	a.ada.must(http.StatusCreated, "POST", a.ada.workspace("/webhooks"), map[string]any{"url": a.address + "/hook"}, &a.hook)
	return a
}

// about is the path of something of a message.
func (a *absence) about(seq uint64, what string) string {
	return fmt.Sprintf("/channels/%s/messages/%d/%s", a.general, seq, what)
}

// outcome is what became of a message for one user.
type outcome struct {
	UserID   string `json:"user_id"`
	Status   string
	Why      string
	Device   string
	Attempts int
	Story    []step
}

// step is a line of its story.
type step struct{ What, Text string }

// becomes waits until a message has a status for a user.
func (a *absence) becomes(seq uint64, of *user, status string) outcome {
	a.t.Helper()
	var got struct {
		Routed     bool
		Recipients []outcome
	}
	deadline := time.Now().Add(patience)
	for ; time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		a.ada.must(http.StatusOK, "GET", a.about(seq, "delivery?user_id="+of.id), nil, &got)
		if len(got.Recipients) == 1 && got.Recipients[0].Status == status {
			return got.Recipients[0]
		}
	}
	a.t.Fatalf("of %d became %+v, not %s", seq, got, status)
	return outcome{}
}

// Who was not there is told by every way that they have, once; and whoever manages the workspace can ask what became of it.
func TestWhoWasNotThereIsTold(t *testing.T) {
	t.Parallel()
	a := absent(t)
	var key struct{ Key string }
	a.bob.must(http.StatusOK, "GET", "/push/key", nil, &key)
	if point, err := base64.RawURLEncoding.DecodeString(key.Key); err != nil || len(point) != 65 {
		t.Errorf("the push key is %q: %v", key.Key, err)
	}
	a.bob.must(http.StatusCreated, "POST", "/me/subscriptions", browser(t, a.address+"/push"), nil)
	seq := a.ada.post(a.general, map[string]any{"body": "@bob the ship sails"}).Seq
	push, hook := a.asked.next(t), a.asked.next(t) // both are asked, whichever is first
	if push.path != "/push" {
		push, hook = hook, push
	}
	if push.path != "/push" || strings.Contains(string(push.body), "sails") || !strings.HasPrefix(push.header.Get("Authorization"), "vapid ") {
		t.Errorf("the push service is sent %s %v %q", push.path, push.header, push.body)
	}
	if hook.path != "/hook" || hook.told.Seq != seq || hook.told.UserID != a.bob.id || hook.told.Why != "mention" || hook.told.Body != "@bob the ship sails" || !hook.signed(t, a.hook.Secret) {
		t.Errorf("the webhook is told %+v: %+v", hook.header, hook.told)
	}
	if got := a.becomes(seq, a.bob, "delivered"); got.Why != "mention" || len(got.Story) < 3 || got.Attempts < 1 {
		t.Errorf("of it became %+v", got)
	}
	a.bob.refused(http.StatusForbidden, "GET", a.about(seq, "delivery"), nil)

	var list struct{ Subscriptions []struct{ ID string } }
	awaits(t, "the browser that has gone is forgotten", func() bool {
		a.bob.must(http.StatusOK, "GET", "/me/subscriptions", nil, &list)
		return len(list.Subscriptions) == 0
	})
	var other struct{ ID string }
	a.bob.must(http.StatusCreated, "POST", "/me/subscriptions", browser(t, a.address+"/push"), &other)
	a.bob.must(http.StatusNoContent, "DELETE", "/me/subscriptions/"+other.ID, nil, nil)

	var hooks struct{ Webhooks []struct{ ID, Secret string } }
	a.ada.must(http.StatusOK, "GET", a.ada.workspace("/webhooks"), nil, &hooks)
	if len(hooks.Webhooks) != 1 || hooks.Webhooks[0].ID != a.hook.ID || hooks.Webhooks[0].Secret != "" {
		t.Errorf("the webhooks are %+v", hooks)
	}
	a.ada.must(http.StatusNoContent, "DELETE", a.ada.workspace("/webhooks/"+a.hook.ID), nil, nil)

	// With nobody left to tell, a device that comes back confirms it.
	later := a.ada.post(a.general, map[string]any{"body": "@bob and now?"}).Seq
	a.becomes(later, a.bob, "pending")
	s := a.bob.open(seq)
	s.until(later)
	s.send(map[string]any{"type": "cursor.delivered", "seq": later})
	s.mark(a.general) // it was taken
	s.cut()           // and is saved now
	if got := a.becomes(later, a.bob, "delivered"); got.Device == "" || len(a.asked) > 0 {
		t.Errorf("of it became %+v", got)
	}
	a.bob.must(http.StatusOK, "POST", "/channels/"+a.general+"/read", map[string]any{"seq": later}, nil)
	a.becomes(later, a.bob, "read")
}

// People say what they want to be told of: what they mute, which words, which threads.
func TestPeopleAreToldWhatTheyWant(t *testing.T) {
	t.Parallel()
	a := absent(t)
	wants := func(fields map[string]any) {
		var got map[string]any
		a.bob.must(http.StatusOK, "PUT", a.bob.workspace("/preferences"), fields, nil)
		a.bob.must(http.StatusOK, "GET", a.bob.workspace("/preferences"), nil, &got)
		if len(got) != len(fields) {
			t.Errorf("bob wants %v, and reads %v", fields, got)
		}
	}
	say := func(body string, thread uint64) uint64 {
		fields := map[string]any{"body": body}
		if thread > 0 {
			fields["thread"] = thread
		}
		return a.ada.post(a.general, fields).Seq
	}
	told := func(why string, seq uint64) {
		t.Helper()
		if k := a.asked.next(t); k.told.Seq != seq || k.told.Why != why || k.told.UserID != a.bob.id {
			t.Errorf("the webhook is told %+v, want %d for %s", k.told, seq, why)
		}
	}
	words := []string{"herring"}
	wants(map[string]any{"muted_channels": []string{a.general}, "keywords": words})
	muted := say("@bob this is not for you", 0)
	awaits(t, "it is decided who is told", func() bool {
		var got struct{ Routed bool }
		a.ada.must(http.StatusOK, "GET", a.about(muted, "delivery"), nil, &got)
		return got.Routed
	})
	if got := a.becomes(muted, a.bob, "pending"); got.Why != "" || got.Attempts != 0 {
		t.Errorf("of what is muted became %+v", got)
	}
	wants(map[string]any{"keywords": words})
	told("keyword", say("there is Herring for lunch", 0))
	root := say("who comes along?", 0)
	thread := a.about(root, "follow")
	a.bob.must(http.StatusNoContent, "PUT", thread, nil, nil)
	told("thread", say("I do", root))
	a.bob.must(http.StatusNoContent, "DELETE", thread, nil, nil)
	say("nobody hears this", root)
	told("channel", say("@channel the end", 0))
}

// What is to be said later is said at its time, once; what was cancelled is not.
func TestWhatWaitsForItsTime(t *testing.T) {
	t.Parallel()
	a := absent(t)
	s := a.bob.open()
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339Nano) }
	var note, never, soon struct{ ID string }
	a.bob.must(http.StatusCreated, "POST", a.bob.workspace("/reminders"), map[string]any{"text": "feed the cat", "at": in(2 * time.Second)}, &note)
	a.bob.must(http.StatusCreated, "POST", "/channels/"+a.general+"/scheduled", map[string]any{"body": "never", "at": in(time.Hour)}, &never)
	a.bob.must(http.StatusCreated, "POST", "/channels/"+a.general+"/scheduled", map[string]any{"body": "good morning", "at": in(4 * time.Second)}, &soon)
	waiting := func() (ids []string) {
		var list struct{ Scheduled []struct{ ID string } }
		a.bob.must(http.StatusOK, "GET", a.bob.workspace("/scheduled"), nil, &list)
		for _, s := range list.Scheduled {
			ids = append(ids, s.ID)
		}
		return ids
	}
	if got := waiting(); !slices.Contains(got, never.ID) {
		t.Errorf("there wait %v", got)
	}
	cancel := a.bob.workspace("/scheduled/" + never.ID)
	a.bob.must(http.StatusNoContent, "DELETE", cancel, nil, nil)
	a.bob.refused(http.StatusNotFound, "DELETE", cancel, nil)
	var said []string
	for len(said) < 2 {
		if f := s.want("message.deliver"); f.Message.SenderID == a.bob.id {
			said = append(said, f.Message.Body)
		}
	}
	if !strings.Contains(said[0], "feed the cat") || said[1] != "good morning" {
		t.Errorf("bob is told %q", said)
	}
	awaits(t, "nothing waits", func() bool { return len(waiting()) == 0 })
	for _, f := range s.mark(a.general) {
		if f.Message != nil && f.Message.Body != "mark" {
			t.Errorf("bob is told once more: %s", f.raw)
		}
	}
}

// What somebody reads on one device is read on all of them.
func TestReadOnEveryDevice(t *testing.T) {
	t.Parallel()
	a := absent(t)
	here, there := a.bob.open(), a.bob.open()
	seq := a.ada.post(a.general, map[string]any{"body": "@bob read this"}).Seq
	here.until(seq)
	there.until(seq)
	unread := func() (n, mentions int) {
		var list struct {
			Cursors []struct {
				ChannelID        string `json:"channel_id"`
				Unread, Mentions int
			}
		}
		a.bob.must(http.StatusOK, "GET", a.bob.workspace("/read"), nil, &list)
		for _, c := range list.Cursors {
			if c.ChannelID == a.general {
				n, mentions = c.Unread, c.Mentions
			}
		}
		return n, mentions
	}
	if n, mentions := unread(); n != 1 || mentions != 1 {
		t.Errorf("%d are unread, %d of them name bob", n, mentions)
	}
	here.send(map[string]any{"type": "cursor.read", "channel_id": a.general, "seq": seq, "ref": "r1"})
	for f := here.want("cursor.read"); f.Ref != "r1"; f = here.want("cursor.read") {
	}
	if f := there.want("cursor.read"); f.ChannelID != a.general || f.Seq != seq {
		t.Errorf("the other device is told %s", f.raw)
	}
	if n, mentions := unread(); n != 0 || mentions != 0 {
		t.Errorf("%d are unread, %d of them name bob", n, mentions)
	}
}
