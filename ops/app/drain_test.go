package app_test

import (
	"fmt"
	"testing"
)

// Who is connected when the process stops is told when to come back; what they sent is acknowledged first.
func TestDrain(t *testing.T) {
	d := up(t, testConfig(t))
	alice, bob := d.signIn("alice"), d.signIn("bob")
	general := alice.channel("general")
	a, b := alice.open(), bob.open()
	const sends = 50
	waiting := make(map[string]bool)
	for i := range sends {
		waiting[a.post(general, fmt.Sprint(i))] = true
	}
	a.want("message.ack") // the server has begun to read them
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		d.stop()
	}()
	acked, refused := 1, 0
	for s, who := range map[*socket]string{a: "alice", b: "bob"} {
		moving := 0
		for {
			f, err := s.read()
			if err != nil {
				if code := s.codeOf(err); code != 1012 {
					t.Errorf("%s was closed with %d", who, code)
				}
				break
			}
			switch f.Type {
			case "message.ack":
				acked++
			case "error":
				if f.ClientMsgID != "" && f.Code == "moving" { // it was still on its way when the end began
					refused++
					break
				}
				if moving++; f.Code != "moving" || f.RetryAfter < 0 || f.RetryAfter > d.cfg.Edge.DrainSpread.Seconds() {
					t.Errorf("%s was told %s", who, f.raw)
				}
			}
		}
		if moving != 1 {
			t.Errorf("%s was told to move %d times", who, moving)
		}
	}
	if acked+refused != sends {
		t.Errorf("%d of %d sends were acknowledged, and %d refused", acked, sends, refused)
	}
	<-stopped
	if _, err := alice.dial(""); err == nil {
		t.Error("a socket was opened after the end")
	}
}
