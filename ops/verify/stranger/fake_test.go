package stranger_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger"
)

// fake is a server that answers what a test wants.
type fake struct {
	t         *testing.T
	expiresIn int
	signed    atomic.Int64 // how many tokens were given
	refreshed atomic.Int64
	login     func(w http.ResponseWriter) bool             // answers a sign-in itself
	refresh   func()                                       // before a new token is given
	rest      http.HandlerFunc                             // every call but those of tokens
	socket    func(ctx context.Context, c *websocket.Conn) // after hello; the socket ends when it returns
	hello     string

	text text
}

// hand is a hand that has signed in at the fake server; change may alter its Config.
func (f *fake) hand(change func(*stranger.Config)) (*place, *stranger.Hand) {
	f.t.Helper()
	p, h := f.stranger(change)
	if err := h.SignIn(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	return p, h
}

// stranger is a hand that has not signed in.
func (f *fake) stranger(change func(*stranger.Config)) (*place, *stranger.Hand) {
	f.t.Helper()
	if f.expiresIn == 0 {
		f.expiresIn = 900
	}
	server := httptest.NewServer(http.HandlerFunc(f.serve))
	f.t.Cleanup(server.Close)
	p := &place{t: f.t, text: &f.text}
	p.rec = record.NewRecorder(p.text)
	p.rec.Add(record.Line{Run: &record.Run{Site: "fake"}})
	cfg := stranger.Config{Rec: p.rec, REST: server.URL, Login: "ann", Password: "secret", Device: "ann/1", Workspace: "w",
		Sockets: map[string]string{"gw-1": "ws" + strings.TrimPrefix(server.URL, "http") + "/socket"}}
	if change != nil {
		change(&cfg)
	}
	h, err := stranger.New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(h.Shut)
	return p, h
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/token/refresh":
		f.refreshed.Add(1)
		if f.refresh != nil {
			f.refresh()
		}
		fallthrough
	case "/login":
		if f.login != nil && r.URL.Path == "/login" && f.login(w) {
			return
		}
		fmt.Fprintf(w, `{"token":"t%d","refresh_token":"r","expires_in":%d,"session_id":"s","user":{"id":"ann0"}}`, f.signed.Add(1), f.expiresIn)
	case "/socket":
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			f.t.Error(err)
			return
		}
		defer c.CloseNow()
		hello := f.hello
		if hello == "" {
			hello = `"head":10,"resumed":false`
		}
		f.say(c, `{"type":"hello","session_id":"s","user_id":"ann0","workspace_id":"w","epoch":2,"heartbeat_s":30,`+hello+`}`)
		f.socket(r.Context(), c)
	default:
		f.rest(w, r)
	}
}

// say writes frames.
func (f *fake) say(c *websocket.Conn, frames ...string) {
	for _, text := range frames {
		if err := c.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
			f.t.Error(err)
		}
	}
}

// posted is a message.deliver of channel c.
func posted(seq, prev int64) string {
	return fmt.Sprintf(`{"type":"message.deliver","channel_id":"c","seq":%d,"prev":%d,"ts":"2026-01-02T03:04:05.000Z","message":`+
		`{"seq":%d,"server_msg_id":"2.%d","channel_id":"c","sender_id":"bob0","body":"b%d","client_msg_id":"i%d","ts":"2026-01-02T03:04:05.000Z"}}`,
		seq, prev, seq, seq, seq, seq)
}

// story is what a conn was told, in short.
func (p *place) story(conn string) string {
	var words []string
	for _, t := range p.told(conn) {
		word := string(t.T)
		if t.Seq > 0 {
			word += fmt.Sprint(" ", t.Seq)
		}
		if t.Code != "" {
			word += " " + t.Code
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// isOffline reports whether a socket has ended.
func isOffline(t record.Told) bool { return t.T == record.Offline }

// A frame that is withheld is missed, by the prev of the next one of its channel.
func TestAGapIsTold(t *testing.T) {
	t.Parallel()
	f := &fake{t: t}
	f.socket = func(ctx context.Context, c *websocket.Conn) {
		f.say(c, posted(11, 9), posted(12, 11), posted(15, 14), posted(16, 15),
			`{"type":"resync","reason":"gap","head":20}`, posted(22, 20), `{"type":"pong"}`, `[]`, `{"type":"news"}`, `{"type":"event","kind":"x.y","seq":3}`)
		if err := c.Close(4408, "too slow"); err != nil {
			t.Log(err)
		}
	}
	p, h := f.hand(nil)
	op := p.do(h, record.Op{F: record.Connect, Conn: "ann/1/1", At: "gw-1", Cursor: "2.7"})
	if op.Cursor != "2.10" || op.Resumed {
		t.Errorf("it begins at %+v", op)
	}
	p.await("ann/1/1", "that it ended", isOffline)
	want := "hello, posted 11, posted 12, gap 14, posted 15, posted 16, resync gap, posted 22, " +
		"trouble unreadable, trouble unknown_frame, trouble unreadable, offline 4408 too slow"
	if got := p.story("ann/1/1"); got != want {
		t.Errorf("told: %s\nwant: %s", got, want)
	}
	first := p.told("ann/1/1")[0]
	if first.At != "gw-1" || first.Who != "ann" || first.Space != "w" || first.Head != 10 || first.Cursor != "2.10" {
		t.Errorf("hello is %+v", first)
	}
	if got := h.Cursor("ann/1/1"); got != "2.22" {
		t.Errorf("the cursor is %s", got)
	}
	if open := h.Open(); len(open) > 0 {
		t.Errorf("open are %q", open)
	}
}

// Who waits for an answer when the socket ends gets none: it may have been done.
func TestAnEndLeavesWhatWaitsOpen(t *testing.T) {
	t.Parallel()
	f := &fake{t: t, hello: `"head":10,"resumed":true`}
	f.socket = func(ctx context.Context, c *websocket.Conn) {
		if _, _, err := c.Read(ctx); err != nil {
			t.Error(err)
		}
		if err := c.Close(1012, "moving"); err != nil {
			t.Log(err)
		}
	}
	p, h := f.hand(nil)
	if op := p.do(h, record.Op{F: record.Connect, Conn: "c1", Cursor: "2.7"}); op.Cursor != "2.7" || !op.Resumed {
		t.Errorf("it begins at %+v", op)
	}
	p.ends(h, record.Unknown, "the socket has ended: 1012 moving", record.Op{F: record.Send, Conn: "c1", Channel: "c", ID: "i", Body: "b"})
	p.ends(h, record.Unknown, "no such socket is open", record.Op{F: record.Send, Conn: "c1", Over: record.Socket, Channel: "c", ID: "i", Body: "b"})
}

// Whose reading is stopped sees no pong, and does not take that for a dead link.
func TestAStalledSocketLasts(t *testing.T) {
	t.Parallel()
	f := &fake{t: t}
	f.socket = func(ctx context.Context, c *websocket.Conn) { <-c.CloseRead(ctx).Done() } // it answers pings
	p, h := f.hand(func(c *stranger.Config) { c.Beat, c.Silence = 10*time.Millisecond, 2*time.Second })
	p.open(h, "c1", "")
	p.do(h, record.Op{F: record.Stall, Conn: "c1", Limit: 2300})
	p.do(h, record.Op{F: record.Close, Conn: "c1"})
	if got := p.await("c1", "that it ended", isOffline); got.Code != "closed by the client" {
		t.Errorf("it ended with %q", got.Code)
	}
}

// A link that is open on one side only is noticed by the pong that does not come.
func TestAHalfOpenSocketEnds(t *testing.T) {
	t.Parallel()
	f := &fake{t: t}
	done := make(chan struct{})
	f.socket = func(ctx context.Context, _ *websocket.Conn) {
		select { // it reads nothing, so it answers no ping
		case <-done:
		case <-ctx.Done():
		}
	}
	t.Cleanup(func() { close(done) })
	p, h := f.hand(func(c *stranger.Config) { c.Beat, c.Silence = 10*time.Millisecond, 200*time.Millisecond })
	p.open(h, "c1", "")
	end := p.await("c1", "that it ended", isOffline)
	if !strings.HasPrefix(end.Code, "no pong") {
		t.Errorf("it ended with %q", end.Code)
	}
}

// problemOf answers with a problem.
func problemOf(w http.ResponseWriter, status int, code string, retryAfter float64) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"x","title":"x","status":%d,"code":%q,"retry_after":%g}`, status, code, retryAfter)
}

// Which answers are for good, which are tried again, and what a try leaves open.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	send := record.Op{F: record.Send, Channel: "c", ID: "i", Body: "b"}
	edit := record.Op{F: record.Edit, Channel: "c", Message: 3, Body: "b"}
	page := record.Op{F: record.Page, Channel: "c"}
	peak := send
	peak.Phase = "peak"
	type try struct {
		status int
		code   string
	}
	limited, unavailable, internal, forbidden, good := try{429, "rate_limited"}, try{503, "unavailable"}, try{500, "internal"}, try{403, "forbidden"}, try{}
	for name, c := range map[string]struct {
		op    record.Op
		tries []try
		want  record.Outcome
		code  string
	}{
		"a refusal":                                   {send, []try{forbidden}, record.Refused, "forbidden"},
		"a send after its limit":                      {send, []try{limited, unavailable, good}, record.OK, ""},
		"a refusal after a limit":                     {send, []try{limited, forbidden}, record.Refused, "forbidden"},
		"a refusal after a failure":                   {send, []try{internal, forbidden}, record.Unknown, "forbidden"},
		"an edit after its limit":                     {edit, []try{limited, good}, record.OK, ""},
		"an edit that failed is not tried again":      {edit, []try{unavailable}, record.Unknown, "unavailable"},
		"a page after a failure":                      {page, []try{internal, forbidden}, record.Refused, "forbidden"},
		"a refusal is all that a measurement asks":    {peak, []try{limited}, record.Refused, "rate_limited"},
		"so is that it is not available":              {peak, []try{unavailable}, record.Refused, "unavailable"},
		"a failure is none, and is not tried again":   {peak, []try{internal}, record.Unknown, "internal"},
		"a status without a code is for good by 400s": {send, []try{{418, ""}}, record.Refused, "http 418"},
		"and open by 500s":                            {edit, []try{{502, ""}}, record.Unknown, "http 502"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			f := &fake{t: t}
			f.rest = func(w http.ResponseWriter, _ *http.Request) {
				i := int(n.Add(1)) - 1
				switch {
				case i >= len(c.tries):
					t.Errorf("try %d", i)
				case c.tries[i] == good:
					fmt.Fprint(w, `{"seq":7,"status":"stored"}`)
				case c.tries[i].code == "":
					w.WriteHeader(c.tries[i].status)
				default:
					problemOf(w, c.tries[i].status, c.tries[i].code, 0.01)
				}
			}
			p, h := f.hand(nil)
			op := p.ends(h, c.want, c.code, c.op)
			if c.want == record.OK && op.Seq != 7 {
				t.Errorf("it is %+v", op)
			}
			if int(n.Load()) != len(c.tries) {
				t.Errorf("%d tries, want %d", n.Load(), len(c.tries))
			}
			if c.op.Phase != "" && c.want == record.Refused && op.RetryIn != 10*time.Millisecond {
				t.Errorf("to come back after %v", op.RetryIn)
			}
		})
	}
}

// A token that counts no longer is replaced, once for all that notice it.
func TestTokensAreRefreshed(t *testing.T) {
	t.Parallel()
	f := &fake{t: t}
	f.rest = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer t1" {
			problemOf(w, http.StatusUnauthorized, "unauthenticated", 0)
			return
		}
		fmt.Fprint(w, `{"cursors":[{"channel_id":"c","seq":4,"unread":2,"mentions":1}]}`)
	}
	p, h := f.hand(nil)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			op := record.Op{F: record.Marks}
			h.Do(t.Context(), &op)
			if op.Outcome != record.OK || len(op.Read) != 1 || op.Read[0] != (record.ReadAt{Channel: "c", Seq: 4, Unread: 2, Mentions: 1}) {
				t.Errorf("it is %+v", op)
			}
		})
	}
	all.Wait()
	if n := f.refreshed.Load(); n != 1 {
		t.Errorf("refreshed %d times", n)
	}
	if n := len(p.read().Ops); n != 8 {
		t.Errorf("%d ops are written down", n)
	}
}

// Who has not signed in asks nothing: that was not tried, so nobody refused it. A sign-in that is refused changes nothing about that.
func TestBeforeTheSignIn(t *testing.T) {
	t.Parallel()
	f := &fake{t: t, rest: func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was asked", r.URL) }}
	var lets atomic.Bool
	f.login = func(w http.ResponseWriter) (refuses bool) {
		if refuses = !lets.Load(); refuses {
			problemOf(w, http.StatusUnauthorized, "unauthenticated", 0)
		}
		return refuses
	}
	f.socket = func(ctx context.Context, c *websocket.Conn) { <-c.CloseRead(ctx).Done() }
	p, h := f.stranger(nil)
	nothing := func() {
		t.Helper()
		for _, op := range []record.Op{
			{F: record.Send, Channel: "c", ID: "i", Body: "b"}, {F: record.Join, Channel: "c"}, {F: record.Ban, Target: "bob"}, {F: record.Page, Channel: "c"},
			{F: record.Marks}, {F: record.Logout}, {F: record.Revoke, Target: "ann/2"}, {F: record.Connect, Conn: "c1"},
			{F: record.Probe, Over: record.REST, Body: "GET /me"}, {F: record.Probe, Over: "connect", Body: "workspace=w"},
		} {
			p.ends(h, record.Unknown, "nobody has signed in on this device", op)
		}
	}
	nothing()
	p.ends(h, record.Refused, "unauthenticated", record.Op{F: record.Login})
	if err := h.SignIn(t.Context()); err == nil || err.Error() != "sign in as ann: unauthenticated" {
		t.Errorf("signed in: %v", err)
	}
	nothing()
	lets.Store(true)
	p.do(h, record.Op{F: record.Login})
	p.open(h, "c1", "")
}

// What a hand needs, it is told to bring along.
func TestAHandThatIsNone(t *testing.T) {
	good := stranger.Config{Rec: record.NewRecorder(io.Discard), REST: "http://127.0.0.1:1", Login: "ann", Device: "ann/1", Workspace: "w"}
	if _, err := stranger.New(good); err != nil {
		t.Error(err)
	}
	for what, spoil := range map[string]func(*stranger.Config){
		"recorder": func(c *stranger.Config) { c.Rec = nil }, "login": func(c *stranger.Config) { c.Login = "" },
		"device": func(c *stranger.Config) { c.Device = "" }, "workspace": func(c *stranger.Config) { c.Workspace = "" },
		"server": func(c *stranger.Config) { c.REST = "127.0.0.1:1" }, "address": func(c *stranger.Config) { c.REST = "http://\x00" },
	} {
		bad := good
		spoil(&bad)
		if _, err := stranger.New(bad); err == nil {
			t.Errorf("without a %s there is a hand", what)
		}
	}
}

// A second sign-in takes the place of the first, also while somebody waits for a new token of the first; and leaves it alone at the server.
func TestASecondSignInIsTheOneThatCounts(t *testing.T) {
	t.Parallel()
	f := &fake{t: t}
	renewing, signed := make(chan struct{}), make(chan struct{})
	f.refresh = func() {
		close(renewing)
		<-signed
	}
	var asked sync.Map // tokens
	f.rest = func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("Authorization")
		asked.Store(r.URL.Path+" "+token, true)
		if token == "Bearer t1" {
			problemOf(w, http.StatusUnauthorized, "unauthenticated", 0)
			return
		}
		fmt.Fprint(w, `{}`)
	}
	p, h := f.hand(nil)
	waits := make(chan record.Op, 1)
	go func() { // its token is t1, and then the one that it is given for that
		op := record.Op{F: record.Marks}
		h.Do(t.Context(), &op)
		waits <- op
	}()
	<-renewing
	p.do(h, record.Op{F: record.Login}) // t2
	close(signed)
	if op := <-waits; op.Outcome != record.OK {
		t.Errorf("it is %+v", op)
	}
	p.do(h, record.Op{F: record.Join, Channel: "c"})
	if _, second := asked.Load("/channels/c/join Bearer t2"); !second {
		t.Error("the token of the second sign-in was not used")
	}
	if _, out := asked.Load("/logout Bearer t1"); out || f.refreshed.Load() != 1 {
		t.Errorf("signed out: %v, refreshed %d times", out, f.refreshed.Load())
	}
}

// After a sign-out it is for the server to say what the tokens are still good for.
func TestAfterASignOut(t *testing.T) {
	t.Parallel()
	f := &fake{t: t}
	var out atomic.Bool
	f.rest = func(w http.ResponseWriter, _ *http.Request) {
		if out.Swap(true) {
			problemOf(w, http.StatusUnauthorized, "unauthenticated", 0)
		}
	}
	p, h := f.hand(nil)
	p.do(h, record.Op{F: record.Logout})
	p.ends(h, record.Refused, "unauthenticated", record.Op{F: record.Leave, Channel: "c"})
	if f.refreshed.Load() != 1 {
		t.Error("it was refused without being asked")
	}
}

// A message that a hand sent more than once over REST is noted as such; what only waited for its turn, or for a token, is not.
func TestWhatRESTWasSentTwiceIsNoted(t *testing.T) {
	t.Parallel()
	for code, again := range map[string]bool{"internal": true, "unavailable": true, "": true, "rate_limited": false} {
		t.Run("after "+code, func(t *testing.T) {
			t.Parallel()
			f := &fake{t: t}
			var n atomic.Int64
			f.rest = func(w http.ResponseWriter, _ *http.Request) {
				switch {
				case n.Add(1) > 1:
					fmt.Fprint(w, `{"seq":7,"status":"stored"}`)
				case code == "":
					panic(http.ErrAbortHandler) // no answer
				default:
					problemOf(w, http.StatusServiceUnavailable, code, 0.01)
				}
			}
			p, h := f.hand(nil)
			for _, want := range []bool{again, false} {
				op := p.do(h, record.Op{F: record.Send, Channel: "c", ID: "i", Body: "b"})
				if op.Again != want || op.Seq != 7 {
					t.Errorf("it is %+v, want again: %v", op, want)
				}
			}
		})
	}
}

// A send over a socket that was limited is sent again over it; one that failed, under the same id and marked as a retry.
func TestASendIsSentAgainAfterAnAnswer(t *testing.T) {
	t.Parallel()
	f := &fake{t: t}
	var seen []string
	f.socket = func(ctx context.Context, c *websocket.Conn) {
		answers := []string{
			`{"type":"error","code":"rate_limited","message":"x","client_msg_id":"i","retry_after":0.01}`,
			`{"type":"error","code":"unavailable","message":"x","client_msg_id":"i","retry_after":0.01}`,
			`{"type":"message.ack","client_msg_id":"i","channel_id":"c","seq":12,"server_msg_id":"2.12","ts":"x","status":"stored","duplicate":true}`,
		}
		for _, a := range answers {
			_, text, err := c.Read(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			var sent struct {
				ID    string `json:"client_msg_id"`
				Retry bool   `json:"retry"`
			}
			if err := json.Unmarshal(text, &sent); err != nil {
				t.Error(err)
			}
			seen = append(seen, fmt.Sprint(sent.ID, " ", sent.Retry))
			f.say(c, a)
		}
		_, _, err := c.Read(ctx)
		if err == nil {
			t.Error("it was sent again after the ack")
		}
	}
	p, h := f.hand(nil)
	p.open(h, "c1", "")
	op := p.do(h, record.Op{F: record.Send, Conn: "c1", Channel: "c", ID: "i", Body: "b"})
	if op.Seq != 12 || !op.Duplicate || !op.Again {
		t.Errorf("it is %+v", op)
	}
	if got := strings.Join(seen, ", "); got != "i false, i false, i true" {
		t.Errorf("it was sent as %s", got)
	}
}

// What a hand cannot read of a server's answer leaves the op open.
func TestAnAnswerThatIsNotDocumented(t *testing.T) {
	t.Parallel()
	f := &fake{t: t}
	f.rest = func(w http.ResponseWriter, r *http.Request) {
		text := `{"messages":[{"seq":3,"server_msg_id":"2.3","channel_id":"other","sender_id":"bob0","body":"b"}],"has_more":false,"complete_through":3}`
		if r.Method == http.MethodPost {
			text = `{"status":"queued"}`
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Error(err)
		}
	}
	p, h := f.hand(nil)
	p.ends(h, record.Unknown, "the page of c has message 2.3 of other", record.Op{F: record.Page, Channel: "c"})
	p.ends(h, record.Unknown, "the answer does not say where it was stored", record.Op{F: record.Send, Channel: "c", ID: "i", Body: "b"})
	p.ends(h, record.Unknown, `there is no gateway "gw-9"`, record.Op{F: record.Connect, Conn: "c1", At: "gw-9"})
	p.ends(h, record.Unknown, `a hand does not do "notify"`, record.Op{F: record.Notify})
}
