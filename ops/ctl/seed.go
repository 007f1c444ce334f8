package ctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/rpc"
)

// SeedOptions are what a workspace shall hold. Who is called what, and who is in which channel, follows from the
// numbers alone, so that a second run adds only what is missing.
type SeedOptions struct {
	Workspace chat.WorkspaceID
	Users     int    // user0001 and on, all in general and in a few of the channels
	Channels  int    // seed-001 and on
	Messages  int    // in all of them; those of an earlier run that the log still holds are counted
	Tokens    string // file for one token a line, in the order of the users; empty: none
}

// Limits of a seed: more is a slip of the finger.
const (
	MaxSeedUsers    = 100_000
	MaxSeedChannels = 10_000
	MaxSeedMessages = 10_000_000
)

// Progress is shown how far a seed is. It is called from one goroutine.
type Progress interface {
	// Begin says that something of total steps begins; 0: nobody knows how many.
	Begin(what string, total int)
	// Add says that n more steps are done.
	Add(n int)
	// End says that what was begun has ended, all of it or not.
	End()
}

// SeedReport says what a seed did.
type SeedReport struct {
	Users, Channels, Joins int           // that are there now; some may have been there before
	Importing              time.Duration // what that took
	Found                  int           // messages of earlier runs
	Messages               int           // posted by this one; Replies are among them
	Replies                int
	Edits, Reactions       int
	Posting                time.Duration // what the messages, edits and reactions took
}

// general is the channel that everyone is in.
const general = "general"

// Seed fills a workspace. When ctx ends it stops handing out events, waits for those that are on their way, and
// returns what it did with ctx's error; the same call later does the rest.
func Seed(ctx context.Context, conn *bus.Conn, o SeedOptions, p Progress) (SeedReport, error) {
	if err := o.check(); err != nil {
		return SeedReport{}, err
	}
	s := &seeding{conn: conn, o: o, p: p, cast: newCast(o.Users, o.Channels)}
	begin := time.Now()
	err := s.importAll(ctx)
	s.report.Importing = time.Since(begin)
	if err != nil || o.Messages == 0 {
		return s.report, err
	}
	have, err := s.findPosted(ctx)
	if err != nil {
		return s.report, err
	}
	begin = time.Now()
	err = s.post(ctx, have)
	s.report.Posting = time.Since(begin)
	return s.report, err
}

func (o SeedOptions) check() error {
	switch {
	case o.Workspace == "":
		return config.Problemf("which workspace? Its id is in run.json of the data folder; give it with --workspace")
	case o.Users < 1 || o.Users > MaxSeedUsers:
		return config.Problemf("--users: 1 to %d", MaxSeedUsers)
	case o.Channels < 0 || o.Channels > MaxSeedChannels:
		return config.Problemf("--channels: 0 to %d", MaxSeedChannels)
	case o.Messages < 0 || o.Messages > MaxSeedMessages:
		return config.Problemf("--messages: 0 to %d", MaxSeedMessages)
	}
	if o.Tokens == "" {
		return nil
	}
	// Better now than after a minute of work.
	if info, err := os.Stat(filepath.Dir(o.Tokens)); err != nil || !info.IsDir() {
		return config.Problemf("--tokens: there is no folder %s", filepath.Dir(o.Tokens))
	}
	if info, err := os.Stat(o.Tokens); err == nil && info.IsDir() {
		return config.Problemf("--tokens: %s is a folder", o.Tokens)
	}
	return nil
}

// seeding is one Seed on its way. It belongs to one goroutine.
type seeding struct {
	conn   *bus.Conn
	o      SeedOptions
	p      Progress
	cast   cast
	report SeedReport

	// known after importAll
	shard      streams.Shard
	epoch      chat.Epoch
	channelIDs []chat.ChannelID // in the order of cast.channels
	userIDs    []chat.UserID    // in the order of cast.users
}

// importAll makes channels and people, and writes their tokens.
func (s *seeding) importAll(ctx context.Context) error {
	if err := s.importChannels(ctx); err != nil {
		return fmt.Errorf("make channels: %w", err)
	}
	tokens, err := s.importUsers(ctx)
	if err != nil {
		return fmt.Errorf("make users: %w", err)
	}
	if s.o.Tokens != "" {
		if err := config.WritePrivate(s.o.Tokens, []byte(strings.Join(tokens, "\n")+"\n")); err != nil {
			return fmt.Errorf("write the tokens: %w", err)
		}
	}
	first := schema.SessionRequest{UserID: s.userIDs[0], WorkspaceID: s.o.Workspace}
	session, err := ask[schema.SessionReply](ctx, s.conn, streams.DirectorySession, first)
	if err != nil {
		return fmt.Errorf("ask where the workspace's log is: %w", err)
	}
	s.shard, s.epoch = session.Shard, session.Epoch
	return nil
}

func (s *seeding) importChannels(ctx context.Context) error {
	s.p.Begin("channels", len(s.cast.channels))
	defer s.p.End()
	for from := 0; from < len(s.cast.channels); from += schema.MaxImport {
		part := s.cast.channels[from:min(from+schema.MaxImport, len(s.cast.channels))]
		req := schema.ImportRequest{WorkspaceID: s.o.Workspace}
		for _, c := range part {
			req.Channels = append(req.Channels, schema.ImportChannel{Name: c.name, Topic: c.topic})
		}
		reply, err := ask[schema.ImportReply](ctx, s.conn, streams.DirectoryImport, req)
		if err != nil {
			return err
		}
		if len(reply.Channels) != len(part) {
			return fmt.Errorf("asked for %d channels, it answered %d", len(part), len(reply.Channels))
		}
		for _, c := range reply.Channels {
			s.channelIDs = append(s.channelIDs, c.ChannelID)
		}
		s.report.Channels += len(part)
		s.p.Add(len(part))
	}
	return nil
}

func (s *seeding) importUsers(ctx context.Context) (tokens []string, err error) {
	s.p.Begin("users", len(s.cast.users))
	defer s.p.End()
	for from := 0; from < len(s.cast.users); from += schema.MaxImport {
		part := s.cast.users[from:min(from+schema.MaxImport, len(s.cast.users))]
		req := schema.ImportRequest{WorkspaceID: s.o.Workspace}
		joins := 0
		for _, u := range part {
			req.Users = append(req.Users, schema.ImportUser{Login: u.login, DisplayName: u.name, Join: s.cast.names(u.in)})
			joins += len(u.in)
		}
		reply, err := ask[schema.ImportReply](ctx, s.conn, streams.DirectoryImport, req)
		if err != nil {
			return nil, err
		}
		if len(reply.Users) != len(part) {
			return nil, fmt.Errorf("asked for %d users, it answered %d", len(part), len(reply.Users))
		}
		for _, u := range reply.Users {
			s.userIDs = append(s.userIDs, u.UserID)
			tokens = append(tokens, u.Token)
		}
		s.report.Users += len(part)
		s.report.Joins += joins
		s.p.Add(len(part))
	}
	return tokens, nil
}

const (
	askAttempts = 8
	askPause    = 2 * time.Second // when the answer does not say how long
)

// ask asks the directory, and again while a part of the deployment does not answer: a request that was cut off
// in the middle may be sent again.
func ask[Reply any](ctx context.Context, conn *bus.Conn, method streams.Method, req any) (Reply, error) {
	for attempt := 1; ; attempt++ {
		reply, err := rpc.Call[Reply](ctx, conn.NATS(), rpc.Method{Service: streams.ServiceDirectory, Method: method}, req)
		if ctx.Err() != nil {
			return reply, ctx.Err()
		}
		var f *fault.Error
		if err == nil || !errors.As(err, &f) || f.Kind != fault.Unavailable || attempt == askAttempts {
			return reply, err
		}
		pause := f.RetryAfter
		if pause <= 0 {
			pause = askPause
		}
		if err := bus.Pause(ctx, pause); err != nil {
			return reply, err
		}
	}
}
