package crew

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

// Access is how somebody gets in, on one device.
type Access struct {
	URL       string            // where the region serves REST, and its front sockets
	Sockets   map[string]string // ws:// URLs of gateways, up to /socket, by name
	Workspace string            // id
	Login     string
	Password  string
	Device    string            // «<login>/<n>», which is also how the sign-in is listed
	People    map[string]string // ids of people, by login
}

// How long an op may take.
const (
	sendBudget    = time.Minute      // a message or change over a socket
	restBudget    = 20 * time.Second // anything over REST
	connectBudget = 30 * time.Second // a socket until its hello
	stallBudget   = time.Minute
	closeBudget   = 20 * time.Second
)

// maxConns is how many sockets a device has at once.
const maxConns = 2

// Hand is workload.Hand, for one device. It may be used from many goroutines.
type Hand struct {
	rec *record.Recorder
	as  Access

	mu sync.Mutex
	// Guarded by mu.
	client *client.Client // nil: nobody signed in
	spent  string         // the last token of a sign-in that has ended
	conns  []*conn        // those that are open, and the last of those that were
	made   int            // conns, ever
}

// New makes a hand that has not signed in. It starts nothing.
func New(rec *record.Recorder, as Access) (*Hand, error) {
	if rec == nil || as.Login == "" || as.Device == "" || as.Workspace == "" {
		return nil, errors.New("a hand needs a recorder, a login, a device and a workspace")
	}
	if _, err := client.New(as.URL); err != nil {
		return nil, fmt.Errorf("the device %s: %w", as.Device, err)
	}
	return &Hand{rec: rec, as: as}, nil
}

// errSignedOut is the client's own refusal: nothing is asked without a token.
var errSignedOut = &client.Error{Code: fault.Unauthenticated, Message: "nobody is signed in on this device"}

// What keeps a hand from doing something at all. It was not tried, so nobody refused it.
var (
	errNoConn  = errors.New("there is no such conn")
	errFull    = errors.New("this device has all its conns")
	errGateway = errors.New("there is no such gateway")
	errPerson  = errors.New("there is no such person")
	errUnknown = errors.New("nobody knows how to do that")
)

// Do is workload.Hand.
func (h *Hand) Do(ctx context.Context, op *record.Op) {
	h.rec.Begin(op)
	doubt, err := h.perform(ctx, op)
	judge(op, err, doubt)
	h.rec.Done(*op)
}

// perform does an op. doubt says that a refusal does not settle it: an earlier try may have been taken.
func (h *Hand) perform(ctx context.Context, op *record.Op) (doubt bool, err error) {
	switch op.F {
	case record.Connect:
		return false, h.connect(ctx, op)
	case record.Close:
		return false, h.close(op)
	case record.Stall:
		return false, h.stall(ctx, op)
	case record.Login:
		return false, h.login(ctx)
	}
	h.mu.Lock()
	c := h.client
	h.mu.Unlock()
	if c == nil {
		return false, h.late(ctx, op)
	}
	switch {
	case op.F == record.Probe:
		return false, h.probe(ctx, c, op)
	case op.Over == record.Socket && !alone(op):
		return h.over(ctx, op)
	}
	return h.rest(ctx, c, op)
}

// alone reports whether an op goes out as a request of its own: what the client would not even send, and what it would wait out.
func alone(op *record.Op) bool {
	if op.F != record.Send {
		return false
	}
	_, err := chat.ParseClientMsgID(op.ID)
	return err != nil || op.Phase != ""
}

func (h *Hand) login(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restBudget)
	defer cancel()
	c, err := client.Login(ctx, h.as.URL, h.as.Login, h.as.Password, h.as.Device)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.client = c
	return nil
}

// late does an op when nobody is signed in: a client asks nothing then, but for a page somebody asks who has kept the token.
func (h *Hand) late(ctx context.Context, op *record.Op) error {
	h.mu.Lock()
	token := h.spent
	h.mu.Unlock()
	if token == "" || op.F != record.Page {
		return errSignedOut
	}
	path := fmt.Sprintf("/channels/%s/messages", url.PathEscape(op.Channel))
	return request{method: http.MethodGet, path: path}.ask(ctx, strings.TrimSuffix(h.as.URL, "/"), token)
}

// logout signs out, and keeps the token that must not count any more.
func (h *Hand) logout(ctx context.Context, c *client.Client) error {
	token, err := c.Token(ctx)
	if err != nil {
		return err
	}
	if err := c.Logout(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.client, h.spent = nil, token
	return nil
}

// Open are the conns that have not ended, also while they have no socket: they come back by themselves.
func (h *Hand) Open() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for _, c := range h.conns {
		if c.open() {
			names = append(names, c.name)
		}
	}
	return names
}

// Cursor is up to where a conn was told, also when it has ended; empty when it was told nothing, or is forgotten.
func (h *Hand) Cursor(name string) string {
	if c := h.conn(name); c != nil {
		return c.stood()
	}
	return ""
}

// Shut ends all conns, and waits until they have.
func (h *Hand) Shut() {
	h.mu.Lock()
	all := slices.Clone(h.conns)
	h.mu.Unlock()
	for _, c := range all {
		c.stop()
	}
	for _, c := range all {
		<-c.done
	}
}

func (h *Hand) conn(name string) *conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		if c.name == name {
			return c
		}
	}
	return nil
}
