package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/ops/config"
)

// limited is an empty deployment with other settings.
func limited(t *testing.T, set func(*config.Config)) *deployment {
	t.Helper()
	cfg := testConfig(t)
	cfg.Empty = true
	set(&cfg)
	return up(t, cfg)
}

// wait is how long a refusal asks to wait; it must say.
func wait(t *testing.T, what string, seconds float64) {
	t.Helper()
	if seconds <= 0 || seconds > patience.Seconds() {
		t.Fatalf("%s: the refusal says retry_after %v", what, seconds)
	}
	time.Sleep(time.Duration(seconds * float64(time.Second)))
}

// pour sends n messages at once and reads their answers: how many were stored, and the last refusal.
func (s *socket) pour(channel string, n int) (stored int, last frame) {
	s.t.Helper()
	open := make(map[string]bool)
	for i := range n {
		open[s.post(channel, fmt.Sprint(i))] = true
	}
	for len(open) > 0 {
		switch f := s.next(); f.Type {
		case "message.ack":
			delete(open, f.ClientMsgID)
			stored++
		case "error":
			if !open[f.ClientMsgID] || f.RetryAfter <= 0 {
				s.t.Fatalf("a send is answered %s", f.raw)
			}
			delete(open, f.ClientMsgID)
			last = f
		}
	}
	return stored, last
}

// What one user sends too much of, over all their sockets, is refused; others are not, nothing of it is stored, and after
// the pause it goes on.
func TestAUserSendsTooMuch(t *testing.T) {
	d := limited(t, func(c *config.Config) { c.Limits.UserSends = "2/s burst 4" })
	ada, _ := d.found("ada")
	bob, _ := ada.invite("bob", "member")
	general := ada.channel("general")
	one, two, other := ada.open(), ada.open(), bob.open()
	first, _ := one.pour(general, 4)
	more, last := two.pour(general, 30)
	if first != 4 || last.Code != "rate_limited" || more == 30 {
		t.Errorf("of 4 were stored %d, then of 30 %d; the last is %s", first, more, last.raw)
	}
	if stored, last := other.pour(general, 4); stored != 4 {
		t.Errorf("somebody else is told %s", last.raw)
	}
	if messages, _ := ada.history(general); len(messages) != first+more+4 {
		t.Errorf("%d + %d + 4 were acknowledged, history has %d", first, more, len(messages))
	}
	wait(t, "user_sends", last.RetryAfter)
	one.say(general, "again")
}

// What everybody together sends too much of to one channel is refused there, and nowhere else.
func TestAChannelIsSentTooMuch(t *testing.T) {
	d := limited(t, func(c *config.Config) { c.Limits.ChannelSends = "2/s burst 4" })
	ada, _ := d.found("ada")
	bob, _ := ada.invite("bob", "member")
	general := ada.channel("general")
	a, b := ada.open(), bob.open()
	plans := ada.create("plans", "public")
	first, _ := a.pour(general, 4)
	more, last := b.pour(general, 30)
	if first != 4 || last.Code != "rate_limited" || more == 30 {
		t.Errorf("of 4 were stored %d, then of 30 %d; the last is %s", first, more, last.raw)
	}
	a.say(plans, "elsewhere")
	wait(t, "channel_sends", last.RetryAfter)
	b.say(general, "again")
}

// A socket that brings too many frames is told to wait, another of the same user is not; who does not listen is closed.
func TestASocketBringsTooManyFrames(t *testing.T) {
	d := limited(t, func(c *config.Config) { c.Limits.ConnFrames = "20/s burst 20" })
	ada, _ := d.found("ada")
	s, other := ada.open(), ada.open()
	const pings = 60
	for i := range pings {
		s.send(map[string]any{"type": "ping", "ref": i})
	}
	var pongs int
	var last frame
	for answered := 0; answered < pings; { // what else comes, such as presence, is no answer
		switch f := s.next(); f.Type {
		case "pong":
			answered, pongs = answered+1, pongs+1
		case "error":
			answered++
			if last = f; f.Code != "rate_limited" || f.RetryAfter <= 0 {
				t.Fatalf("too many frames are answered %s", f.raw)
			}
		}
	}
	if pongs < 20 || pongs == pings {
		t.Errorf("of %d pings %d were answered", pings, pongs)
	}
	other.send(map[string]any{"type": "ping", "ref": "other"})
	other.want("pong")
	wait(t, "conn_frames", last.RetryAfter)
	s.send(map[string]any{"type": "ping", "ref": "again"})
	s.want("pong")

	for range 400 {
		s.send(map[string]any{"type": "ping"})
	}
	if code := s.ends(); code != 4429 {
		t.Errorf("a flood ends with %d", code)
	}
	other.send(map[string]any{"type": "ping", "ref": "other"})
	other.want("pong")
}

// ask makes calls until one is refused, and answers when it is worth trying again.
func (u *user) ask(most int) (taken int, retryAfter float64) {
	u.d.t.Helper()
	for taken < most {
		status, text := u.call("GET", "/me", nil)
		if status == http.StatusOK {
			taken++
			continue
		}
		var p struct {
			Code       string
			RetryAfter float64 `json:"retry_after"` // with it comes the header Retry-After: the document says so
		}
		mustJSON(u.d.t, string(text), &p)
		if p.Code != "rate_limited" {
			u.d.t.Fatalf("%d %s", status, text)
		}
		return taken, p.RetryAfter
	}
	return taken, 0
}

// An address that asks too much, over REST or for sockets, is refused; another one is not.
func TestAnAddressAsksTooMuch(t *testing.T) {
	d := limited(t, func(c *config.Config) {
		c.TrustedProxies = []string{"127.0.0.0/8"}
		c.Limits.AddressRequests, c.Limits.AddressConnects, c.Limits.UserRequests = "5/s burst 30", "2/s burst 4", "off"
	})
	ada, _ := d.found("ada")
	here, there := ada.with("X-Forwarded-For", "198.51.100.9, 203.0.113.7"), ada.with("X-Forwarded-For", "203.0.113.7, 198.51.100.9")
	taken, retry := here.ask(500)
	if taken < 30 || taken == 500 {
		t.Errorf("%d requests of one address were taken", taken)
	}
	if taken, _ := there.ask(5); taken != 5 {
		t.Errorf("of another address %d were taken", taken)
	}
	wait(t, "address_requests", retry)
	here.must(http.StatusOK, "GET", "/me", nil, nil)

	knock := func(from string) (status int, retryAfter float64) {
		header := bearer(ada.token)
		header.Set("X-Forwarded-For", from)
		return d.refusal(header, "rate_limited")
	}
	status, retry := 0, 0.0
	for range 50 {
		if status, retry = knock("203.0.113.7"); status != http.StatusSwitchingProtocols {
			break
		}
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("50 sockets of one address: %d", status)
	}
	if status, _ := knock("198.51.100.9"); status != http.StatusSwitchingProtocols {
		t.Errorf("a socket of another address: %d", status)
	}
	wait(t, "address_connects", retry)
	if status, _ := knock("203.0.113.7"); status != http.StatusSwitchingProtocols {
		t.Errorf("after the pause: %d", status)
	}
}

// refusal opens a socket and closes it at once; when it is not opened, that must be by a problem of a code.
func (d *deployment) refusal(header http.Header, code string) (status int, retryAfter float64) {
	d.t.Helper()
	c, err := d.dialWith("workspace="+d.run.Workspace.ID, header)
	if err == nil {
		_ = c.Close()
		return http.StatusSwitchingProtocols, 0
	}
	var refused *wsconn.RefusedError
	if !errors.As(err, &refused) {
		d.t.Fatal(err)
	}
	var p struct {
		Code       string
		RetryAfter float64 `json:"retry_after"`
	}
	mustJSON(d.t, string(refused.Body), &p)
	if p.Code != code || p.RetryAfter <= 0 {
		d.t.Errorf("a socket is refused with %d %s", refused.Status, refused.Body)
	}
	return refused.Status, p.RetryAfter
}

// A user who asks too much over REST is refused, from whatever address; others are not.
func TestAUserAsksTooMuch(t *testing.T) {
	d := limited(t, func(c *config.Config) { c.Limits.UserRequests = "5/s burst 30" })
	ada, _ := d.found("ada")
	bob, _ := ada.invite("bob", "member")
	taken, retry := ada.ask(500)
	if taken == 500 {
		t.Errorf("%d requests of one user were taken", taken)
	}
	bob.must(http.StatusOK, "GET", "/me", nil, nil)
	wait(t, "user_requests", retry)
	ada.must(http.StatusOK, "GET", "/me", nil, nil)
}

// A gateway that is full refuses more, and keeps what it has; one whom too many come to at once lets them in by and by.
func TestAGatewayIsFull(t *testing.T) {
	d := limited(t, func(c *config.Config) { c.Edge.MaxSockets = 2 })
	ada, _ := d.found("ada")
	one, two := ada.open(), ada.open()
	if status, _ := d.refusal(bearer(ada.token), "unavailable"); status != http.StatusServiceUnavailable {
		t.Errorf("a third of two sockets: %d", status)
	}
	one.say(ada.channel("general"), "still here")
	two.cut()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if status, _ := d.refusal(bearer(ada.token), "unavailable"); status == http.StatusSwitchingProtocols {
			break
		}
		if time.Now().After(end) {
			t.Fatal("there is never room again")
		}
	}
}

func TestManyComeAtOnce(t *testing.T) {
	d := limited(t, func(c *config.Config) { c.Edge.Admit = "2/s burst 3" })
	ada, _ := d.found("ada")
	status, retry := 0, 0.0
	for range 40 {
		if status, retry = d.refusal(bearer(ada.token), "unavailable"); status != http.StatusSwitchingProtocols {
			break
		}
	}
	if status != http.StatusServiceUnavailable {
		t.Fatalf("40 sockets at once: %d", status)
	}
	wait(t, "edge.admit", retry)
	if status, _ := d.refusal(bearer(ada.token), "unavailable"); status != http.StatusSwitchingProtocols {
		t.Errorf("after the pause: %d", status)
	}
}
