package app_test

import (
	"fmt"
	"net/http"
	"testing"
)

// A call that came back over REST counts for the socket at once, although its event takes another way to the gateway.
func TestWhoJustJoinedMaySend(t *testing.T) {
	t.Parallel()
	d := up(t, testConfig(t))
	alice, bob := d.signIn("alice"), d.signIn("bob")
	a, b := alice.open(), bob.open()
	for i := range 20 {
		var made struct {
			ID string `json:"id"`
		}
		alice.must(http.StatusCreated, "POST", "/workspaces/"+d.run.Workspace.ID+"/channels", map[string]any{"name": fmt.Sprint("new-", i), "type": "public"}, &made)
		id := a.post(made.ID, "first")
		if ack := a.want("message.ack"); ack.ClientMsgID != id {
			t.Fatalf("ack %s", ack.raw)
		}
		bob.must(http.StatusOK, "POST", "/channels/"+made.ID+"/join", nil, nil)
		id = b.post(made.ID, "second")
		if ack := b.want("message.ack"); ack.ClientMsgID != id {
			t.Fatalf("ack %s", ack.raw)
		}
		bob.must(http.StatusNoContent, "POST", "/channels/"+made.ID+"/leave", nil, nil)
	}
}
