package operator

import (
	"strings"

	"github.com/canopychat/canopy/ops/ctl"
	schema "github.com/canopychat/canopy/schemas/rpc"
)

// TokenCmd is canopy token.
type TokenCmd struct {
	Issue      tokenIssueCmd  `cmd:"" help:"Make an access token for an account."`
	RotateKeys tokenRotateCmd `cmd:"" help:"Make another key sign tokens. Those that are out stay good."`
	Keys       tokenKeysCmd   `cmd:"" help:"List the keys that sign and verify tokens."`
}

// Help is shown by canopy token --help.
func (TokenCmd) Help() string {
	return `Examples:

  canopy token issue ada
  canopy token issue ada --json
  canopy token rotate-keys

Whoever has a token is that user until it expires.`
}

type (
	tokenIssueCmd struct {
		oneUser `embed:""`
	}
	tokenRotateCmd struct {
		operator `embed:""`
	}
	tokenKeysCmd struct {
		operator `embed:""`
	}
)

// Help is shown by canopy token rotate-keys --help.
func (tokenRotateCmd) Help() string { return WhereHelp }

// Help is shown by canopy token keys --help.
func (tokenKeysCmd) Help() string { return WhereHelp }

func (c tokenIssueCmd) Run(s *Session) error {
	return c.ask(s, func(a ctl.Admin, _ ctl.Deployment) error {
		issued, err := a.Token(s.Context, c.User)
		if err != nil {
			return err
		}
		return c.say(s, issued, issued.Token)
	})
}

func (c tokenRotateCmd) Run(s *Session) error { return c.keys(s, true) }

func (c tokenKeysCmd) Run(s *Session) error { return c.keys(s, false) }

// shownKey is a key and what it is for.
type shownKey struct {
	schema.SigningKey
	Use []string `json:"use"`
}

func (c operator) keys(s *Session, rotate bool) error {
	return c.ask(s, func(a ctl.Admin, _ ctl.Deployment) error {
		keys, err := a.Keys(s.Context, rotate)
		if err != nil {
			return err
		}
		t := c.table(s, "KEY", "USE", "MADE")
		for i, k := range keys {
			use := []string{"sign", "verify"}
			if i > 0 {
				use = use[1:]
			}
			if err := t.add(shownKey{k, use}, k.ID, strings.Join(use, ", "), day(k.CreatedAt)); err != nil {
				return err
			}
		}
		return t.end(nil)
	})
}
