package cursors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
)

// What a Service needs of its neighbours.
type (
	// Directory knows who may see what: services/directory.
	Directory interface {
		Channel(ctx context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, chat.Standing, error)
		Workspace(ctx context.Context, by chat.UserID, id chat.WorkspaceID) (store.Membership, error)
	}
	// Tenures are a user's times in channels, as store.Channels has them.
	Tenures interface {
		Tenures(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID, since chat.Seq) ([]store.TenureOf, error)
	}
	// Log knows how far the log of a shard goes: *bus.Log.
	Log interface {
		Bounds(ctx context.Context, shard streams.Shard) (first, last chat.Seq, err error)
	}
	// Notices tell the gateways that a user has read a channel, who tell the user's other devices. A notice may be lost.
	Notices interface {
		Read(ctx context.Context, ws chat.WorkspaceID, user chat.UserID, n rpc.ReadNotice) error
	}
)

// Config is what a Service is made of. What no comment says may be left out is needed.
type Config struct {
	Directory Directory
	Tenures   Tenures
	Read      store.ReadCursors
	Log       Log

	Delivered store.DeviceCursors // nil: nobody's devices are remembered
	Notices   Notices             // nil: other devices hear nothing
	Lost      func()              // hears of every notice that could not be sent; nil: nobody
	Logger    *slog.Logger        // nil: slog.Default
	Now       func() time.Time    // nil: time.Now
}

// Service is the rules of cursors. It may be used from many goroutines. The errors of its methods are *fault.Error:
// Invalid, NotFound, Unsupported, Unavailable.
type Service struct{ cfg Config }

// New makes a Service.
func New(cfg Config) (*Service, error) {
	if cfg.Directory == nil || cfg.Tenures == nil || cfg.Read == nil || cfg.Log == nil {
		return nil, errors.New("cursors need a directory, tenures, a store and a log")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Lost == nil {
		cfg.Lost = func() {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg}, nil
}

// markEpoch is that of every mark. A workspace uses no seq twice, over all its epochs, so seqs alone say which mark is further;
// with the epoch in which it is made, a mark at an old message would take one at a newer message back.
const markEpoch chat.Epoch = 1

// MarkRead says that a user has read a channel up to seq, and answers what counts then: it never goes back. When it went
// forward, the user's devices are told.
func (s *Service) MarkRead(ctx context.Context, by chat.UserID, ch chat.ChannelID, seq chat.Seq) (store.ReadCursor, error) {
	if seq == 0 || seq > chat.MaxSeq {
		return store.ReadCursor{}, fault.New(fault.Invalid, "seq is that of a message")
	}
	channel, _, err := s.cfg.Directory.Channel(ctx, by, ch)
	if err != nil {
		return store.ReadCursor{}, err
	}
	in, err := s.cfg.Directory.Workspace(ctx, by, channel.WorkspaceID)
	if err != nil {
		return store.ReadCursor{}, err
	}
	if _, last, err := s.cfg.Log.Bounds(ctx, in.Workspace.Shard); err != nil {
		return store.ReadCursor{}, err
	} else if seq > last { // it would never go back, and what comes up to there would count as read
		return store.ReadCursor{}, fault.New(fault.Invalid, "there is no message %d yet", seq)
	}
	mine := store.ReadCursor{
		WorkspaceID: channel.WorkspaceID, ChannelID: ch, UserID: by, At: s.cfg.Now().UTC(),
		Cursor: chat.Cursor{Epoch: markEpoch, Seq: seq},
	}
	counts, err := s.cfg.Read.SetRead(ctx, mine)
	if err != nil {
		return store.ReadCursor{}, fmt.Errorf("mark a channel read: %w", err)
	}
	// One that was as far already has its own time. Two that tell the same at the same nanosecond tell it twice.
	if counts.Cursor == mine.Cursor && counts.At.Equal(mine.At) {
		s.tell(ctx, counts)
	}
	return counts, nil
}

// tell publishes that a cursor moved. Whoever misses it reads all cursors again when it next comes back.
func (s *Service) tell(ctx context.Context, r store.ReadCursor) {
	if s.cfg.Notices == nil {
		return
	}
	if err := s.cfg.Notices.Read(ctx, r.WorkspaceID, r.UserID, rpc.ReadNotice{ChannelID: r.ChannelID, Seq: r.Cursor.Seq}); err != nil {
		s.cfg.Logger.Debug("a notice of what was read is lost", "workspace_id", r.WorkspaceID, "channel_id", r.ChannelID, "err", err)
		s.cfg.Lost()
	}
}

// Read answers cursors.read.
func (s *Service) Read(ctx context.Context, req rpc.ReadRequest) (rpc.ReadReply, error) {
	if !chat.IsID(string(req.UserID)) || !chat.IsID(string(req.ChannelID)) {
		return rpc.ReadReply{}, fault.New(fault.NotFound, "there is no such channel, or you may not see it")
	}
	r, err := s.MarkRead(ctx, req.UserID, req.ChannelID, req.Seq)
	return rpc.ReadReply{Seq: r.Cursor.Seq}, err
}

// ReadCursors lists the channels of a workspace that a user is in, by channel id, with how far they have read each. One
// that they are about to join is left out: nothing in it is theirs before the log has their joining.
func (s *Service) ReadCursors(ctx context.Context, by chat.UserID, ws chat.WorkspaceID) ([]store.ReadIn, error) {
	if _, err := s.cfg.Directory.Workspace(ctx, by, ws); err != nil {
		return nil, err
	}
	tenures, err := s.cfg.Tenures.Tenures(ctx, ws, by, chat.MaxSeq) // no tenure ends there: only those that last
	if err != nil {
		return nil, fmt.Errorf("list the channels of a user: %w", err)
	}
	read, err := s.cfg.Read.ReadCursorsOf(ctx, ws, by)
	if err != nil {
		return nil, fmt.Errorf("list what was read: %w", err)
	}
	upTo := make(map[chat.ChannelID]chat.Seq, len(read))
	for _, r := range read {
		upTo[r.ChannelID] = r.Cursor.Seq
	}
	lasting := make(map[chat.ChannelID]store.ReadIn, len(tenures))
	for _, t := range tenures {
		// While somebody's leaving and their coming back are on the way to the log there are two: the later one lasts.
		if t.JoinedSeq != 0 && t.LeftSeq == 0 && t.JoinedSeq >= lasting[t.ChannelID].Joined {
			lasting[t.ChannelID] = store.ReadIn{ChannelID: t.ChannelID, Read: upTo[t.ChannelID], Joined: t.JoinedSeq, Type: t.Type}
		}
	}
	all := make([]store.ReadIn, 0, len(lasting))
	for _, r := range lasting {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b store.ReadIn) int { return strings.Compare(string(a.ChannelID), string(b.ChannelID)) })
	return all, nil
}
