package operator

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
)

// UserCmd is canopy user.
type UserCmd struct {
	Ls         userLsCmd       `cmd:"" help:"List the accounts of the deployment."`
	Show       userShowCmd     `cmd:"" help:"Show an account, and the workspaces it belongs to."`
	Add        userAddCmd      `cmd:"" help:"Make an account."`
	Passwd     userPasswdCmd   `cmd:"" help:"Give an account another password. All its sign-ins end."`
	Deactivate userCloseCmd    `cmd:"" help:"Close an account. All its sign-ins end; what it wrote stays."`
	Activate   userOpenCmd     `cmd:"" help:"Open a closed account again."`
	Sessions   userSessionsCmd `cmd:"" help:"List the sign-ins of an account."`
	Revoke     userRevokeCmd   `cmd:"" help:"End one sign-in of an account, or all of them."`
}

// Help is shown by canopy user --help.
func (UserCmd) Help() string {
	return `Examples:

  canopy user ls --json
  canopy user add ada --name "Ada Lovelace" --generate
  canopy user passwd ada --password-file ada.txt
  canopy user revoke ada --all

USER is a login, or the id of an account.`
}

type oneUser struct {
	operator `embed:""`
	User     string `arg:"" help:"Login, or id."`
}

// Help is shown by all commands about one account.
func (oneUser) Help() string { return WhereHelp }

type (
	userLsCmd struct {
		operator `embed:""`
	}
	userShowCmd struct {
		oneUser `embed:""`
	}
	userAddCmd struct {
		oneUser     `embed:""`
		newPassword `embed:""`
		Name        string `help:"What people see (default: the login)."`
		NoPassword  bool   `help:"Nobody can sign in to it with a password: for canopy token issue."`
	}
	userPasswdCmd struct {
		oneUser     `embed:""`
		newPassword `embed:""`
	}
	userCloseCmd struct {
		oneUser `embed:""`
	}
	userOpenCmd struct {
		oneUser `embed:""`
	}
	userSessionsCmd struct {
		oneUser `embed:""`
	}
	userRevokeCmd struct {
		oneUser `embed:""`
		Session string `arg:"" optional:"" help:"The id of the sign-in, as canopy user sessions shows it."`
		All     bool   `help:"All of them."`
	}
)

// Help is shown by canopy user ls --help.
func (userLsCmd) Help() string { return WhereHelp }

func (c userLsCmd) Run(s *Session) error {
	return c.ask(s, func(a ctl.Admin, _ ctl.Deployment) error {
		t := c.table(s, "LOGIN", "NAME", "ACCOUNT", "MADE", "ID")
		return t.end(a.Users(s.Context, func(u schema.Account) error {
			return t.add(u, u.Login, u.DisplayName, state(u.Deactivated), day(u.CreatedAt), string(u.UserID))
		}))
	})
}

// change asks for one change of the account, and shows the account after it.
func (c oneUser) change(s *Session, req schema.UserRequest, show func(schema.UserReply) error) error {
	return c.ask(s, func(a ctl.Admin, _ ctl.Deployment) error {
		reply, err := a.User(s.Context, c.User, req)
		if err != nil {
			return err
		}
		return show(reply)
	})
}

func (c userShowCmd) Run(s *Session) error {
	return c.change(s, schema.UserRequest{}, func(u schema.UserReply) error {
		var text strings.Builder
		fmt.Fprintf(&text, "%s  %s\n", u.Login, u.DisplayName)
		row(&text, "id", string(u.UserID))
		row(&text, "account", state(u.Deactivated))
		row(&text, "made", day(u.CreatedAt))
		row(&text, "sign-ins", strconv.Itoa(len(u.SignIns)))
		for _, w := range u.Workspaces {
			row(&text, string(w.Role), "of "+w.Name+"  "+string(w.WorkspaceID))
		}
		return c.say(s, u, strings.TrimSuffix(text.String(), "\n"))
	})
}

// withPassword is an account and the password that was made for it.
type withPassword struct {
	schema.UserReply
	Password string `json:"password,omitempty"`
}

func (c userAddCmd) Run(s *Session) error {
	req := schema.UserRequest{Do: schema.UserAdd, DisplayName: c.Name}
	if c.NoPassword {
		if c.Generate || c.PasswordFile != "" {
			return config.Problemf("--no-password goes with neither --generate nor --password-file")
		}
		return c.tell(s, req, false)
	}
	password, made, err := c.read(s)
	if err != nil {
		return err
	}
	req.Password = password
	return c.tell(s, req, made)
}

func (c userPasswdCmd) Run(s *Session) error {
	password, made, err := c.read(s)
	if err != nil {
		return err
	}
	return c.tell(s, schema.UserRequest{Do: schema.UserPassword, Password: password}, made)
}

// tell asks for a change and shows the password if it was made here.
func (c oneUser) tell(s *Session, req schema.UserRequest, made bool) error {
	return c.change(s, req, func(u schema.UserReply) error {
		shown := withPassword{UserReply: u}
		text := fmt.Sprintf("%s  %s", u.Login, u.UserID)
		if made {
			shown.Password = req.Password
			text += "\npassword  " + req.Password
		}
		return c.say(s, shown, text)
	})
}

func (c userCloseCmd) Run(s *Session) error {
	return c.change(s, schema.UserRequest{Do: schema.UserDeactivate}, func(u schema.UserReply) error {
		return c.say(s, u, fmt.Sprintf("%s is closed; %s ended", u.Login, signIns(u.Revoked)))
	})
}

func signIns(n int) string {
	if n == 1 {
		return "1 sign-in"
	}
	return strconv.Itoa(n) + " sign-ins"
}

func (c userOpenCmd) Run(s *Session) error {
	return c.change(s, schema.UserRequest{Do: schema.UserActivate}, func(u schema.UserReply) error {
		return c.say(s, u, u.Login+" is open")
	})
}

func (c userSessionsCmd) Run(s *Session) error {
	return c.change(s, schema.UserRequest{}, func(u schema.UserReply) error {
		t := c.table(s, "SESSION", "DEVICE", "ADDRESS", "SIGNED IN", "USED", "LASTS UNTIL")
		for _, in := range u.SignIns {
			if err := t.add(in, string(in.SignInID), in.Device, in.Address, day(in.CreatedAt), day(in.UsedAt), day(in.ExpiresAt)); err != nil {
				return err
			}
		}
		return t.end(nil)
	})
}

func (c userRevokeCmd) Run(s *Session) error {
	if c.All == (c.Session != "") {
		return config.Problemf("name one session, or give --all")
	}
	req := schema.UserRequest{Do: schema.UserRevoke, SignInID: token.SignInID(c.Session)}
	return c.change(s, req, func(u schema.UserReply) error {
		return c.say(s, u, fmt.Sprintf("%s of %s ended", signIns(u.Revoked), u.Login))
	})
}
