package site

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// device is what our sign-ins are called.
const device = "canopy verify"

// secondPeople are as many as the second workspace has.
const secondPeople = 3

// Names of channels, the same in both workspaces: what is kept apart must be so by the workspace.
var (
	publicNames = []string{"one", "two", "three"}
	privateName = "secret"
)

// maxAnswer bounds what a call of REST may answer.
const maxAnswer = 1 << 20

// restBudget is of one call of REST that the client package has no method for.
const restBudget = 20 * time.Second

// settled is a workspace that is being made.
type settled struct {
	id     chat.WorkspaceID
	name   string
	people []record.Person
	in     []*client.Client // as people, signed in
	all    []record.Channel
}

// Settle makes two workspaces over REST, as people do: one with so many people in each region, and one with three others. The first of
// the people of each is an admin of it, and has made its channels: general, three public ones that all are in, a private one that every
// second is in, and two or three direct ones. They have the same names in both. The second result is passwords by login. Who made the
// workspaces owns them, and is none of the people. Logins and who is in which direct channel are the
// seed's; to settle twice on one site takes another seed.
func (s *Site) Settle(ctx context.Context, seed uint64, perRegion int) ([]record.Workspace, map[string]string, error) {
	keeper, err := client.Login(ctx, s.URL[s.Regions[0]], s.keeper.login, s.keeper.password, device)
	if err != nil {
		return nil, nil, fmt.Errorf("sign in as %s: %w", s.keeper.login, err)
	}
	passwords := make(map[string]string)
	tag := fmt.Sprintf("%04x", seed&0xffff)
	var first, second []record.Person
	for n := range perRegion {
		for _, region := range s.Regions {
			first = append(first, record.Person{Login: fmt.Sprintf("%s%d-%s", region, n+1, tag), Region: region})
		}
	}
	for n := range secondPeople {
		region := s.Regions[n%len(s.Regions)]
		second = append(second, record.Person{Login: fmt.Sprintf("other%d-%s", n+1, tag), Region: region})
	}
	var spaces []record.Workspace
	for i, people := range [][]record.Person{first, second} {
		w := &settled{name: fmt.Sprintf("Verify %d %s", i+1, tag), people: people}
		if err := s.found(ctx, w, keeper, passwords); err != nil {
			return nil, nil, fmt.Errorf("the workspace %s: %w", w.name, err)
		}
		if err := w.furnish(ctx, rand.New(rand.NewPCG(seed, uint64(i)))); err != nil {
			return nil, nil, fmt.Errorf("the workspace %s: %w", w.name, err)
		}
		for _, in := range w.in {
			if err := in.Logout(ctx); err != nil {
				return nil, nil, fmt.Errorf("sign out: %w", err)
			}
		}
		spaces = append(spaces, record.Workspace{ID: string(w.id), Name: w.name, Channels: w.all, People: w.people})
	}
	if s.hook != nil {
		if err := s.hang(ctx, keeper, spaces[0]); err != nil {
			return nil, nil, fmt.Errorf("the webhook: %w", err)
		}
	}
	s.mu.Lock()
	s.spaces = append(s.spaces, spaces...)
	s.mu.Unlock()
	return spaces, passwords, keeper.Logout(ctx)
}

// found makes a workspace and its people.
func (s *Site) found(ctx context.Context, w *settled, keeper *client.Client, passwords map[string]string) error {
	var made rest.Workspace
	if err := post(ctx, keeper, call{"/workspaces", rest.NewWorkspace{Name: w.name}, &made}); err != nil {
		return err
	}
	w.id = made.ID
	for i := range w.people {
		p := &w.people[i]
		role := chat.RoleMember
		if i == 0 {
			role = chat.RoleAdmin
		}
		invite, err := keeper.CreateInvite(ctx, w.id, rest.NewInvite{Role: role})
		if err != nil {
			return fmt.Errorf("an invite: %w", err)
		}
		passwords[p.Login] = datadir.Password()
		in, err := client.AcceptInvite(ctx, s.URL[p.Region], invite.Code, rest.AcceptInvite{Login: p.Login, Password: passwords[p.Login], Device: device})
		if err != nil {
			return fmt.Errorf("%s: %w", p.Login, err)
		}
		p.ID = string(in.Account().User.ID)
		w.in = append(w.in, in)
	}
	return nil
}

// furnish makes the channels of a workspace, and brings people into them.
func (w *settled) furnish(ctx context.Context, r *rand.Rand) error {
	admin := w.in[0]
	for ch, err := range admin.Channels(ctx, w.id) { // general
		if err != nil {
			return err
		}
		w.has(ch)
	}
	for _, name := range publicNames {
		ch, err := admin.CreateChannel(ctx, w.id, rest.NewChannel{Name: name})
		if err != nil {
			return fmt.Errorf("channel %s: %w", name, err)
		}
		w.has(ch)
		for _, in := range w.in[1:] {
			if _, err := in.Join(ctx, ch.ID); err != nil {
				return fmt.Errorf("join %s: %w", name, err)
			}
		}
	}
	secret, err := admin.CreateChannel(ctx, w.id, rest.NewChannel{Name: privateName, Type: chat.ChannelPrivate})
	if err != nil {
		return fmt.Errorf("channel %s: %w", privateName, err)
	}
	w.has(secret)
	var some rest.AddMembers
	for i := 2; i < len(w.people); i += 2 {
		some.UserIDs = append(some.UserIDs, chat.UserID(w.people[i].ID))
	}
	if len(some.UserIDs) > 0 {
		if err := post(ctx, admin, call{"/channels/" + string(secret.ID) + "/members", some, nil}); err != nil {
			return fmt.Errorf("members of %s: %w", privateName, err)
		}
	}
	return w.direct(ctx, r)
}

// direct opens channels of two, and one of three where there are enough.
func (w *settled) direct(ctx context.Context, r *rand.Rand) error {
	order := r.Perm(len(w.people))
	var groups [][]int
	for i := 0; i+1 < len(order) && i < 4; i += 2 {
		groups = append(groups, order[i:i+2])
	}
	if len(order) >= 3 {
		groups = append(groups, order[:3])
	}
	for _, group := range groups {
		var with []chat.UserID
		for _, i := range group[1:] {
			with = append(with, chat.UserID(w.people[i].ID))
		}
		ch, err := w.in[group[0]].OpenDirect(ctx, w.id, with...)
		if err != nil {
			return fmt.Errorf("a direct channel: %w", err)
		}
		w.has(ch)
	}
	return nil
}

func (w *settled) has(ch rest.Channel) {
	w.all = append(w.all, record.Channel{ID: string(ch.ID), Name: ch.Name, Type: string(ch.Type)})
}

// hang makes our webhook one of a workspace.
func (s *Site) hang(ctx context.Context, keeper *client.Client, space record.Workspace) error {
	var made rest.Webhook
	if err := post(ctx, keeper, call{"/workspaces/" + space.ID + "/webhooks", rest.NewWebhook{URL: s.Hook}, &made}); err != nil {
		return err
	}
	return s.hook.Expect(made.Secret, space.People)
}

// call is a POST that the client package has no method for.
type call struct {
	path    string
	in, out any // out may be nil
}

// post makes a call once.
func post(ctx context.Context, as *client.Client, c call) error {
	ctx, cancel := context.WithTimeout(ctx, restBudget)
	defer cancel()
	body, err := json.Marshal(c.in)
	if err != nil {
		return err
	}
	token, err := as.Token(ctx)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, as.URL()+c.path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		return client.Refusal(answer.StatusCode, text, "")
	}
	if c.out == nil {
		return nil
	}
	return json.Unmarshal(text, c.out)
}
