package directory

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
)

const (
	// DefaultSettle is how long a change may wait for its place in the log when the config does not say.
	DefaultSettle = 5 * time.Second
	// sessionSettle is how long a session waits for changes that were made before it.
	sessionSettle = 2 * time.Second

	lookAgainFirst = 10 * time.Millisecond // the pause between two looks at the outbox doubles …
	lookAgainCap   = 250 * time.Millisecond
	retryPause     = 2 * time.Second // what a refused client is told
)

// Config is what a Service is made of. Store and Shards are needed.
type Config struct {
	Store  store.Directory
	Shards int              // how many CHAT streams there are
	Among  []streams.Shard  // those that new workspaces are spread over (streams.ShardsFor); empty: all
	Relay  *Relay           // that of this process; nil: another process relays
	Settle time.Duration    // how long a change waits for its place in the log; 0: DefaultSettle
	Now    func() time.Time // nil: time.Now
}

// Service is the rules of the directory. It may be used from many goroutines.
//
// The errors of its methods are *fault.Error: Invalid, NotFound, Forbidden, Conflict; and Unavailable when
// the database or the log did not answer in time. After a change, Unavailable from the log means that
// the change is kept and counts as soon as the log answers.
type Service struct {
	cfg    Config
	db     store.Directory
	census *census
}

// New makes a Service.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Shards < 1 {
		return nil, errors.New("a directory needs a store and at least one shard")
	}
	for _, shard := range cfg.Among {
		if shard < 0 || shard >= cfg.Shards {
			return nil, fmt.Errorf("there is no shard %d", shard)
		}
	}
	if cfg.Settle <= 0 {
		cfg.Settle = DefaultSettle
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg, db: cfg.Store, census: newCensus(cfg.Store, cfg.Now)}, nil
}

// NewUserID makes an id for an account.
func NewUserID() (chat.UserID, error) { return newID[chat.UserID]() }

// NewWorkspaceID makes an id for a workspace.
func NewWorkspaceID() (chat.WorkspaceID, error) { return newID[chat.WorkspaceID]() }

func newID[T ~string]() (T, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return T(chat.IDFromBytes(id)), nil
}

// shardOf spreads new workspaces. The result is written down with the workspace, so that the number of
// shards may change later.
func (s *Service) shardOf(id chat.WorkspaceID) int {
	h := fnv.New32a()
	h.Write([]byte(id)) // a hash takes everything
	if n := len(s.cfg.Among); n > 0 {
		return s.cfg.Among[h.Sum32()%uint32(n)]
	}
	return int(h.Sum32() % uint32(s.cfg.Shards))
}

// Settle waits until the log has what was changed in a workspace: for services/accounts, whose changes end up in the
// same outbox.
func (s *Service) Settle(ctx context.Context, ws chat.WorkspaceID) error {
	return s.settleAll(ctx, ws, s.cfg.Settle)
}

// settleAll waits until the log has everything that is owed for a workspace at this moment.
func (s *Service) settleAll(ctx context.Context, ws chat.WorkspaceID, budget time.Duration) error {
	upTo, err := s.db.Owed(ctx, ws)
	if err != nil {
		return fmt.Errorf("look at the outbox: %w", err)
	}
	return s.settle(ctx, ws, upTo, budget)
}

// settle waits until the log has what is owed for a workspace, up to a row of the outbox; 0: nothing is.
func (s *Service) settle(ctx context.Context, ws chat.WorkspaceID, upTo store.OutboxID, budget time.Duration) error {
	if upTo == 0 {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for pause := lookAgainFirst; ; pause = min(2*pause, lookAgainCap) {
		recorded := s.cfg.Relay.recorded() // taken before the look, so that no record falls between them
		owed, err := s.db.OwedUpTo(within, ws, upTo)
		if err == nil && !owed {
			return nil
		}
		if err != nil && within.Err() == nil {
			return fmt.Errorf("look at the outbox: %w", err)
		}
		s.cfg.Relay.Wake()
		timer.Reset(pause)
		select {
		case <-recorded:
		case <-timer.C:
		case <-within.Done():
			return fault.Wrap(fault.Unavailable, within.Err(), "the log does not answer; the change is kept and counts as soon as it does").After(retryPause)
		}
	}
}
