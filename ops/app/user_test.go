package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
)

// user is somebody who is signed in.
type user struct {
	d      *deployment
	id     string
	token  string
	header http.Header // of every request, besides
}

// with is the user with another header in every request.
func (u *user) with(name, value string) *user {
	other := *u
	other.header = u.header.Clone()
	if other.header == nil {
		other.header = http.Header{}
	}
	other.header.Set(name, value)
	return &other
}

// mustJSON reads a text that must be JSON.
func mustJSON(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

func (d *deployment) signIn(login string) *user {
	d.t.Helper()
	for _, l := range d.run.Logins {
		if l.Login == login {
			var in struct {
				Token string `json:"token"`
				User  struct {
					ID string `json:"id"`
				} `json:"user"`
			}
			(&user{d: d}).must(http.StatusOK, "POST", "/login", map[string]any{"login": l.Login, "password": l.Password}, &in)
			return &user{d: d, id: in.User.ID, token: in.Token}
		}
	}
	d.t.Fatalf("nobody is called %s", login)
	return nil
}

// call makes a REST call and answers its status and body.
func (u *user) call(method, path string, body any) (int, []byte) {
	u.d.t.Helper()
	status, out, err := u.exchange(method, path, body)
	if err != nil {
		u.d.t.Fatalf("%s %s: %v", method, path, err)
	}
	return status, out
}

// try makes a REST call that may fail, and reads the answer into out.
func (u *user) try(method, path string, body, out any) (int, error) {
	status, text, err := u.exchange(method, path, body)
	if err != nil {
		return 0, err
	}
	return status, json.Unmarshal(text, out)
}

func (u *user) exchange(method, path string, body any) (int, []byte, error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(u.d.t.Context(), method, u.d.run.HTTP+path, in)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, values := range u.header {
		req.Header[name] = values
	}
	if u.token != "" {
		req.Header.Set("Authorization", "Bearer "+u.token)
	}
	resp, err := u.d.http().Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	return resp.StatusCode, out, err
}

// must is call that wants a status, and reads the answer into out.
func (u *user) must(status int, method, path string, body, out any) {
	u.d.t.Helper()
	got, text := u.call(method, path, body)
	if got != status {
		u.d.t.Fatalf("%s %s: %d, want %d: %s", method, path, got, status, text)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			u.d.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
}

// channel is the id of a channel by its name.
func (u *user) channel(name string) string {
	u.d.t.Helper()
	var list struct {
		Channels []struct{ ID, Name string } `json:"channels"`
	}
	u.must(http.StatusOK, "GET", "/workspaces/"+u.d.run.Workspace.ID+"/channels", nil, &list)
	for _, c := range list.Channels {
		if c.Name == name {
			return c.ID
		}
	}
	u.d.t.Fatalf("there is no channel %s", name)
	return ""
}

// workspace is the path of the workspace, and of something in it.
func (u *user) workspace(path string) string { return "/workspaces/" + u.d.run.Workspace.ID + path }

// create makes a channel and answers its id.
func (u *user) create(name, kind string) string {
	u.d.t.Helper()
	var made struct{ ID string }
	u.must(http.StatusCreated, "POST", u.workspace("/channels"), map[string]any{"name": name, "type": kind}, &made)
	return made.ID
}

// reply is what a REST call answers that has put something into the log.
type reply struct {
	Seq         uint64 `json:"seq"`
	ClientMsgID string `json:"client_msg_id"`
	ChannelID   string `json:"channel_id"`
	ServerMsgID string `json:"server_msg_id"`
	TS          string `json:"ts"`
	Status      string `json:"status"`
	Duplicate   bool   `json:"duplicate"`
}

// store makes a REST call that puts something into the log, and answers where it is.
func (u *user) store(status int, method, path string, body any) reply {
	u.d.t.Helper()
	var r reply
	u.must(status, method, path, body, &r)
	return r
}

// posted sends a message over REST, and again while what that needs does not answer.
func (u *user) posted(status int, channel string, fields map[string]any) reply {
	u.d.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		got, text := u.call("POST", "/channels/"+channel+"/messages", fields)
		if got == http.StatusServiceUnavailable && time.Now().Before(end) {
			continue
		}
		var r reply
		if err := json.Unmarshal(text, &r); err != nil || got != status {
			u.d.t.Fatalf("%d, want %d: %v in %s", got, status, err, text)
		}
		return r
	}
}

// post sends a message over REST.
func (u *user) post(channel string, fields map[string]any) reply {
	u.d.t.Helper()
	if _, ok := fields["client_msg_id"]; !ok {
		fields["client_msg_id"] = newMsgID()
	}
	return u.store(http.StatusCreated, "POST", "/channels/"+channel+"/messages", fields)
}

// refused makes a REST call that must fail, and answers the code of the problem.
func (u *user) refused(status int, method, path string, body any) string {
	u.d.t.Helper()
	var p struct{ Code string }
	u.must(status, method, path, body, &p)
	return p.Code
}

// message is a message as history has it.
type message struct {
	Seq         uint64 `json:"seq"`
	ServerMsgID string `json:"server_msg_id"`
	ChannelID   string `json:"channel_id"`
	SenderID    string `json:"sender_id"`
	Body        string `json:"body"`
	ClientMsgID string `json:"client_msg_id"`
	TS          string `json:"ts"`
	Thread      uint64 `json:"thread"`
	EditedAt    string `json:"edited_at"`
	Deleted     bool   `json:"deleted"`
	Reactions   []struct {
		Emoji   string   `json:"emoji"`
		UserIDs []string `json:"user_ids"`
	} `json:"reactions"`
}

// list is a page of messages.
type list struct {
	Messages        []message `json:"messages"`
	HasMore         bool      `json:"has_more"`
	CompleteThrough uint64    `json:"complete_through"`
}

func (u *user) list(path string) list {
	u.d.t.Helper()
	var l list
	u.must(http.StatusOK, "GET", path, nil, &l)
	return l
}

// history is all of a channel, oldest first, and how far it is complete: of its newest page, which is read first.
func (u *user) history(channel string) ([]message, uint64) {
	u.d.t.Helper()
	page := u.list("/channels/" + channel + "/messages?limit=200")
	complete, all := page.CompleteThrough, page.Messages
	for page.HasMore {
		page = u.list(fmt.Sprintf("/channels/%s/messages?limit=200&before=%d", channel, all[len(all)-1].Seq))
		all = append(all, page.Messages...)
	}
	slices.Reverse(all)
	return all, complete
}
