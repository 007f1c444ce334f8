package auth

import (
	"slices"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/token"
)

// maxRevocations is how many ended sign-ins are known at once: about as many as the bucket that tells of them holds.
const maxRevocations = 1 << 19

// Revocations are the ended sign-ins that a process knows of: whoever verifies tokens refuses theirs, and whoever has
// sockets of theirs closes them. An entry goes when every token of its sign-in has expired. When there are too many,
// the one that was noted first goes early, and is counted. It may be used from many goroutines; a nil one knows of
// none.
type Revocations struct {
	cfg RevocationsConfig // immutable after New

	mu      sync.RWMutex                 // guards what follows; never held while a callback runs
	ended   map[token.SignInID]time.Time // until when
	order   []token.SignInID             // its keys, as they were noted
	tell    []func(token.SignInID)
	dropped uint64
}

// RevocationCounts are the figures of Revocations.
type RevocationCounts struct {
	Known   int    // ended sign-ins that are known now
	Dropped uint64 // that went before their tokens did, because there were too many
}

// RevocationsConfig is what Revocations are made of. All fields may be zero.
type RevocationsConfig struct {
	Limit int              // of entries; 0: 524,288, which take some 60 MiB
	Now   func() time.Time // nil: time.Now
}

// NewRevocations makes Revocations that know of none.
func NewRevocations(cfg RevocationsConfig) *Revocations {
	if cfg.Limit <= 0 {
		cfg.Limit = maxRevocations
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Revocations{cfg: cfg, ended: make(map[token.SignInID]time.Time)}
}

// Note says that a sign-in has ended, and until when tokens of it may be about. It calls what OnRevoked was given,
// once for a sign-in however often it is noted, and returns when all of them have. One whose time is over already is
// told too, because a socket may outlive its token, and is not kept.
func (r *Revocations) Note(id token.SignInID, until time.Time) {
	for _, tell := range r.note(id, until) {
		tell(id)
	}
}

// note is the part of Note under the lock. It answers whom to tell.
func (r *Revocations) note(id token.SignInID, until time.Time) []func(token.SignInID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Now()
	for len(r.order) > 0 && !now.Before(r.ended[r.order[0]]) { // all last about as long, so the first goes first
		r.forgetFirst()
	}
	before, known := r.ended[id]
	switch {
	case known && until.After(before):
		r.ended[id] = until
	case !known && now.Before(until):
		if len(r.order) >= r.cfg.Limit {
			r.forgetFirst()
			r.dropped++
		}
		r.ended[id] = until
		r.order = append(r.order, id)
	}
	if known && now.Before(before) {
		return nil
	}
	return r.tell
}

func (r *Revocations) forgetFirst() {
	delete(r.ended, r.order[0])
	r.order = r.order[1:] // append makes another array when it reaches the end of this one
}

// Revoked reports whether the tokens of a sign-in are refused.
func (r *Revocations) Revoked(id token.SignInID) bool {
	if r == nil {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.cfg.Now().Before(r.ended[id])
}

// OnRevoked asks to be told of every sign-in that is noted from now on. tell is called from many goroutines, and is
// quick. Who opens something for a sign-in registers it first and asks Revoked after that: then none is missed.
func (r *Revocations) OnRevoked(tell func(token.SignInID)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell = append(slices.Clip(r.tell), tell) // another array: a Note may be walking over the one there is
}

// Counts are the figures of now.
func (r *Revocations) Counts() RevocationCounts {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return RevocationCounts{Known: len(r.ended), Dropped: r.dropped}
}
