package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/kv"
)

// Announcer implements auth.Announcer: it tells every process that verifies tokens which sign-ins have ended.
type Announcer struct {
	Bucket *kv.Bucket    // revocations
	Life   time.Duration // that a token may be valid after it was made
}

// Announce is auth.Announcer.
func (n Announcer) Announce(ctx context.Context, ended []store.SignIn) error {
	for _, s := range ended {
		key, err := streams.RevocationKey(string(s.ID))
		if err != nil {
			return fmt.Errorf("announce the end of a sign-in: %w", err)
		}
		value, err := json.Marshal(schema.Revocation{UserID: s.UserID, Until: time.Now().UTC().Add(n.Life)})
		if err != nil {
			return fmt.Errorf("announce the end of a sign-in: %w", err)
		}
		if _, err := n.Bucket.PutTTL(ctx, key, value, n.Life); err != nil {
			return fmt.Errorf("announce the end of a sign-in: %w", err)
		}
	}
	return nil
}
