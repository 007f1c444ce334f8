package token_test

import (
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/token"
)

func TestClaimsThatNoTokenMayHave(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	good := token.Claims{UserID: "u1", SignInID: "s1", IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	if got := (token.Issued{Claims: good}).Lifetime(); got != time.Hour {
		t.Errorf("it lasts %v", got)
	}
	for what, spoil := range map[string]func(*token.Claims){
		"no user":             func(c *token.Claims) { c.UserID = "" },
		"a user's wildcard":   func(c *token.Claims) { c.UserID = "*" },
		"no sign-in":          func(c *token.Claims) { c.SignInID = "" },
		"a sign-in of tokens": func(c *token.Claims) { c.SignInID = "a.b" },
		"no time":             func(c *token.Claims) { c.ExpiresAt = c.IssuedAt },
		"an end before":       func(c *token.Claims) { c.ExpiresAt = c.IssuedAt.Add(-1) },
	} {
		c := good
		if spoil(&c); c.Check() == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
