package store

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// Idempotency remembers what was answered to requests that carry an Idempotency-Key, so that one which is sent
// again is answered the same and done once (draft-ietf-httpapi-idempotency-key-header).
type Idempotency interface {
	// Begin says that a user's request with a key is being done, when nobody said so before: then it is false and empty.
	// Else it is what was answered, or Conflict: another request has the key, or the first is being done still. A key that was
	// begun longer than its Lease ago and never ended is begun anew; one that is older than chat.IdempotencyWindow is forgotten.
	Begin(ctx context.Context, k IdempotencyKey) (Answered, bool, error)
	// End keeps the answer, for the Begin that had the same k: one that took longer than its Lease and was begun anew
	// by another changes nothing. Without one (Status 0) the key is forgotten, so that the request can be tried again.
	End(ctx context.Context, k IdempotencyKey, a Answered) error
}

// IdempotencyKey is a key and the request that it stands for.
type IdempotencyKey struct {
	UserID  chat.UserID
	Key     string // 1 to chat.MaxIdempotencyKey bytes
	Request Secret // SHA-256 of method, path and body
	At      time.Time
	Lease   time.Duration
}

// Answered is what a request was answered.
type Answered struct {
	Status int
	Body   []byte
}
