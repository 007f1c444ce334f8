//go:build linux

package traffic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/ops/bench/rig"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// body is what somebody says: a line mostly, a page sometimes.
func body() string {
	if rand.N(20) == 0 {
		return strings.Repeat("page ", 800)
	}
	return strings.Repeat("word ", 2+rand.N(100))
}

// say sends a frame, and takes no offence when the socket ends meanwhile: others cut it.
func say(s *rig.Socket, frame map[string]any) error {
	text, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	_ = s.Send(text) // what was not sent is not answered, and only answers are counted
	return nil
}

func (m *Mix) send(context.Context) error {
	p, s := m.anybody()
	if s == nil {
		return nil
	}
	return post(s, p.channels[rand.N(len(p.channels))], body())
}

func post(s *rig.Socket, in chat.ChannelID, text string) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	return say(s, map[string]any{"type": "message.send", "channel_id": in, "body": text, "client_msg_id": id})
}

func (m *Mix) edit(context.Context) error {
	p, s := m.anybody()
	if s == nil {
		return nil
	}
	p.mu.Lock()
	what := p.own
	p.mu.Unlock()
	if what.seq == 0 {
		return nil
	}
	return say(s, map[string]any{"type": "message.edit", "channel_id": what.channel, "seq": what.seq, "body": body(), "ref": "edit"})
}

func (m *Mix) react(context.Context) error {
	p, s := m.anybody()
	if s == nil {
		return nil
	}
	p.mu.Lock()
	what := p.seen
	p.mu.Unlock()
	if what.seq == 0 {
		return nil
	}
	kind := "reaction.add"
	if rand.N(3) == 0 {
		kind = "reaction.remove"
	}
	return say(s, map[string]any{"type": kind, "channel_id": what.channel, "seq": what.seq, "emoji": "👍", "ref": "react"})
}

// leave ends a socket: with a close frame and without a word by turns.
func (m *Mix) leave(context.Context) error {
	_, s := m.anybody()
	if s == nil {
		return nil
	}
	m.leaves++
	if m.leaves%2 == 0 {
		m.count("left without a word")
		s.Cut()
		return nil
	}
	m.count("left with a close frame")
	_ = s.Goodbye(fault.CloseNormal) // another may have cut it
	return nil
}

// read reads a page of history, the newest or an older one.
func (m *Mix) read(ctx context.Context) error {
	p, _ := m.anybody()
	if p == nil {
		return nil
	}
	channel := p.channels[rand.N(len(p.channels))]
	path := fmt.Sprintf("/channels/%s/messages?limit=%d", channel, 1+rand.N(100))
	p.mu.Lock()
	seq := p.cursor.Seq
	p.mu.Unlock()
	if rand.N(3) == 0 && seq > 1 {
		path += fmt.Sprintf("&before=%d", 1+rand.N(seq))
	}
	_, text, err := m.rest(ctx, request{method: http.MethodGet, path: path, token: p.call.Token})
	if err == nil && len(text) > 0 {
		m.count("history read")
	}
	return err
}

// login signs in, every fourth time with a wrong password.
func (m *Mix) login(ctx context.Context) error {
	in, want, what := rest.Login{Login: m.o.Login, Password: m.o.Password}, http.StatusOK, "logged in"
	m.logins++
	if m.logins%4 == 0 {
		in.Password, want, what = "wrong", fault.Unauthenticated.Status(), "logins refused"
	}
	got, _, err := m.rest(ctx, request{method: http.MethodPost, path: "/login", body: in, fleeting: true})
	if got == want {
		m.count(what)
		return nil
	}
	return errors.Join(err, fmt.Errorf("login: %d", got))
}

// move has somebody leave a channel and join it again. What is said there meanwhile is refused, as it should be.
func (m *Mix) move(ctx context.Context) error {
	p, _ := m.anybody()
	if p == nil {
		return nil
	}
	channel := p.channels[rand.N(len(p.channels))]
	for _, what := range []string{"leave", "join"} {
		_, _, err := m.rest(ctx, request{method: http.MethodPost, path: "/channels/" + string(channel) + "/" + what, token: p.call.Token})
		if err != nil {
			return err
		}
		m.count("channels " + what)
	}
	return nil
}

// success is the first digit of the status of what was done.
const success = 2

// request is one of REST.
type request struct {
	method, path, token string
	body                any
	fleeting            bool // on a connection of its own
}

// rest asks, and gives the answer's status and text. What is not 2xx is an error too.
func (m *Mix) rest(ctx context.Context, r request) (status int, text []byte, err error) {
	var in io.Reader
	if r.body != nil {
		body, err := json.Marshal(r.body)
		if err != nil {
			return 0, nil, err
		}
		in = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, "http://"+m.o.Address+r.path, in)
	if err != nil {
		return 0, nil, err
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := m.http
	if r.fleeting {
		client = m.fleeting
	}
	answer, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	text, err = io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != success {
		err = fmt.Errorf("%s %s: %s: %.300s", r.method, r.path, answer.Status, text)
	}
	return answer.StatusCode, text, err
}

// garbageBudget bounds a visit of somebody who sends garbage.
const garbageBudget = 5 * time.Second

// rubbish is what no client sends. What begins with a { is put into a frame, the rest is sent as it is.
var rubbish = []string{
	`{`, `{"type":"no.such"}`, `{"type":"message.send"}`, `{"type":"message.send","channel_id":"nowhere","body":"x","client_msg_id":"01936b2e-7c00-7000-8000-000000000001"}`,
	`{"type":"ping","ref":` + strings.Repeat("[", 100), `{"type":"` + "\xff\xfe" + `"}`,
	"\x81\x05hello", "\x82\x81\x00\x00\x00\x00x", "\xf1\x80\x00\x00\x00\x00", "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", "\x81\xfe\x10",
	"\x88\x81\x00\x00\x00\x00x", "\x80\x80\x00\x00\x00\x00", "GET / HTTP/1.1\r\n\r\n",
}

// garbage opens a socket, sends what no client sends, and goes without a word.
func (m *Mix) garbage(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, garbageBudget)
	defer cancel()
	p := m.people[m.o.Slow+rand.N(len(m.people)-m.o.Slow)]
	s, err := rig.Connect(ctx, p.call)
	if err != nil {
		return err
	}
	defer s.Cut()
	if _, err := s.Read(); err != nil { // hello
		return err
	}
	what := rubbish[rand.N(len(rubbish))]
	if strings.HasPrefix(what, "{") {
		err = s.Send([]byte(what))
	} else {
		err = s.SendBytes([]byte(what))
	}
	if err != nil {
		return err
	}
	m.count("garbage sent")
	// What comes next is an error, a close frame, or somebody's message: each is right.
	stop := context.AfterFunc(ctx, s.Cut)
	defer stop()
	_, _ = s.Read() // half a frame gets no answer: the visit ends here
	return nil
}
