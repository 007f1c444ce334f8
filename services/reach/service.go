package reach

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// What a Service needs of its neighbours. ops/app hands them over.
type (
	// Members says who belongs to a workspace: the Directory's store.
	Members interface {
		// Member reads a user's membership. NotFound.
		Member(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID) (chat.Member, error)
	}
	// Channels reads what a user may see: services/directory.
	Channels interface {
		// Channel reads a channel. NotFound, also when the user may not see it.
		Channel(ctx context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, chat.Standing, error)
	}
	// Messages reads what was said: services/store.
	Messages interface {
		// Message reads one message. NotFound.
		Message(ctx context.Context, channel chat.ChannelID, seq chat.Seq) (chat.Message, error)
	}
)

// Config is what a Service is made of. Store, Members and Channels are needed.
type Config struct {
	Store    store.Reach
	Members  Members
	Channels Channels
	Messages Messages // nil: a thread may be followed before anybody has seen its first message here
	// AllowInsecure takes addresses of http and of hosts that are not in the public Internet. Where the sender may connect to
	// is its own setting, which belongs to this one.
	AllowInsecure bool
	Now           func() time.Time // nil: time.Now
}

// Service is the rules. It may be used from many goroutines.
//
// The errors of its methods are *fault.Error: Invalid, NotFound, Forbidden; and Unavailable when the database does not
// answer in time.
type Service struct {
	cfg Config
}

// New makes a Service.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Members == nil || cfg.Channels == nil {
		return nil, errors.New("reach needs a store, members and channels")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg}, nil
}

// member is a user's membership. That there is no such workspace and that it is another's is one answer.
func (s *Service) member(ctx context.Context, ws chat.WorkspaceID, user chat.UserID) (chat.Member, error) {
	member, err := s.cfg.Members.Member(ctx, ws, user)
	return member, notAmongYours(err)
}

// notAmongYours says for people what NotFound means of a workspace.
func notAmongYours(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(fault.NotFound, err, "there is no such workspace among yours")
	}
	return err
}

// administrator refuses who does not administer a workspace.
func (s *Service) administrator(ctx context.Context, ws chat.WorkspaceID, user chat.UserID) error {
	member, err := s.member(ctx, ws, user)
	if err == nil && !member.Role.Administers() {
		return fault.New(fault.Forbidden, "owners and administrators of a workspace may see and change its webhooks")
	}
	return err
}

// newID makes an id that sorts by the time of its making.
func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return chat.IDFromBytes(id), nil
}

// now is the time as a Directory keeps it.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }
