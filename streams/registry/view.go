package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/kv"
)

// Source is what a View needs of a kv.Bucket.
type Source interface {
	Watch(ctx context.Context, filters []string, handle func(kv.Entry)) error
}

// ViewConfig is what a View is told.
type ViewConfig struct {
	Source Source       // the bucket registry
	Role   string       // only the processes of this role; empty: all
	Logger *slog.Logger // nil: slog.Default
}

// View is a copy of the registry.
type View struct {
	// immutable after New
	source  Source
	filters []string
	log     *slog.Logger

	mu       sync.Mutex // guards what follows
	entries  map[string]seen
	round    uint64 // counts the Starts of the watch
	complete bool   // the watch has told everything once
}

// seen is an entry and when it was told, on the view's own clock.
type seen struct {
	process rpc.Process
	at      time.Time
	round   uint64
}

// NewView makes a View. The error is about the role.
func NewView(cfg ViewConfig) (*View, error) {
	v := &View{source: cfg.Source, log: cfg.Logger, entries: map[string]seen{}}
	if v.log == nil {
		v.log = slog.Default()
	}
	if cfg.Role != "" {
		filter, err := streams.RegistryFilter(cfg.Role)
		if err != nil {
			return nil, err
		}
		v.filters = []string{filter}
	}
	return v, nil
}

// Run keeps the copy until ctx ends.
func (v *View) Run(ctx context.Context) error { return v.source.Watch(ctx, v.filters, v.note) }

// Entries are the processes that live, by role and id; nobody else has the slice. An entry that was not put again for
// a TTL is not among them, even if the view could not be told.
func (v *View) Entries() []rpc.Process {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	living := make([]rpc.Process, 0, len(v.entries))
	for _, e := range v.entries {
		if now.Sub(e.at) < TTL {
			living = append(living, e.process)
		}
	}
	slices.SortFunc(living, func(a, b rpc.Process) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.ID, b.ID))
	})
	return living
}

// Complete reports whether the view has seen the whole registry since Run began. Until then, a process that is not
// shown may live.
func (v *View) Complete() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.complete
}

func (v *View) note(e kv.Entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e.Op {
	case kv.Start:
		v.round++
	case kv.Complete:
		v.complete = true
		for key, s := range v.entries {
			if s.round != v.round {
				delete(v.entries, key) // it went while nobody told
			}
		}
	case kv.Delete:
		delete(v.entries, e.Key)
	case kv.Put:
		v.noteEntry(e)
	}
}

// noteEntry needs mu. An entry that cannot be read takes the place of the one before: what that said is no longer so.
func (v *View) noteEntry(e kv.Entry) {
	p, err := read(e)
	if err != nil {
		v.log.Debug("an entry of the registry cannot be read", "key", e.Key, "err", err)
		delete(v.entries, e.Key)
		return
	}
	v.entries[e.Key] = seen{process: p, at: time.Now(), round: v.round}
}

// read is what an entry says. Of its role and id the key is right.
func read(e kv.Entry) (p rpc.Process, err error) {
	role, id, err := streams.ParseRegistryKey(e.Key)
	if err == nil {
		err = json.Unmarshal(e.Value, &p)
	}
	p.Role, p.ID = role, id
	return p, err
}
