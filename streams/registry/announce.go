package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/kv"
)

// Times of an entry.
const (
	TTL     = 15 * time.Second // as the bucket's max_age is (KV_registry.json)
	Refresh = 5 * time.Second  // two refreshes may fail before an entry ends

	minGap     = 250 * time.Millisecond // between two puts, however often it changes
	againFirst = 250 * time.Millisecond // after a put that failed
	farewell   = 2 * time.Second        // for taking the entry out at the end
)

// Store is what an Announce needs of a kv.Bucket.
type Store interface {
	Put(ctx context.Context, key string, value []byte) (kv.Revision, error)
	Delete(ctx context.Context, key string) error
}

// AnnounceConfig is what an Announce is told.
type AnnounceConfig struct {
	Store  Store              // the bucket registry
	Role   string             // an id, as is
	ID     string             // this
	Entry  func() rpc.Process // what the process says now; called from Run alone; its ID and Role are filled in
	Logger *slog.Logger       // nil: slog.Default
}

// Announce says that a process lives.
type Announce struct {
	// immutable after New
	config  AnnounceConfig
	key     string
	log     *slog.Logger
	changed chan struct{} // one says it for the next
}

// NewAnnounce makes an Announce. The error is about the role and the id.
func NewAnnounce(cfg AnnounceConfig) (*Announce, error) {
	key, err := streams.RegistryKey(cfg.Role, cfg.ID)
	if err != nil {
		return nil, fmt.Errorf("announce a process: %w", err)
	}
	a := &Announce{config: cfg, key: key, log: cfg.Logger, changed: make(chan struct{}, 1)}
	if a.log == nil {
		a.log = slog.Default()
	}
	return a, nil
}

// Changed says that the entry is worth putting again now. It never blocks; many calls make few puts.
func (a *Announce) Changed() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// Run announces until ctx ends, and then takes the entry out. A process that is killed instead is gone after TTL. A hub
// that does not answer is asked again until it does; that is no error.
func (a *Announce) Run(ctx context.Context) error {
	next := time.NewTimer(0)
	defer next.Stop()
	defer a.leave(ctx)
	var last time.Time
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.changed:
			if failures == 0 {
				next.Reset(max(0, minGap-time.Since(last)))
			}
		case <-next.C:
			err := a.put(ctx)
			last = time.Now()
			switch {
			case err == nil && failures > 0:
				a.log.Info("the registry answers again", "failures", failures)
				failures = 0
			case err != nil && ctx.Err() == nil:
				if failures++; failures == 1 { // the others say nothing new
					a.log.Warn("the process could not be announced; it tries again", "key", a.key, "err", err)
				}
			}
			if failures > 0 {
				next.Reset(bus.Backoff(againFirst, Refresh, failures))
			} else {
				next.Reset(Refresh)
			}
		}
	}
}

func (a *Announce) put(ctx context.Context) error {
	entry := a.config.Entry()
	entry.Role, entry.ID = a.config.Role, a.config.ID
	value, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("entry of %s: %w", a.key, err)
	}
	_, err = a.config.Store.Put(ctx, a.key, value)
	return err
}

// leave takes the entry out, although ctx has ended.
func (a *Announce) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := a.config.Store.Delete(ctx, a.key); err != nil {
		a.log.Info("the process's entry stays until it is too old", "key", a.key, "err", err)
	}
}
