package cli

import (
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/chat"
)

type chatCmd struct {
	site         `embed:""`
	passwordFile `embed:""`
	As           string        `required:"" placeholder:"LOGIN" help:"Who talks."`
	Workspace    string        `placeholder:"NAME" help:"Name or id (default: your oldest)."`
	Channel      string        `default:"general" placeholder:"NAME" help:"The channel to open first (general)."`
	JSON         bool          `name:"json" help:"Frames in and out, a line each, for scripts."`
	Linger       time.Duration `default:"10s" placeholder:"TIME" help:"How long the answers may take after the end of the input (10s)."`
}

// Help is shown by canopy chat --help.
func (chatCmd) Help() string {
	return `What you type is sent to the channel that is open; /help lists what else there is. The password is the first of these that is there: --password-file, $CANOPY_PASSWORD, run.json, what you type when you are asked. Exit codes: 1 when something was refused or had no answer, 2 for a mistake of yours.`
}

func (c chatCmd) Run(s *session) error {
	url, run, err := c.find(s)
	if err != nil {
		return err
	}
	password, err := c.known(s, c.As, passwordIn(run, c.As))
	if err != nil {
		return err
	}
	if s.Stdin == nil {
		s.Stdin = strings.NewReader("")
	}
	signed, err := s.signIn(url, c.As, password)
	if err != nil {
		return err
	}
	defer s.signOut(signed)
	return chat.Run(s.ctx, chat.Options{
		Client: signed, Workspace: c.Workspace, Channel: c.Channel, In: s.Stdin, Out: s.Stdout, JSON: c.JSON, Linger: c.Linger,
		Program:  s.program(),
		Terminal: isTerminal(s.Stdout) && s.asks() && s.env("NO_COLOR") == "" && s.env("TERM") != "dumb",
	})
}
