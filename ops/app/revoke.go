package app

import (
	"context"
	"encoding/json"

	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/auth"
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
	a.revocations = auth.NewRevocations(auth.RevocationsConfig{Now: a.cfg.Clock.Now})
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
