package stranger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger"
)

// patience bounds every wait of these tests.
const patience = 60 * time.Second

// place is a whole Canopy in this process, and the record of what is done there.
type place struct {
	t    *testing.T
	run  app.Running
	rec  *record.Recorder
	text *text

	general, random string // ids of channels
}

// text is what a recorder writes, to be read while it goes on.
type text struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *text) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(b)
}

func up(t *testing.T) *place {
	t.Helper()
	cfg := config.Default(config.Together)
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	cfg.Edge.DrainSpread = 100 * time.Millisecond
	a, err := app.New(cfg, app.AllRoles, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan app.Running, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(r app.Running) { ready <- r }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with: %v", err)
		}
	})
	p := &place{t: t, text: &text{}}
	p.rec = record.NewRecorder(p.text)
	p.rec.Add(record.Line{Run: &record.Run{Site: "here"}})
	select {
	case p.run = <-ready:
	case <-time.After(patience):
		t.Fatal("it did not start in time")
	}
	return p
}

// hand is a new sign-in of somebody.
func (p *place) hand(login, device string) *stranger.Hand {
	p.t.Helper()
	for _, l := range p.run.Logins {
		if l.Login != login {
			continue
		}
		h, err := stranger.New(stranger.Config{Rec: p.rec, REST: p.run.HTTP, Login: login, Password: l.Password, Device: device,
			Workspace: string(p.run.Workspace.ID)})
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(h.Shut)
		p.do(h, record.Op{F: record.Login})
		return h
	}
	p.t.Fatalf("nobody is called %s", login)
	return nil
}

// do does an op that must end with ok.
func (p *place) do(h *stranger.Hand, op record.Op) record.Op {
	p.t.Helper()
	return p.ends(h, record.OK, "", op)
}

// ends does an op that must end in a way.
func (p *place) ends(h *stranger.Hand, want record.Outcome, code string, op record.Op) record.Op {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	h.Do(ctx, &op)
	if op.Outcome != want || op.Code != code {
		p.t.Fatalf("%s ended %s %q, want %s %q: %+v", op.F, op.Outcome, op.Code, want, code, op)
	}
	for _, written := range p.read().Ops {
		if written.N == op.N && written.F == op.F && written.Outcome == want && written.End >= written.Start {
			return op
		}
	}
	p.t.Fatalf("%s is not written down", op.F)
	return op
}

// read is the record so far.
func (p *place) read() *record.Record {
	p.t.Helper()
	if err := p.rec.Flush(); err != nil {
		p.t.Fatal(err)
	}
	p.text.mu.Lock()
	defer p.text.mu.Unlock()
	r, err := record.Read(bytes.NewReader(p.text.buf.Bytes()))
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// told is all that a conn was told.
func (p *place) told(conn string) []record.Told {
	var all []record.Told
	for _, t := range p.read().Told {
		if t.Conn == conn {
			all = append(all, t)
		}
	}
	return all
}

// await waits until a conn was told something.
func (p *place) await(conn, what string, is func(record.Told) bool) record.Told {
	p.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, t := range p.told(conn) {
			if is(t) {
				return t
			}
		}
	}
	p.t.Fatalf("%s was not told %s, but %+v", conn, what, p.told(conn))
	return record.Told{}
}

// at waits for a stored event.
func (p *place) at(conn string, seq int64) record.Told {
	p.t.Helper()
	return p.await(conn, fmt.Sprint("of ", seq), func(t record.Told) bool {
		return t.Seq == seq && (t.T == record.Posted || t.T == record.Changed)
	})
}

// noGap checks that nothing was missing, and nothing wrong.
func (p *place) noGap() {
	p.t.Helper()
	for _, t := range p.read().Told {
		if t.T == record.Gap || t.T == record.Trouble {
			p.t.Errorf("%s was told %+v", t.Conn, t)
		}
	}
}

// setup makes a REST call that is no op, as somebody, and reads its answer.
func (p *place) setup(login, method, path, in string, out any) {
	p.t.Helper()
	var signed struct{ Token string }
	for _, l := range p.run.Logins {
		if l.Login == login {
			p.post("POST", "/login", "", fmt.Sprintf(`{"login":%q,"password":%q}`, l.Login, l.Password), &signed)
		}
	}
	p.post(method, path, signed.Token, in, out)
}

func (p *place) post(method, path, token, in string, out any) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.run.HTTP+path, strings.NewReader(in))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode > 299 {
		p.t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		p.t.Fatal(err)
	}
}

// channels finds the ids of the channels that are there from the beginning.
func (p *place) channels() {
	p.t.Helper()
	var list struct {
		Channels []struct{ ID, Name string }
	}
	p.setup("alice", "GET", "/workspaces/"+string(p.run.Workspace.ID)+"/channels", "", &list)
	for _, c := range list.Channels {
		switch c.Name {
		case "general":
			p.general = c.ID
		case "random":
			p.random = c.ID
		}
	}
	if p.general == "" || p.random == "" {
		p.t.Fatalf("the channels are %+v", list)
	}
}

// channel makes a channel of alice's.
func (p *place) channel(name, kind string) string {
	p.t.Helper()
	var made struct{ ID string }
	p.setup("alice", "POST", "/workspaces/"+string(p.run.Workspace.ID)+"/channels", fmt.Sprintf(`{"name":%q,"type":%q}`, name, kind), &made)
	return made.ID
}
