package schedule

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/later"
)

// Later keeps what waits; *later.Store is one.
type Later interface {
	Put(ctx context.Context, messages ...later.Message) error
	Once(ctx context.Context, m later.Message) (later.Entry, error)
	Last(ctx context.Context, stream, subject string) (later.Entry, error)
	List(ctx context.Context, stream, filter string, limit int) ([]later.Entry, error)
	Cancel(ctx context.Context, stream, subject string) (was bool, err error)
}

// Directory says who somebody is and where they may post; services/directory is one.
type Directory interface {
	// User reads an account.
	User(ctx context.Context, id chat.UserID) (chat.User, error)
	// Channel reads a channel that a user may see. NotFound.
	Channel(ctx context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, chat.Standing, error)
	// Workspace reads a workspace that a user belongs to. NotFound.
	Workspace(ctx context.Context, by chat.UserID, id chat.WorkspaceID) (store.Membership, error)
	// OpenDirect is the direct channel of exactly a user and others.
	OpenDirect(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, others []chat.UserID) (chat.Channel, bool, error)
}

// Config is what a Service is made of. Later, Log and Directory are needed, and Conn by Run.
type Config struct {
	Later     Later
	Log       event.Submitter
	Directory Directory
	Conn      *bus.Conn        // that Run consumes over; nil in a process that only takes jobs
	HoldCap   time.Duration    // between two tries in an outage; 0: consume.DefaultHoldCap
	Logger    *slog.Logger     // nil: slog.Default
	Now       func() time.Time // nil: time.Now
}

// Service is the rules of what waits. It may be used from many goroutines, and in many processes at once.
//
// The errors of its methods are *fault.Error: Invalid, NotFound, Forbidden, Conflict; and Unavailable when the hub or the
// directory did not answer in time: then the outcome is unknown, and asking again is safe with a client_msg_id.
type Service struct {
	// immutable after New
	cfg Config
	log *slog.Logger
	// with its own lock
	tally tally
}

// New makes a Service. It starts nothing.
func New(cfg Config) (*Service, error) {
	if cfg.Later == nil || cfg.Log == nil || cfg.Directory == nil {
		return nil, errors.New("a schedule needs a store for later, a log and a directory")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg, log: cfg.Logger}, nil
}
