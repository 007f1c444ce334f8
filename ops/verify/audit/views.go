package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/verify/audit/fold"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra"
)

// eyes are a reader who has signed in.
type eyes struct {
	Reader
	client *client.Client // where they signed in
}

// at is the same reader at another process. It lives as long as an access token.
func (e eyes) at(ctx context.Context, url string) (*client.Client, error) {
	token, err := e.client.Token(ctx)
	if err != nil {
		return nil, err
	}
	return client.FromToken(url, token)
}

// people are who looks at a workspace: its owner first, and somebody of each region.
func (a *Audit) people(ctx context.Context, space string) (all []eyes) {
	took := map[string]bool{}
	for i := range 2 * len(a.Readers) { // owners in the first round
		r := a.Readers[i%len(a.Readers)]
		as := r.Region
		if r.Owner {
			as = "the owner"
		}
		if r.Workspace != space || took[as] || r.Owner != (i < len(a.Readers)) {
			continue
		}
		c, err := a.signIn(ctx, r)
		if err != nil {
			a.Say(fmt.Sprintf("%s cannot sign in to look, so somebody else does: %v", r.Login, err))
			continue
		}
		took[as] = true
		all = append(all, eyes{r, c})
	}
	return all
}

// signIn tries until it is known whether somebody may.
func (a *Audit) signIn(ctx context.Context, r Reader) (c *client.Client, err error) {
	err = a.until(ctx, func(ctx context.Context) (err error) {
		c, err = client.Login(ctx, near(a.APIs, r.Region).URL, r.Login, r.Password, "audit")
		return err
	})
	return c, err
}

// near is a place of a region, or any.
func near(of []Place, region string) Place {
	for _, p := range of {
		if p.Region == region {
			return p
		}
	}
	return of[0]
}

// each has all readers of all workspaces look from all of their places.
func (a *Audit) each(ctx context.Context, places []Place, look func(context.Context, eyes, Place) error) {
	if len(a.APIs) == 0 || len(places) == 0 || len(a.Readers) == 0 {
		a.Say("nobody is known who could look, or no place: left out")
		return
	}
	for _, w := range a.Run.Workspaces {
		readers := a.people(ctx, w.ID)
		if len(readers) == 0 {
			a.miss("somebody looks at %s: nobody of it can sign in", w.Name)
		}
		for _, e := range readers {
			from := places
			if !e.Owner { // who looks everywhere
				from = []Place{near(places, e.Region)}
			}
			for _, p := range from {
				looking, cancel := context.WithTimeout(ctx, a.Patience)
				if err := look(looking, e, p); err != nil {
					a.miss("what %s sees at %s: %v", e.Login, p.Name, err)
				}
				cancel()
			}
			if err := e.client.Logout(ctx); err != nil {
				a.Say(fmt.Sprintf("%s is not signed out: %v", e.Login, err))
			}
		}
	}
}

// Histories writes down every channel's whole history as readers get it by REST, once it is as complete as the log.
func (a *Audit) Histories(ctx context.Context) { a.each(ctx, a.APIs, a.history) }

func (a *Audit) history(ctx context.Context, e eyes, at Place) error {
	c, err := e.at(ctx, at.URL)
	if err != nil {
		return err
	}
	var all []record.Kept
	for ch, err := range c.Channels(ctx, chat.WorkspaceID(e.Workspace)) {
		if err != nil {
			return fmt.Errorf("their channels: %w", err)
		}
		messages, err := a.channel(ctx, c, ch.ID, a.lastOf(e.Workspace, string(ch.ID)))
		if code := client.CodeOf(err); code == fault.NotFound || code == fault.Forbidden {
			continue // they see that it is there, and not what it says
		}
		if err != nil {
			return fmt.Errorf("the channel %s: %w", cmp.Or(ch.Name, string(ch.ID)), err)
		}
		for _, m := range messages {
			all = append(all, record.Kept{View: "history of " + e.Login + " at " + at.Name, Who: e.Login, Space: e.Workspace, Channel: string(ch.ID), Message: m})
		}
	}
	a.keep(all)
	return nil
}

// channel is the whole history of a channel, once it goes up to a seq.
func (a *Audit) channel(ctx context.Context, c *client.Client, ch chat.ChannelID, upTo int64) ([]record.Message, error) {
	err := a.until(ctx, func(ctx context.Context) error {
		page, err := c.History(ctx, ch, client.Page{Limit: 1})
		if err != nil {
			return err
		}
		if int64(page.CompleteThrough) < upTo {
			return fmt.Errorf("it is complete up to %d, and the log goes up to %d", page.CompleteThrough, upTo)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return backwards(func(before chat.Seq) ([]rest.Message, bool, error) {
		page, err := c.History(ctx, ch, client.Page{Before: before, Limit: chat.MaxPageSize})
		return page.Messages, page.HasMore, err
	})
}

// lastOf is the last event of a channel; 0: it is not known.
func (a *Audit) lastOf(space, channel string) int64 {
	for _, e := range slices.Backward(a.logs[space]) {
		if e.Channel == channel {
			return e.Seq
		}
	}
	return 0
}

// errStuck says that a page does not lead on.
var errStuck = errors.New("a page says that there is more, and is empty")

// backwards reads a channel page by page from its end, and answers it newest first.
func backwards(page func(before chat.Seq) (messages []rest.Message, more bool, err error)) (all []record.Message, err error) {
	for before, more := chat.Seq(0), true; more; {
		var messages []rest.Message
		if messages, more, err = page(before); err != nil {
			return nil, err
		}
		for _, m := range messages {
			all, before = append(all, messageOf(m)), m.Seq
		}
		if more && len(messages) == 0 {
			return nil, errStuck
		}
	}
	return all, nil
}

func messageOf(m rest.Message) record.Message {
	return record.Message{
		Seq: int64(m.Seq), Sender: string(m.SenderID), ID: string(m.ClientMsgID), Body: m.Body, Thread: int64(m.Thread),
		Edited: m.EditedAt != nil, Deleted: m.Deleted, Reactions: reactionsOf(m.Reactions),
	}
}

func reactionsOf(all []chat.Reaction) (lines []string) {
	for _, r := range all {
		for _, user := range r.UserIDs {
			lines = append(lines, fold.Reaction(r.Emoji, string(user)))
		}
	}
	slices.Sort(lines)
	return lines
}

func (a *Audit) keep(all []record.Kept) {
	for _, k := range all {
		a.Rec.Add(record.Line{Kept: &k})
	}
}

// Rows writes down every channel as it lies in Cassandra, found through each node alone. They are read as the product reads them, by a
// quorum of replicas: that one replica lacks a row is therefore not seen, that a quorum does is.
func (a *Audit) Rows(ctx context.Context) {
	if len(a.Cassandra) == 0 {
		a.Say("messages are not in Cassandra: its rows are left out")
		return
	}
	for _, host := range a.Cassandra {
		looking, cancel := context.WithTimeout(ctx, a.Patience)
		if err := a.rows(looking, host); err != nil {
			a.miss("the rows that %s has: %v", host, err)
		}
		cancel()
	}
}

func (a *Audit) rows(ctx context.Context, host string) error {
	c := cassandra.Config{Hosts: []string{host}, Keyspace: a.Keyspace, Logger: slog.New(slog.DiscardHandler)}
	if have, known, err := cassandra.SchemaOf(ctx, c); err != nil {
		return err
	} else if have != known { // opening it would change it
		return fmt.Errorf("its tables are at migration %d, and this program knows %d", have, known)
	}
	db, err := cassandra.Open(ctx, c)
	if err != nil {
		return err
	}
	var all []record.Kept
	for _, w := range a.Run.Workspaces {
		for _, ch := range a.channels(w) {
			var messages []record.Message
			if messages, err = stored(ctx, db, chat.ChannelID(ch)); err != nil {
				return errors.Join(fmt.Errorf("the channel %s: %w", ch, err), db.Close())
			}
			for _, m := range messages {
				all = append(all, record.Kept{View: "cassandra " + host, Space: w.ID, Channel: ch, Message: m})
			}
		}
	}
	a.keep(all)
	return db.Close()
}

// stored is a channel as a store has it.
func stored(ctx context.Context, db store.History, ch chat.ChannelID) ([]record.Message, error) {
	return backwards(func(before chat.Seq) ([]rest.Message, bool, error) {
		page, err := db.Page(ctx, store.PageQuery{ChannelID: ch, Before: before, Limit: chat.MaxPageSize})
		return rest.MessageListOf(page.Messages, page.HasMore, 0).Messages, page.HasMore, err
	})
}

// channels are all of a workspace that anybody ever wrote in.
func (a *Audit) channels(w record.Workspace) []string {
	var all []string
	for _, c := range w.Channels {
		all = append(all, c.ID)
	}
	for _, e := range a.logs[w.ID] {
		if e.Channel != "" {
			all = append(all, e.Channel)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
