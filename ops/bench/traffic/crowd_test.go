//go:build linux

package traffic_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/bench/traffic"
)

// door is a server of sockets that refuses the first so many, and says hello to the rest.
type door struct {
	address string
	mu      sync.Mutex
	asked   []string // what was asked for, in order
	visits  atomic.Int32
}

// refusals is what it says to the first; after them it says hello.
func newDoor(t *testing.T, refusals ...string) *door {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{address: l.Addr().String()}
	var open sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); open.Wait() })
	open.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { d.answer(nc, refusals) })
		}
	})
	return d
}

func (d *door) answer(nc net.Conn, refusals []string) {
	defer func() { _ = nc.Close() }()
	in := bufio.NewReader(nc)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	d.mu.Lock()
	d.asked = append(d.asked, r.URL.RequestURI())
	d.mu.Unlock()
	if n := int(d.visits.Add(1)); n <= len(refusals) {
		fmt.Fprint(nc, refusals[n-1])
		return
	}
	resumed := r.URL.Query().Get("cursor") != ""
	fmt.Fprint(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	for _, text := range []string{
		fmt.Sprintf(`{"type":"hello","epoch":3,"head":41,"resumed":%v}`, resumed),
		`{"type":"typing","channel_id":"c"}`, `{"type":"message.deliver","channel_id":"c","seq":42}`, `{"type":"event","seq":43}`,
	} {
		fmt.Fprintf(nc, "\x81%c%s", byte(len(text)), text)
	}
	_, _ = in.ReadByte() // until the client goes
}

func (d *door) requests() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.asked...)
}

func problem(status int, code string, retryAfter float64) string {
	body := fmt.Sprintf(`{"type":"about:blank","title":"no","status":%d,"code":%q,"retry_after":%v}`, status, code, retryAfter)
	return fmt.Sprintf("HTTP/1.1 %d No\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

func TestACrowdWaitsAsLongAsTheServerSays(t *testing.T) {
	d := newDoor(t, problem(503, "unavailable", 0.2), problem(429, "rate_limited", 0.1))
	c := traffic.NewCrowd(traffic.Place{Address: d.address, Workspace: "w"}, []string{"token"})
	defer c.Scatter()
	r := c.Come(t.Context(), 0)[0]
	if r.Err != nil || r.Resumed || r.Failed != 0 {
		t.Fatalf("%+v", r)
	}
	if got := strings.Join(r.Codes, ", "); got != "503 unavailable, 429 rate_limited" || len(r.Refused) != 2 {
		t.Errorf("refused with %s at %v", got, r.Refused)
	}
	if waited := r.Refused[1] - r.Refused[0]; waited < 200*time.Millisecond {
		t.Errorf("it came back after %v, and was told 200 ms", waited)
	}
	if waited := r.Took - r.Refused[1]; waited < 100*time.Millisecond {
		t.Errorf("it came back after %v, and was told 100 ms", waited)
	}
}

func TestACrowdComesBackAtItsCursor(t *testing.T) {
	d := newDoor(t)
	c := traffic.NewCrowd(traffic.Place{Address: d.address, Workspace: "w"}, []string{"token"})
	defer c.Scatter()
	if r := c.Come(t.Context(), 42)[0]; r.Err != nil || r.Resumed || r.CaughtUp < r.Took {
		t.Fatalf("%+v", r)
	}
	c.Scatter()
	if r := c.Come(t.Context(), 43)[0]; r.Err != nil || !r.Resumed {
		t.Fatalf("%+v", r)
	}
	asked := d.requests()
	if len(asked) != 2 || asked[0] != "/socket?workspace=w" {
		t.Fatalf("asked for %v", asked)
	}
	// Its reader may have seen the next event before it was cut.
	if asked[1] != "/socket?workspace=w&cursor=3.42" && asked[1] != "/socket?workspace=w&cursor=3.43" {
		t.Errorf("came back with %s", asked[1])
	}
}

func TestACrowdDoesNotKnockWhereItMayNotEnter(t *testing.T) {
	d := newDoor(t, problem(401, "unauthenticated", 0))
	c := traffic.NewCrowd(traffic.Place{Address: d.address, Workspace: "w"}, []string{"token"})
	defer c.Scatter()
	if r := c.Come(t.Context(), 0)[0]; r.Err == nil || !strings.Contains(r.Err.Error(), "401 unauthenticated") {
		t.Errorf("%+v", r)
	}
	if n := len(d.requests()); n != 1 {
		t.Errorf("it knocked %d times", n)
	}
}

func TestACrowdEndsWithItsContext(t *testing.T) {
	d := newDoor(t, problem(503, "unavailable", 3600))
	c := traffic.NewCrowd(traffic.Place{Address: d.address, Workspace: "w"}, []string{"token"})
	defer c.Scatter()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if r := c.Come(ctx, 0)[0]; r.Err == nil || len(r.Refused) != 1 {
		t.Errorf("%+v", r)
	}
}
