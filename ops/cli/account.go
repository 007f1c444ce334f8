package cli

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// device is what the sign-ins of these commands are called in the list of one's sessions.
const device = "canopy"

// setupCmd makes what a deployment begins with.
type setupCmd struct {
	site         `embed:""`
	passwordFile `embed:""`
	Workspace    string `required:"" placeholder:"NAME" help:"Name of the workspace to make."`
	Login        string `required:"" placeholder:"NAME" help:"Login of its owner: a to z, digits and ._-+@."`
	Name         string `placeholder:"NAME" help:"What people see (default: the login)."`
	Code         string `placeholder:"CODE" help:"What canopy up --empty printed (default: that of run.json)."`
}

// newPasswordHelp is said by the commands that make an account.
const newPasswordHelp = ` The password of the new account is the first of these that is there: --password-file, $CANOPY_PASSWORD, what you type when you are asked.`

// Help is shown by canopy setup --help.
func (setupCmd) Help() string {
	return `The first visitor of a deployment without accounts makes the owner, the workspace and its channel general.` + newPasswordHelp
}

func (c setupCmd) Run(s *session) error {
	if err := chat.CheckName(c.Workspace); err != nil {
		return config.Problemf("--workspace: %w", err)
	}
	if err := checkNewcomer(c.Login, c.Name); err != nil {
		return err
	}
	address, run, err := c.find(s)
	if err != nil {
		return err
	}
	code := c.Code
	switch {
	case code == "" && c.URL != "":
		return config.Problemf("--url wants --code too: the setup code that the server printed when it started")
	case code == "" && run.Setup == nil:
		return config.Problemf("%s is set up already: sign in, or ask for an invite", address)
	case code == "":
		code = run.Setup.Code
	}
	password, err := c.chosen(s, c.Login)
	if err != nil {
		return err
	}
	signed, err := client.Setup(s.ctx, address, rest.Setup{
		Code: code, Workspace: c.Workspace, Login: c.Login, DisplayName: c.Name, Password: password, Device: device,
	})
	if err != nil {
		return s.refused(address, err)
	}
	defer s.signOut(signed)
	return c.welcome(s, signed.Account())
}

// welcome says what there is now, and what to do with it.
func (c setupCmd) welcome(s *session, me rest.Me) error {
	var text strings.Builder
	for _, ws := range me.Workspaces {
		fmt.Fprintf(&text, "%s is the %s of %s\n", me.User.Login, ws.Role, ws.Name)
		row(&text, "workspace", string(ws.ID))
	}
	fmt.Fprintf(&text, "\nTalk, and let others in by /invite:\n\n  %s\n", c.chatLine(s, me.User.Login))
	_, err := fmt.Fprint(s.Stdout, text.String())
	return err
}

// joinCmd accepts an invite.
type joinCmd struct {
	site         `embed:""`
	passwordFile `embed:""`
	Invite       string `arg:"" help:"The link, or its code."`
	Login        string `placeholder:"NAME" help:"Login of the new account: a to z, digits and ._-+@. You are asked when it is not there."`
	Name         string `placeholder:"NAME" help:"What people see of the new account (default: the login)."`
	As           string `placeholder:"LOGIN" help:"Come in with the account that you have."`
}

// Help is shown by canopy join --help.
func (joinCmd) Help() string {
	return `A link says where the deployment is; a code alone is for that of --url or run.json.` + newPasswordHelp
}

func (c joinCmd) Run(s *session) error {
	code, err := c.invitation()
	if err != nil {
		return err
	}
	address, run, err := c.find(s)
	if err != nil {
		return err
	}
	if c.As != "" {
		return c.comeIn(s, address, code, run)
	}
	switch {
	case c.Login == "" && !s.asks():
		return config.Problemf("--login NAME makes an account; --as LOGIN is the one that you have")
	case c.Login == "":
		if c.Login, err = s.askLine("login of your new account: "); err != nil {
			return err
		}
	}
	if err := checkNewcomer(c.Login, c.Name); err != nil {
		return err
	}
	password, err := c.chosen(s, c.Login)
	if err != nil {
		return err
	}
	signed, err := client.AcceptInvite(s.ctx, address, code, rest.AcceptInvite{
		Login: c.Login, DisplayName: c.Name, Password: password, Device: device,
	})
	if err != nil {
		return s.refused(address, err)
	}
	defer s.signOut(signed)
	me := signed.Account()
	for _, ws := range me.Workspaces {
		err = c.welcome(s, me.User.Login, ws, "")
	}
	return err
}

// comeIn accepts the invite with an account that is there.
func (c joinCmd) comeIn(s *session, address, code string, run config.RunFile) error {
	password, err := c.known(s, c.As, passwordIn(run, c.As))
	if err != nil {
		return err
	}
	signed, err := s.signIn(address, c.As, password)
	if err != nil {
		return err
	}
	defer s.signOut(signed)
	ws, err := signed.Accept(s.ctx, code)
	if err != nil {
		return s.refused(address, err)
	}
	return c.welcome(s, c.As, ws, " --workspace "+shellQuote(ws.Name))
}

func (c joinCmd) welcome(s *session, login string, ws rest.Workspace, more string) error {
	_, err := fmt.Fprintf(s.Stdout, "%s is %s of %s\n\nTalk:\n\n  %s%s\n", login, ws.Role, ws.Name, c.chatLine(s, login), more)
	return err
}

// invitation is the code of what was given. A link says where the deployment is, unless a flag does.
func (c *joinCmd) invitation() (string, error) {
	if c.As != "" && (c.Login != "" || c.Name != "") {
		return "", config.Problemf("--as is an account that is there; --login and --name make a new one")
	}
	link, code, found := c.Invite, c.Invite, false
	if strings.Contains(link, "://") {
		if link, code, found = strings.Cut(c.Invite, "/invites/"); !found {
			return "", config.Problemf("%.200q is not the link of an invite", c.Invite)
		}
		if c.URL == "" && c.Data == "" {
			c.URL = link
		}
	}
	if code == "" || url.PathEscape(code) != code {
		return "", config.Problemf("%.200q is not the code of an invite", code)
	}
	return code, nil
}

// checkNewcomer says what cannot be the login and the name of an account, before a password is asked.
func checkNewcomer(login, name string) error {
	if err := chat.CheckLogin(login); err != nil {
		return config.Problemf("--login: %w", err)
	}
	if err := chat.CheckName(cmp.Or(name, login)); err != nil {
		return config.Problemf("--name: %w", err)
	}
	return nil
}

// passwordIn is the password that run.json has of somebody: those of the demo are there.
func passwordIn(run config.RunFile, login string) string {
	for _, l := range run.Logins {
		if l.Login == login {
			return l.Password
		}
	}
	return ""
}
