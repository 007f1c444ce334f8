package app_test

import (
	"net/http"
	"testing"
)

func TestTwoPeopleTalk(t *testing.T) {
	d := up(t, testConfig(t))
	alice, bob := d.signIn("alice"), d.signIn("bob")
	general := alice.channel("general")
	a, b := alice.open(), bob.open()
	id := a.post(general, "hello, bob")
	ack := a.want("message.ack")
	if ack.ClientMsgID != id || ack.Duplicate || ack.Seq == 0 || ack.TS == "" {
		t.Fatalf("ack %s", ack.raw)
	}
	got := b.want("message.deliver")
	if got.Seq != ack.Seq || got.Message.Body != "hello, bob" || got.Message.SenderID != alice.id || got.TS != ack.TS || got.Message.TS != ack.TS {
		t.Fatalf("ack %s, delivered %s", ack.raw, got.raw)
	}
	var page struct {
		Messages []struct {
			Seq  uint64 `json:"seq"`
			Body string `json:"body"`
		} `json:"messages"`
		CompleteThrough uint64 `json:"complete_through"`
	}
	bob.must(http.StatusOK, "GET", "/channels/"+general+"/messages", nil, &page)
	if len(page.Messages) == 0 || page.Messages[0].Seq != ack.Seq || page.CompleteThrough < ack.Seq {
		t.Fatalf("history after the ack: %+v", page)
	}
}
