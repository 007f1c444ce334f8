package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/kv"
)

// hubBucket is a bucket of the hub over a connection of this process.
func hubBucket(conn *bus.Conn, name streams.Bucket) (*kv.Bucket, error) {
	return kv.Open(kv.Config{Conn: conn, Domain: streams.HubDomain, Name: name})
}

// conn is the connection by which this process reaches the hub.
func (a *App) conn() *bus.Conn {
	if a.hubConn != nil {
		return a.hubConn
	}
	return a.leafConn
}

// startRevocations learns which sign-ins have ended, for whoever verifies tokens here.
func (a *App) startRevocations(context.Context) error {
	bucket, err := hubBucket(a.conn(), streams.BucketRevocations)
	if err != nil {
		return err
	}
	a.revocations = auth.NewRevocations(auth.RevocationsConfig{})
	a.life.Start("revocations", func(ctx context.Context) error {
		return bucket.Watch(ctx, nil, a.noteRevocation)
	}, nil)
	return nil
}

func (a *App) noteRevocation(e kv.Entry) {
	if e.Op != kv.Put {
		return
	}
	id, err := streams.ParseRevocationKey(e.Key)
	var r schema.Revocation
	if err != nil || json.Unmarshal(e.Value, &r) != nil {
		a.log.Warn("the bucket of revocations holds what is none", "key", e.Key)
		return
	}
	a.revocations.Note(token.SignInID(id), r.Until)
}

// announcer implements auth.Announcer: it tells every process that verifies tokens which sign-ins have ended.
type announcer struct {
	bucket *kv.Bucket
	life   time.Duration // that a token may be valid after it was made
}

// Announce is auth.Announcer.
func (n announcer) Announce(ctx context.Context, ended []store.SignIn) error {
	for _, s := range ended {
		key, err := streams.RevocationKey(string(s.ID))
		if err != nil {
			return fmt.Errorf("announce the end of a sign-in: %w", err)
		}
		value, err := json.Marshal(schema.Revocation{UserID: s.UserID, Until: time.Now().UTC().Add(n.life)})
		if err != nil {
			return fmt.Errorf("announce the end of a sign-in: %w", err)
		}
		if _, err := n.bucket.PutTTL(ctx, key, value, n.life); err != nil {
			return fmt.Errorf("announce the end of a sign-in: %w", err)
		}
	}
	return nil
}
