package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/schemas/chat"
)

// refused sends a request and checks the problem that answers it.
func (w *world) refused(request string, status int, code string, retry bool) {
	w.t.Helper()
	c, resp, err := w.ask(request, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.nc.Close()
	body, err := io.ReadAll(resp.Body)
	var p struct {
		Status     int     `json:"status"`
		Code       string  `json:"code"`
		RetryAfter float64 `json:"retry_after"`
	}
	if err != nil || json.Unmarshal(body, &p) != nil || resp.StatusCode != status || p.Status != status || p.Code != code {
		w.t.Errorf("%.80q: %s %s, want %d %s", request, resp.Status, body, status, code)
	}
	if resp.Header.Get("Content-Type") != "application/problem+json" || (resp.Header.Get("Retry-After") != "") != retry || (p.RetryAfter > 0) != retry {
		w.t.Errorf("%.80q: %v %s", request, resp.Header, body)
	}
}

func TestRefusals(t *testing.T) {
	const bearer = "Authorization: Bearer alice"
	on(t, options{gw: gateway.Config{AllowedOrigins: []string{"https://chat.example"}}}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		w.refused(w.request(""), 401, "unauthenticated", false)
		w.refused(w.request("", "Authorization: Bearer NOT-A-TOKEN"), 401, "unauthenticated", false)
		w.refused(w.request("ticket=x"), 401, "unauthenticated", false)
		w.refused(w.request("", bearer, "Origin: https://evil.example"), 403, "forbidden", false)
		w.refused(w.request("", bearer, "Origin: https://chat.example.evil.example"), 403, "forbidden", false)
		w.refused(w.request("", bearer, "Origin: null"), 403, "forbidden", false)
		for _, id := range []string{"*", "%3E", "w1.x", "W1", "..", "w%00", strings.Repeat("w", 300)} {
			w.refused(w.request("workspace="+id, bearer), 404, "not_found", false)
		}
		w.refused(w.request("workspace=w2", bearer), 404, "not_found", false)
		w.refused(w.request("", "Authorization: Bearer nobody"), 404, "not_found", false)
		w.refused(w.request("workspace=w1", "Authorization: Bearer nobody"), 404, "not_found", false)
		w.refused(w.request("", "Authorization: Bearer many"), 400, "invalid", false)
		for _, cursor := range []string{"1", "x.y", "1.-1", "0.1", "1.1.1", "99999999999.1"} {
			w.refused(w.request("cursor="+cursor, bearer), 400, "invalid", false)
		}
		w.refused(strings.Replace(w.request("", bearer), "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", 1), 400, "invalid", false)
		if n := w.gw.Sockets(); n != 0 || w.feeds.balance() != 0 {
			t.Errorf("%d sockets, %d feeds", n, w.feeds.balance())
		}
	})
}

func TestCredentials(t *testing.T) {
	on(t, options{gw: gateway.Config{AllowedOrigins: []string{"https://chat.example"}}}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		for _, request := range []string{
			w.request("workspace=w1", "Authorization: Bearer alice"),
			w.request("token=alice"),
			w.request("", "Sec-WebSocket-Protocol: canopy.v1, canopy.bearer.alice"),
			w.request("", "Authorization: Bearer alice", "Origin: https://chat.example"),
		} {
			c, resp, err := w.ask(request, nil)
			if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("%q: %v %v", request, resp, err)
			}
			if f := c.read(); f.Type != "hello" || f.UserID != "alice" {
				t.Errorf("%+v", f)
			}
			if err := c.nc.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAFullGateway(t *testing.T) {
	on(t, options{gw: gateway.Config{MaxSockets: 3}}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		var open []*client
		for range 3 {
			w.eventually("there is room", func() bool { // whoever is opening counts as well
				c, err := w.tryOpen("alice", "")
				open = append(open, c)
				return err == nil
			})
		}
		w.refused(w.request("", "Authorization: Bearer alice"), 503, "unavailable", true)
		if err := open[len(open)-1].nc.Close(); err != nil {
			t.Error(err)
		}
		w.eventually("there is room again", func() bool {
			c, err := w.tryOpen("alice", "")
			if err == nil {
				open = append(open, c)
			}
			return err == nil
		})
		for _, c := range open {
			if c != nil {
				_ = c.nc.Close() // one is closed already
			}
		}
	})
}

func TestManyAtTheDoor(t *testing.T) {
	on(t, options{gw: gateway.Config{MaxOpening: 2}}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		slow, asked := make(chan struct{}), make(chan struct{}, 10)
		w.with(func() { w.behind = func(chat.UserID) { asked <- struct{}{}; <-slow } })
		opened := make(chan error, 2)
		for range 2 {
			go func() {
				c, err := w.tryOpen("alice", "")
				if err == nil {
					err = c.nc.Close()
				}
				opened <- err
			}()
			<-asked
		}
		w.refused(w.request("", "Authorization: Bearer alice"), 503, "unavailable", true)
		close(slow)
		for range 2 {
			if err := <-opened; err != nil {
				t.Error(err)
			}
		}
		w.open("alice")
	})
}

func TestAWorkspaceThatMoves(t *testing.T) {
	w := start(t, options{})
	w.member("alice", "c1")
	c := w.open("alice")
	w.with(func() { w.epoch = 2 })
	w.refused(w.request("workspace=w1", "Authorization: Bearer alice"), 503, "unavailable", true)
	c.quiet()
}

// Silent connections, and ones that stop in the middle of their request, stop nobody.
func TestSilentConnections(t *testing.T) {
	for _, d := range []driver{epoll, onStream} {
		t.Run(d.name, func(t *testing.T) {
			w := start(t, options{driver: d})
			w.member("alice", "c1")
			for i := range 500 {
				nc := w.connect()
				t.Cleanup(func() { _ = nc.Close() }) // the server may have ended it
				if i%2 == 0 {
					if _, err := nc.Write([]byte(w.request("", "Authorization: Bearer alice")[:100])); err != nil {
						t.Fatal(err)
					}
				}
			}
			c := w.open("alice") // one after the other they would be waited for much longer than any test waits
			c.write(post("m", "c1", "hi"))
			c.until("message.ack")
			if n := w.gw.Sockets(); n != 1 {
				t.Errorf("%d sockets", n)
			}
		})
	}
}

// What happens while a session opens is neither lost nor shown twice.
func TestTheLogMovesWhileASessionOpens(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		w.member("bob", "c1", "c2")
		w.open("bob") // the feed and one room are there
		for i := range 20 {
			once := true
			w.with(func() {
				w.behind = func(user chat.UserID) {
					if user == "alice" && once {
						once = false
						w.say("c1", "meanwhile")
						w.put(eventOfWorkspace(i))
						w.join("c2", "alice")
						w.say("c2", "new there")
						w.leave("c2", "alice")
						w.say("c2", "not for alice")
					}
				}
			})
			from := w.head()
			c := w.resume("alice", "workspace=w1")
			w.say("c1", fmt.Sprint("after ", i))
			if h := c.hello.Head; h < from {
				t.Errorf("%+v, the head was %d", c.hello, from)
			}
			w.sees(c, "alice", c.hello.Head, w.head())
			if err := c.nc.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
