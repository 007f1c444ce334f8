// Package demo is what a deployment has at its first start, unless it shall be empty: a workspace with people, channels and
// a conversation. It is made with the same calls that people make.
package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/store"
)

// demoName is what the workspace of the first start is called.
const demoName = "Demo"

// The demo's people and channels.
var (
	demoPeople   = []struct{ login, name string }{{"alice", "Alice"}, {"bob", "Bob"}}
	demoChannels = []struct{ name, topic string }{{"general", "What concerns everybody"}, {"random", "Everything else"}}
)

// demoTalk is the conversation that is there at the first start. A reply answers the line with its number, from 1.
var demoTalk = []struct {
	channel, who, text string
	replyTo            int
	reactions          []string // by the other one
}{
	{channel: "general", who: "alice", text: "Welcome to Canopy! Everything here is one log: open a second window and watch it arrive.", reactions: []string{"👋"}},
	{channel: "general", who: "bob", text: "Hi Alice. Does it survive if I pull the plug?"},
	{channel: "general", who: "alice", text: "Try it: kill the process, start it again, and nothing that was acknowledged is gone.", replyTo: 2},
	{channel: "general", who: "bob", text: "And the operators?"},
	{channel: "general", who: "alice", text: "They look inside with the nats command; `canopy up` prints three lines to start with.", reactions: []string{"👍", "🎉"}},
	{channel: "random", who: "bob", text: "First!", reactions: []string{"😄"}},
}

// Town is what the demo is made with.
type Town struct {
	Folder    *datadir.Folder // where ids and passwords are written down
	Store     store.Directory
	Passwords *auth.Passwords
	Directory *directory.Service
	Log       event.Submitter
}

// Make fills a new deployment with a workspace that has something in it: people, channels and a conversation. It may
// be cut off anywhere and goes on at the next start: ids and passwords are written down before they are used, and everything with an id is made once.
func (t Town) Make(ctx context.Context) error {
	d := &t.Folder.Secrets.Demo
	if d.WorkspaceID == "" {
		if err := t.plan(); err != nil {
			return err
		}
	}
	if !d.Done {
		if err := t.fill(ctx); err != nil {
			return fmt.Errorf("make the demo workspace: %w", err)
		}
		d.Done = true
		if err := t.Folder.Save(); err != nil {
			return err
		}
	}
	return nil
}

// plan writes down what fill makes.
func (t Town) plan() error {
	d := datadir.Demo{Name: demoName}
	for _, p := range demoPeople {
		id, err := directory.NewUserID()
		if err != nil {
			return err
		}
		d.Logins = append(d.Logins, datadir.Login{Login: p.login, UserID: string(id), Password: datadir.Password()[:12]})
	}
	id, err := directory.NewWorkspaceID()
	if err != nil {
		return err
	}
	d.WorkspaceID = string(id)
	t.Folder.Secrets.Demo = d
	return t.Folder.Save()
}

func (t Town) fill(ctx context.Context) error {
	d := &t.Folder.Secrets.Demo
	people := make(map[string]chat.UserID)
	for i, l := range d.Logins {
		hash, err := t.Passwords.Hash(ctx, l.Password)
		if err != nil {
			return err
		}
		people[l.Login] = chat.UserID(l.UserID)
		user := chat.User{ID: chat.UserID(l.UserID), Login: l.Login, DisplayName: demoPeople[i].name, CreatedAt: time.Now()}
		if err := t.Store.CreateUsers(ctx, []store.NewUser{{User: user, PasswordHash: hash}}); err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	owner := people[d.Logins[0].Login]
	ws, err := t.Directory.FoundWorkspace(ctx, chat.WorkspaceID(d.WorkspaceID), d.Name, owner)
	if err != nil {
		return err
	}
	members := make([]chat.Member, 0, len(people))
	for _, id := range people {
		members = append(members, chat.Member{WorkspaceID: ws.ID, UserID: id, Role: chat.RoleMember})
	}
	if err := t.Store.AddMembers(ctx, owner, members); err != nil {
		return err
	}
	channels, err := t.channels(ctx, ws.ID, owner, people)
	if err != nil {
		return err
	}
	return t.talk(ctx, ws, people, channels)
}

// channels makes the channels with everybody in them, and answers their ids by name.
func (t Town) channels(ctx context.Context, ws chat.WorkspaceID, owner chat.UserID, people map[string]chat.UserID) (map[string]chat.ChannelID, error) {
	for _, c := range demoChannels {
		_, err := t.Directory.CreateChannel(ctx, owner, chat.Channel{WorkspaceID: ws, Name: c.name, Topic: c.topic, Type: chat.ChannelPublic})
		if err != nil && !fault.Is(err, fault.Conflict) {
			return nil, err
		}
	}
	ids := make(map[string]chat.ChannelID)
	listed, err := t.Directory.ListChannels(ctx, store.ChannelQuery{WorkspaceID: ws, UserID: owner, Limit: chat.MaxPageSize})
	if err != nil {
		return nil, err
	}
	for _, c := range listed {
		ids[c.Name] = c.ID
		for _, who := range people {
			if _, err := t.Directory.Join(ctx, who, c.ID); err != nil {
				return nil, err
			}
		}
	}
	return ids, nil
}

// talk says the demo's lines. Each has a client_msg_id of its own, so saying it again changes nothing.
func (t Town) talk(ctx context.Context, ws chat.Workspace, people map[string]chat.UserID, channels map[string]chat.ChannelID) error {
	seqs := make([]chat.Seq, len(demoTalk))
	for i, line := range demoTalk {
		change := event.Change{
			Kind: event.MessagePosted, Workspace: ws.ID, Shard: ws.Shard, Epoch: ws.Epoch, ChannelID: channels[line.channel],
			UserID: people[line.who], Standing: chat.Standing{Role: chat.RoleMember, Type: chat.ChannelPublic, InIt: true},
			ClientMsgID: chat.ClientMsgID(fmt.Sprintf("demo-%d", i+1)), Body: line.text,
		}
		if line.replyTo > 0 {
			change.Thread = seqs[line.replyTo-1]
		}
		receipt, err := t.Log.Submit(ctx, change)
		if err != nil {
			return err
		}
		seqs[i] = receipt.Seq
		for _, emoji := range line.reactions {
			reaction := change
			reaction.Kind, reaction.MessageSeq, reaction.Emoji = event.ReactionAdded, receipt.Seq, emoji
			reaction.ClientMsgID, reaction.Body, reaction.Thread = "", "", 0
			for login, id := range people {
				if login != line.who {
					reaction.UserID = id
				}
			}
			if _, err := t.Log.Submit(ctx, reaction); err != nil {
				return err
			}
		}
	}
	return nil
}
