package app_test

import (
	"net/http"
	"testing"
)

// --empty leaves out the conversation, not the people: somebody must be able to sign in.
func TestEmpty(t *testing.T) {
	cfg := testConfig(t)
	cfg.Empty = true
	d := up(t, cfg)
	alice, bob := d.signIn("alice"), d.signIn("bob")
	general := alice.channel("general")
	var page struct {
		Messages []any `json:"messages"`
	}
	alice.must(http.StatusOK, "GET", "/channels/"+general+"/messages", nil, &page)
	if len(page.Messages) != 0 {
		t.Errorf("it holds %v", page.Messages)
	}
	a, b := alice.open(), bob.open()
	a.post(general, "the first")
	if got := b.want("message.deliver"); got.Message.Body != "the first" {
		t.Errorf("%s", got.raw)
	}
}
