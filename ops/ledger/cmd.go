// Package ledger is canopy delivery: did somebody get a message, and if not, why not.
//
// The role deliver knows; this package asks it over the hub and shows the answer, as a table with one line a recipient, or
// as the whole story of one of them.
package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/ops/plain"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/rpc"
)

// Session is what the command has from the process it runs in: ops/cli hands it over.
type Session struct {
	Context context.Context // ends with the first signal
	Stdout  io.Writer

	// Reach connects to the deployment and says which workspace is its only one, or that of run.json; empty: it is not known.
	// The caller closes the connection.
	Reach func(operator.Where) (*bus.Conn, chat.WorkspaceID, error)
}

// Cmd is canopy delivery.
type Cmd struct {
	Show showCmd `cmd:"" help:"Show what became of a message, for each recipient or for one."`
}

type showCmd struct {
	operator.Where `embed:""`
	JSON           bool   `name:"json" help:"One JSON object: the message with its recipients and their stories."`
	Message        string `arg:"" help:"The message: its seq (17), its server_msg_id (1.17), or CHANNEL_ID/17."`
	User           string `short:"u" placeholder:"LOGIN" help:"Only this recipient, by login or id, with the whole story."`
	Channel        string `placeholder:"ID" help:"The channel of the message: wanted once the log has forgotten it (after 72 hours)."`
	Workspace      string `short:"w" placeholder:"ID" help:"The workspace (default: that of run.json)."`
}

// Help is shown by canopy delivery show --help.
func (showCmd) Help() string {
	return `A message is, for each member of its channel: read; delivered, by which device or by push; pending, with the next attempt and the last error; expired, because it was deleted, they left, or it is too old; or dead, with the reason (canopy dlq shows such ones, and tries them again).

Examples:

  canopy delivery show 17
  canopy delivery show 17 --user bob
  canopy delivery show 17 --json

Times are UTC. Owners and admins of the workspace see the same at GET /channels/{id}/messages/17/delivery. ` + operator.WhereHelp
}

// Run is of kong.
func (c showCmd) Run(s *Session) error {
	req, err := c.request()
	if err != nil {
		return err
	}
	conn, workspace, err := s.Reach(c.Where)
	if err != nil {
		return err
	}
	defer conn.Close()
	if req.WorkspaceID == "" {
		req.WorkspaceID = workspace
	}
	if req.WorkspaceID == "" {
		return config.Problemf("which workspace? Give its id with --workspace; canopy workspace ls shows them")
	}
	reply, err := whole(s.Context, conn, req)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return config.Problemf("%s", fault.Public(err).Message)
	}
	if errors.Is(err, nats.ErrNoResponders) {
		return errors.New("nobody answers: is a process with the role deliver running? canopy status shows them")
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return plain.Encode(s.Stdout, reply)
	}
	_, err = fmt.Fprint(s.Stdout, textOf(reply, c.User != ""))
	return err
}

// whole asks for all pages.
func whole(ctx context.Context, conn *bus.Conn, req schema.LedgerRequest) (schema.LedgerReply, error) {
	all := schema.LedgerReply{Recipients: []schema.Recipient{}}
	for {
		page, err := rpc.Call[schema.LedgerReply](ctx, conn.NATS(), rpc.Method{Service: streams.ServiceLedger, Method: streams.LedgerShow}, req)
		if err != nil {
			return page, err
		}
		recipients := append(all.Recipients, page.Recipients...)
		all = page
		all.Recipients = recipients
		if req.After = page.Next; page.Next == "" {
			return all, nil
		}
	}
}

// request is what the flags ask.
func (c showCmd) request() (schema.LedgerRequest, error) {
	req := schema.LedgerRequest{Limit: chat.MaxPageSize}
	channel, seq, found := strings.Cut(c.Message, "/")
	if !found {
		channel, seq = c.Channel, c.Message
	}
	if !strings.Contains(seq, ".") {
		seq = "1." + seq // the epoch says nothing that the seq does not
	}
	cursor, err := chat.ParseCursor(seq)
	if err != nil || cursor.Seq == 0 {
		return req, config.Problemf("%.60q names no message: it wants its seq, its server_msg_id, or CHANNEL_ID/SEQ", c.Message)
	}
	req.Seq = cursor.Seq
	if channel != "" {
		if req.ChannelID, err = chat.ParseChannelID(channel); err != nil {
			return req, config.Problemf("--channel: %w", err)
		}
	}
	if c.Workspace != "" {
		if req.WorkspaceID, err = chat.ParseWorkspaceID(c.Workspace); err != nil {
			return req, config.Problemf("--workspace: %w", err)
		}
	}
	switch {
	case c.User == "":
	case chat.IsID(c.User) && len(c.User) == chat.MaxIDLength:
		req.UserID = chat.UserID(c.User)
	default:
		req.Login = c.User
	}
	return req, nil
}

// textOf is the answer for people. Of one recipient it is the story.
func textOf(r schema.LedgerReply, stories bool) string {
	var text strings.Builder
	fmt.Fprintf(&text, "message %s in channel %s, by %s, stored %s\n", chat.Cursor{Epoch: r.Epoch, Seq: r.Seq}, r.ChannelID, name(r.SenderLogin, r.SenderID), stamp(r.StoredAt))
	if r.Deleted {
		text.WriteString("it was deleted since\n")
	}
	if !r.Routed {
		text.WriteString("not routed yet: who is owed it is decided some seconds after it was stored\n")
	}
	if !stories {
		text.WriteString("\n")
		rows := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
		fmt.Fprintln(rows, "USER\tSTATUS\tAT\tOWED AS\tATTEMPTS\tNEXT\tDETAIL") // a Builder takes everything
		for _, u := range r.Recipients {
			fmt.Fprintf(rows, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", name(u.Login, u.UserID), u.Status, stamp(u.At), cmp.Or(u.Why, "-"), u.Attempts, stamp(u.Next), cmp.Or(detail(u), "-"))
		}
		_ = rows.Flush() // into a Builder
		return text.String()
	}
	for _, u := range r.Recipients {
		fmt.Fprintf(&text, "\n%s: %s", name(u.Login, u.UserID), u.Status)
		if d := detail(u); d != "" {
			fmt.Fprintf(&text, ", %s", d)
		}
		text.WriteString("\n")
		for _, step := range u.Story {
			text.WriteString(story(stamp(step.At), step.What, plain.Line(step.Text)))
		}
		if !u.Next.IsZero() {
			text.WriteString(story(stamp(u.Next), "next", fmt.Sprintf("attempt %d", u.Attempts+1)))
		}
	}
	return text.String()
}

// story is one line of a story.
func story(at, what, text string) string {
	return strings.TrimRight(fmt.Sprintf("  %-23s  %-10s %s", at, what, text), " ") + "\n"
}

// detail is what the status alone does not say. People name their devices, and others' servers the errors.
func detail(u schema.Recipient) string {
	switch {
	case u.Reason != "":
		return plain.Line(u.Reason)
	case u.Device != "":
		return "device " + plain.Line(u.Device)
	case u.Error != "" && u.Status == chat.DeliveryPending:
		return "last error: " + plain.Line(u.Error)
	}
	return ""
}

func name(login string, id chat.UserID) string {
	if login != "" {
		return plain.Line(login)
	}
	return string(id)
}

// stamp is a time as a person reads it; a dash where there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000")
}
