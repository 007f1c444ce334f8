package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/ops/deploy"
	"github.com/canopychat/canopy/streams/natsd"
)

var shipped = map[string]string{"hub.conf": string(deploy.HubConf), "leaf.conf": string(deploy.LeafConf)}

// link is what a server says of its link to the hub.
type link struct {
	Interests int   `json:"subscriptions"` // of the hub, that it knows
	InMsgs    int64 `json:"in_msgs"`
	InBytes   int64 `json:"in_bytes"`
	OutMsgs   int64 `json:"out_msgs"`
}

func linkOf(t *testing.T, l *natsd.Leaf) link {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.MonitorURL()+"/leafz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var z struct {
		Leafs []link `json:"leafs"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&z); err != nil || len(z.Leafs) != 1 {
		t.Fatalf("%+v, %v", z, err)
	}
	return z.Leafs[0]
}

// crosses sends a message from one to the other until one arrives: what either wrote before has arrived as well.
func crosses(t *testing.T, from, to *nats.Conn, subject string) {
	t.Helper()
	sub, err := to.SubscribeSync(subject)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection ends with the test
	eventually(t, subject+" crosses", func() error {
		if err := from.Publish(subject, nil); err != nil {
			return err
		}
		_, err := sub.NextMsg(100 * time.Millisecond)
		return err
	})
}

// testIsolation counts what leaf us is told and sent, while gateways of eu listen to a thousand workspaces.
func (s *site) testIsolation(t *testing.T, eu, us *natsd.Leaf) {
	const workspaces = 1000
	listener, bystander, hub := dial(t, eu.ClientURL()), dial(t, us.ClientURL()), s.services()
	crosses(t, bystander, listener, "eph.w1.typing.c1") // both links are up and tell each other
	crosses(t, listener, bystander, "eph.w1.typing.c1")
	before := linkOf(t, us)

	arrived := make(chan *nats.Msg, 10*workspaces)
	for i := range workspaces {
		if _, err := listener.ChanSubscribe(fmt.Sprintf("fan.%d.w%d.>", i%4, i), arrived); err != nil {
			t.Fatal(err)
		}
	}
	last := fmt.Sprintf("fan.%d.w%d.c1", (workspaces-1)%4, workspaces-1)
	eventually(t, "the hub knows the last of them", func() error {
		if err := hub.Publish(last, []byte("first")); err != nil {
			return err
		}
		select {
		case <-arrived:
			return nil
		case <-time.After(100 * time.Millisecond):
			return errors.New("it did not arrive")
		}
	})
	const size = 1000
	for i := range workspaces {
		if err := hub.Publish(fmt.Sprintf("fan.%d.w%d.c1", i%4, i), make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	for n := 0; n < workspaces; {
		select {
		case m := <-arrived:
			if len(m.Data) == size {
				n++
			}
		case <-time.After(wait):
			t.Fatalf("%d of %d events arrived in eu", n, workspaces)
		}
	}
	// A subscription in us that comes after all that: what the hub had to tell us is there when it works.
	crosses(t, hub, bystander, "eph.w2.typing.c1")
	after := linkOf(t, us)
	if grown := after.Interests - before.Interests; grown > 0 {
		t.Errorf("leaf us was told of %d more interests, by %d workspaces of eu", grown, workspaces)
	}
	if got := after.InBytes - before.InBytes; got >= size || after.InMsgs-before.InMsgs > 20 {
		t.Errorf("leaf us was sent %d messages, %d bytes that are for eu", after.InMsgs-before.InMsgs, got)
	}
	// The same for what may cross: the count would have shown it.
	crosses(t, bystander, listener, "eph.w3.typing.c1")
	for i := range 50 {
		if _, err := listener.ChanSubscribe(fmt.Sprintf("eph.w%d.>", 1000+i), arrived); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "interest in eph.> crosses", func() error {
		if got := linkOf(t, us).Interests - after.Interests; got < 50 {
			return fmt.Errorf("%d more interests", got)
		}
		return nil
	})
}
