package operator

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/schemas/chat"
	schema "github.com/canopychat/canopy/schemas/rpc"
)

// WorkspaceCmd is canopy workspace.
type WorkspaceCmd struct {
	Ls           workspaceLsCmd      `cmd:"" help:"List the workspaces of the deployment."`
	Add          workspaceAddCmd     `cmd:"" help:"Make a workspace with the channel general."`
	Rename       workspaceRenameCmd  `cmd:"" help:"Give a workspace another name."`
	Members      workspaceMembersCmd `cmd:"" help:"List the members of a workspace."`
	AddMember    memberAddCmd        `cmd:"" help:"Make an account a member of a workspace."`
	Role         memberRoleCmd       `cmd:"" help:"Give a member another role."`
	RemoveMember memberRemoveCmd     `cmd:"" help:"Take a member out of a workspace."`
	Invite       inviteCmd           `cmd:"" help:"Make an invite and show its link."`
}

// Help is shown by canopy workspace --help.
func (WorkspaceCmd) Help() string {
	return `Examples:

  canopy workspace add "Acme" --owner ada
  canopy workspace add-member grace --role admin --workspace ID
  canopy workspace invite --role guest --channel ID --expires 48h
  canopy workspace members --json

In the log these changes are told as those of the workspace's first owner.`
}

type (
	workspaceLsCmd struct {
		operator `embed:""`
	}
	workspaceAddCmd struct {
		operator `embed:""`
		Name     string `arg:"" help:"Its name."`
		Owner    string `required:"" placeholder:"USER" help:"Login or id of who owns it."`
	}
	workspaceRenameCmd struct {
		inWorkspace `embed:""`
		Name        string `arg:"" help:"The new name."`
	}
	workspaceMembersCmd struct {
		inWorkspace `embed:""`
	}
	memberAddCmd struct {
		inWorkspace `embed:""`
		User        string `arg:"" help:"Login, or id."`
		Role        string `default:"member" help:"owner, admin, member or guest."`
	}
	memberRoleCmd struct {
		inWorkspace `embed:""`
		User        string `arg:"" help:"Login, or id."`
		Role        string `arg:"" help:"owner, admin, member or guest."`
	}
	memberRemoveCmd struct {
		inWorkspace `embed:""`
		User        string `arg:"" help:"Login, or id."`
	}
	inviteCmd struct {
		inWorkspace `embed:""`
		Role        string        `default:"member" help:"admin, member or guest."`
		Expires     time.Duration `default:"168h" help:"How long the link is good for, at most 720h."`
		Uses        int           `default:"1" help:"How many people it brings in."`
		Channel     []string      `sep:"none" placeholder:"ID" help:"A channel that they join; may be repeated (default: general, and none for a guest)."`
		Email       string        `placeholder:"ADDRESS" help:"Send the link there, if the server sends mail."`
	}
)

// Help is shown by canopy workspace ls --help.
func (workspaceLsCmd) Help() string { return WhereHelp }

// Help is shown by canopy workspace add --help.
func (workspaceAddCmd) Help() string { return WhereHelp }

// Help is shown by all commands about one workspace.
func (inWorkspace) Help() string { return WhereHelp }

func (c workspaceLsCmd) Run(s *Session) error {
	return c.ask(s, func(a ctl.Admin, _ ctl.Deployment) error {
		t := c.table(s, "ID", "NAME", "SHARD", "MADE")
		return t.end(a.Workspaces(s.Context, func(w schema.Workspace) error {
			return t.add(w, string(w.WorkspaceID), w.Name, strconv.Itoa(w.Shard), day(w.CreatedAt))
		}))
	})
}

func (c workspaceAddCmd) Run(s *Session) error {
	return c.ask(s, func(a ctl.Admin, _ ctl.Deployment) error {
		w, err := a.AddWorkspace(s.Context, c.Name, c.Owner)
		if err != nil {
			return err
		}
		return c.say(s, w, string(w.WorkspaceID)+"  "+w.Name)
	})
}

func (c workspaceRenameCmd) Run(s *Session) error {
	return c.ask(s, func(a ctl.Admin, ws chat.WorkspaceID) error {
		w, err := a.RenameWorkspace(s.Context, ws, c.Name)
		if err != nil {
			return err
		}
		return c.say(s, w, string(w.WorkspaceID)+"  "+w.Name)
	})
}

func (c workspaceMembersCmd) Run(s *Session) error {
	return c.ask(s, func(a ctl.Admin, ws chat.WorkspaceID) error {
		t := c.table(s, "LOGIN", "NAME", "ROLE", "ACCOUNT", "ID")
		return t.end(a.Members(s.Context, ws, func(m schema.Member) error {
			return t.add(m, m.Login, m.DisplayName, string(m.Role), state(m.Deactivated), string(m.UserID))
		}))
	})
}

// member asks for a change of who belongs to the workspace.
func (c inWorkspace) member(s *Session, who string, req schema.MemberRequest) error {
	if req.Role != "" && !req.Role.Valid() {
		return config.Problemf("%.40q is not a role: owner, admin, member or guest", req.Role)
	}
	return c.ask(s, func(a ctl.Admin, ws chat.WorkspaceID) error {
		req.WorkspaceID = ws
		m, err := a.Member(s.Context, who, req)
		if err != nil {
			return err
		}
		text := m.Login + " is " + string(m.Role) + " of " + string(ws)
		if m.Role == "" {
			text = m.Login + " is no member of " + string(ws)
		}
		return c.say(s, m, text)
	})
}

func (c memberAddCmd) Run(s *Session) error {
	return c.member(s, c.User, schema.MemberRequest{Do: schema.MemberAdd, Role: chat.Role(c.Role)})
}

func (c memberRoleCmd) Run(s *Session) error {
	return c.member(s, c.User, schema.MemberRequest{Do: schema.MemberRole, Role: chat.Role(c.Role)})
}

func (c memberRemoveCmd) Run(s *Session) error {
	return c.member(s, c.User, schema.MemberRequest{Do: schema.MemberRemove})
}

func (c inviteCmd) Run(s *Session) error {
	req := schema.InviteRequest{Role: chat.Role(c.Role), ExpiresIn: int64(c.Expires.Seconds()), MaxUses: c.Uses, Email: c.Email}
	if c.Expires < time.Second || c.Uses < 1 {
		return config.Problemf("--expires is a second or more, and --uses 1 or more")
	}
	for _, channel := range c.Channel {
		id, err := chat.ParseChannelID(channel)
		if err != nil {
			return config.Problemf("--channel: %w", err)
		}
		req.ChannelIDs = append(req.ChannelIDs, id)
	}
	return c.ask(s, func(a ctl.Admin, ws chat.WorkspaceID) error {
		req.WorkspaceID = ws
		made, err := a.Invite(s.Context, req)
		if err != nil {
			return err
		}
		return c.say(s, made, inviteText(made))
	})
}

// inviteText is what to hand over.
func inviteText(i schema.InviteReply) string {
	var text strings.Builder
	if i.URL != "" {
		fmt.Fprintln(&text, i.URL)
	} else {
		fmt.Fprintln(&text, i.Code)
	}
	row(&text, "role", string(i.Role))
	row(&text, "uses", strconv.Itoa(i.MaxUses))
	row(&text, "until", day(i.ExpiresAt))
	switch {
	case i.Sent:
		row(&text, "mail", "on its way to "+i.Email)
	case i.Email != "":
		row(&text, "mail", "not sent: hand the link over yourself")
	}
	return strings.TrimSuffix(text.String(), "\n")
}
