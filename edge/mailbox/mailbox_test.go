package mailbox_test

import (
	"testing"

	"github.com/canopychat/canopy/edge/mailbox"
)

func TestMailbox(t *testing.T) {
	woken, ran := 0, 0
	m := mailbox.Mailbox[string, int]{Wake: func() { woken++ }}
	if !m.Post(func() { ran++ }) || !m.Post(func() { ran += 10 }) || woken != 1 {
		t.Fatalf("woken %d times for two posts", woken)
	}
	m.Note("a")
	m.Note("a")
	m.Note("b")
	m.End(7)
	m.End(7)
	if woken != 3 {
		t.Errorf("woken %d times", woken)
	}
	mail := m.Take()
	for _, fn := range mail.Posts {
		fn()
	}
	if ran != 11 || len(mail.Moved) != 2 || len(mail.Ended) != 1 {
		t.Errorf("ran %d, %+v", ran, mail)
	}
	if again := m.Take(); len(again.Posts)+len(again.Moved)+len(again.Ended) != 0 {
		t.Errorf("again %+v", again)
	}
	m.Note("a")
	if woken != 4 {
		t.Error("not woken after the mail was taken")
	}
	m.Close()
	m.Note("b")
	m.End(8)
	if mail := m.Take(); !m.Closed() || m.Post(func() {}) || len(mail.Moved) != 1 || len(mail.Ended) != 0 {
		t.Errorf("after the end: %+v", mail)
	}
}
