package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ledger"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/rpc"
	"github.com/canopychat/canopy/streams/streamstest"
)

// desk is where an operator sits, with a ledger that says what the test wants.
type desk struct {
	t         *testing.T
	c         *streamstest.Cluster
	workspace chat.WorkspaceID

	mu    sync.Mutex
	asked []schema.LedgerRequest
	says  func(schema.LedgerRequest) (schema.LedgerReply, error)
}

func sit(t *testing.T) *desk {
	t.Helper()
	return &desk{t: t, c: streamstest.Start(t), workspace: "w1"}
}

func (d *desk) dial() (*bus.Conn, error) {
	return bus.Dial(bus.DialConfig{URL: d.c.HubURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
}

// serve answers for the role deliver until the end of the test.
func (d *desk) serve() {
	d.t.Helper()
	conn, err := d.dial()
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	d.t.Cleanup(func() { stop(); serving.Wait(); conn.Close() })
	serving.Go(func() {
		err := rpc.Serve(ctx, conn.NATS(), rpc.Service{Name: streams.ServiceLedger, Version: streams.RoleVersion, Methods: map[streams.Method]rpc.Handler{
			streams.LedgerShow: rpc.Answer(func(_ context.Context, r schema.LedgerRequest) (schema.LedgerReply, error) {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.asked = append(d.asked, r)
				if d.says == nil {
					return schema.LedgerReply{}, nil
				}
				return d.says(r)
			}),
		}}, slog.New(slog.DiscardHandler))
		if err != nil {
			d.t.Error(err)
		}
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, _, err := d.show(func(c *ledger.Cmd) { c.Show.Message = "1" }); err == nil {
			break
		} else if time.Now().After(end) {
			d.t.Fatal(err)
		}
	}
	d.asked = nil
}

// show runs the command and says what it asked for.
func (d *desk) show(set func(*ledger.Cmd)) (string, []schema.LedgerRequest, error) {
	d.t.Helper()
	var c ledger.Cmd
	set(&c)
	var out bytes.Buffer
	err := c.Show.Run(&ledger.Session{Context: d.t.Context(), Stdout: &out, Reach: func(operator.Where) (*bus.Conn, chat.WorkspaceID, error) {
		conn, err := d.dial()
		return conn, d.workspace, err
	}})
	d.mu.Lock()
	defer d.mu.Unlock()
	asked := d.asked
	d.asked = nil
	return out.String(), asked, err
}

func (d *desk) mistake(err error, want string) {
	d.t.Helper()
	if problem := (*config.Problem)(nil); !errors.As(err, &problem) || !strings.Contains(err.Error(), want) {
		d.t.Errorf("%v is no mistake of the person's that says %q", err, want)
	}
}

func TestWhichMessageIsMeant(t *testing.T) {
	d := sit(t)
	d.serve()
	const id = "06h00nyw31xpv3gv2hm65ck7d4"
	for name, x := range map[string]struct {
		set  func(*ledger.Cmd)
		want schema.LedgerRequest
	}{
		"a seq":           {func(c *ledger.Cmd) { c.Show.Message = "17" }, schema.LedgerRequest{WorkspaceID: "w1", Seq: 17}},
		"a server_msg_id": {func(c *ledger.Cmd) { c.Show.Message = "3.17" }, schema.LedgerRequest{WorkspaceID: "w1", Seq: 17}},
		"with its channel": {func(c *ledger.Cmd) { c.Show.Message = "c9/17" },
			schema.LedgerRequest{WorkspaceID: "w1", ChannelID: "c9", Seq: 17}},
		"and flags": {func(c *ledger.Cmd) {
			c.Show.Message, c.Show.Channel, c.Show.Workspace, c.Show.User = "17", "c8", "w2", "bob"
		},
			schema.LedgerRequest{WorkspaceID: "w2", ChannelID: "c8", Seq: 17, Login: "bob"}},
		"somebody by id": {func(c *ledger.Cmd) { c.Show.Message, c.Show.User = "17", id }, schema.LedgerRequest{WorkspaceID: "w1", Seq: 17, UserID: id}},
	} {
		_, asked, err := d.show(x.set)
		if x.want.Limit = chat.MaxPageSize; err != nil || len(asked) != 1 || asked[0] != x.want {
			t.Errorf("%s: %+v, %v", name, asked, err)
		}
	}
	for want, set := range map[string]func(*ledger.Cmd){
		`"none" names no message`: func(c *ledger.Cmd) { c.Show.Message = "none" },
		`"0" names no message`:    func(c *ledger.Cmd) { c.Show.Message = "0" },
		"--channel: ":             func(c *ledger.Cmd) { c.Show.Message = "!/17" },
		"--workspace: ":           func(c *ledger.Cmd) { c.Show.Message, c.Show.Workspace = "17", "!" },
		"which workspace?": func(c *ledger.Cmd) {
			d.workspace = ""
			c.Show.Message = "17"
		},
	} {
		_, asked, err := d.show(set)
		d.mistake(err, want)
		if len(asked) > 0 {
			t.Errorf("it asked %+v", asked)
		}
		d.workspace = "w1"
	}
}

var at = time.Date(2026, 3, 1, 8, 0, 0, 123e6, time.UTC)

func TestWhatIsSaid(t *testing.T) {
	d := sit(t)
	d.says = func(r schema.LedgerRequest) (schema.LedgerReply, error) {
		reply := schema.LedgerReply{WorkspaceID: "w1", ChannelID: "c1", Seq: 17, Epoch: 1, SenderID: "u1", SenderLogin: "ada", StoredAt: at, Routed: true}
		all := []schema.Recipient{
			{UserID: "u2", Login: "bob", Status: chat.DeliveryPending, Why: chat.OwedMention, Next: at.Add(time.Minute), Attempts: 2, Error: "410\x1b[2J Gone", Story: []schema.Step{
				{At: at, What: "stored"}, {At: at.Add(time.Second), What: "attempt", Text: "webhook: two\nlines \u202e"}, {What: "routed"},
			}},
			{UserID: "u3", Login: "carol", Status: chat.DeliveryDelivered, At: at.Add(time.Second), Device: "canopy chat\x07"},
			{UserID: "u4", Status: chat.DeliveryDead, At: at, Why: chat.OwedDirect, Attempts: 10, Reason: "undelivered after 10 attempts"},
		}
		switch {
		case r.Login == "bob":
			reply.Recipients = all[:1]
		case r.Login != "":
			return reply, fault.New(fault.NotFound, "There is no such user")
		case r.After == "":
			reply.Recipients, reply.Next = all[:2], "u3"
		case r.After == "u3":
			reply.Recipients = all[2:]
		}
		return reply, nil
	}
	d.serve()
	out, asked, err := d.show(func(c *ledger.Cmd) { c.Show.Message = "17" })
	if want := `message 1.17 in channel c1, by ada, stored 2026-03-01 08:00:00.123

USER   STATUS     AT                       OWED AS  ATTEMPTS  NEXT                     DETAIL
bob    pending    -                        mention  2         2026-03-01 08:01:00.123  last error: 410\x1b[2J Gone
carol  delivered  2026-03-01 08:00:01.123  -        0         -                        device canopy chat\x07
u4     dead       2026-03-01 08:00:00.123  ` + fmt.Sprintf("%-7s", chat.OwedDirect) + `  10        -                        undelivered after 10 attempts
`; out != want || err != nil || len(asked) != 2 {
		t.Errorf("%d questions, %v:\n%s\nwant\n%s", len(asked), err, out, want)
	}
	out, _, err = d.show(func(c *ledger.Cmd) { c.Show.Message, c.Show.User = "17", "bob" })
	if want := `message 1.17 in channel c1, by ada, stored 2026-03-01 08:00:00.123

bob: pending, last error: 410\x1b[2J Gone
  2026-03-01 08:00:00.123  stored
  2026-03-01 08:00:01.123  attempt    webhook: two lines \u202e
  -                        routed
  2026-03-01 08:01:00.123  next       attempt 3
`; out != want || err != nil {
		t.Errorf("%v:\n%s\nwant\n%s", err, out, want)
	}
	out, _, err = d.show(func(c *ledger.Cmd) { c.Show.Message, c.Show.JSON = "17", true })
	var reply schema.LedgerReply
	if err := json.Unmarshal([]byte(out), &reply); err != nil || len(reply.Recipients) != 3 || reply.Recipients[1].Device != "canopy chat\x07" {
		t.Errorf("%v\n%s", err, out)
	}
	if err != nil || strings.Count(out, "\n") != 1 || strings.ContainsFunc(strings.TrimSuffix(out, "\n"), func(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Cf) }) {
		t.Errorf("%v\n%q", err, out)
	}
	_, _, err = d.show(func(c *ledger.Cmd) { c.Show.Message, c.Show.User = "17", "nobody" })
	d.mistake(err, "There is no such user")
}

func TestWhatIsNotKnownYet(t *testing.T) {
	d := sit(t)
	_, _, err := d.show(func(c *ledger.Cmd) { c.Show.Message = "17" })
	if err == nil || !strings.Contains(err.Error(), "is a process with the role deliver running?") {
		t.Errorf("with nobody to ask: %v", err)
	}
	d.says = func(schema.LedgerRequest) (schema.LedgerReply, error) {
		return schema.LedgerReply{ChannelID: "c1", Seq: 17, Epoch: 1, SenderID: "u1", StoredAt: at, Deleted: true}, nil
	}
	d.serve()
	out, _, err := d.show(func(c *ledger.Cmd) { c.Show.Message = "17" })
	if !strings.HasPrefix(out, "message 1.17 in channel c1, by u1, stored 2026-03-01 08:00:00.123\nit was deleted since\nnot routed yet: ") || err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, _ = d.show(func(c *ledger.Cmd) { c.Show.Message, c.Show.JSON = "17", true })
	if !strings.Contains(out, `"recipients":[]`) {
		t.Error(out)
	}
}
