package ring

import (
	"context"
	"time"

	"github.com/gocql/gocql"

	"github.com/canopychat/canopy/services/store/cassandra/migration"
)

const (
	patience   = 5                      // times Config.Timeout that a call takes at most, whatever its context says
	tries      = 3                      // of a round, each of another node
	rounds     = 2                      // of a call that may be repeated; the second begins after roundPause
	roundPause = 100 * time.Millisecond // in which a connection that broke is made again
)

// Ring is a keyspace of a ring with its tables in place. It may be used by many goroutines.
type Ring struct {
	// Immutable after Open.
	config     Config
	datacenter string
	session    *link

	tally tally
}

// NewerSchemaError says that a keyspace was made by a newer version of Canopy, which this one must not touch.
type NewerSchemaError = migration.NewerSchemaError

// Open connects, makes the keyspace when it is missing and brings its tables up to date. The error is Unavailable when
// the ring does not answer, a node is down while there is something to migrate, or another process migrates for too
// long: then it is worth trying again. It is a *NewerSchemaError when the keyspace is ahead of the program, and has no
// kind when the configuration is wrong.
func Open(ctx context.Context, config Config) (*Ring, error) {
	config, err := config.checked()
	if err != nil {
		return nil, err
	}
	files, err := migration.Read(config.Migrations)
	if err != nil {
		return nil, err
	}
	r := &Ring{config: config}
	if r.datacenter, err = prepare(ctx, config, files); err != nil {
		return nil, err
	}
	to := target{hosts: config.Hosts, keyspace: config.Keyspace, datacenter: r.datacenter, timeout: config.Timeout, retry: otherHosts{&r.tally}}
	if r.session, err = config.connect(ctx, to); err != nil {
		return nil, err
	}
	return r, nil
}

// Close ends all connections. Calls under way end with Unavailable.
func (r *Ring) Close() error {
	r.session.Close()
	return nil
}

// DropKeyspace removes the keyspace with all that is in it. It is for tests: an operator who rebuilds does so into an
// empty keyspace beside the old one.
func (r *Ring) DropKeyspace(ctx context.Context) error {
	at, err := reach(ctx, r.config)
	if err != nil {
		return err
	}
	defer at.Close()
	return at.change(ctx, Statement("DROP KEYSPACE IF EXISTS "+r.config.Keyspace))
}

// otherHosts is the driver's policy after a failure: ask the next replica, so long as it may help.
type otherHosts struct{ tally *tally }

// Attempt implements gocql.RetryPolicy.
func (otherHosts) Attempt(q gocql.RetryableQuery) bool {
	return q.Attempts() < tries && q.Context().Err() == nil
}

// GetRetryType implements gocql.RetryPolicy.
func (p otherHosts) GetRetryType(err error) gocql.RetryType {
	if !reasonOf(err).retriable() {
		return gocql.Rethrow
	}
	p.tally.noteRetry()
	return gocql.RetryNextHost
}

// call runs do, which is one question and its answer, with the deadline that a call has. It runs it in rounds when it
// may be run twice: the driver gives up when it has asked each node once, and a single node may have lost no more
// than a connection.
func (r *Ring) call(ctx context.Context, op string, mayRepeat bool, do func(ctx context.Context) error) error {
	start := time.Now()
	within, cancel := context.WithTimeout(ctx, patience*r.config.Timeout)
	defer cancel()
	err := do(within)
	for round := 1; mayRepeat && round < rounds && reasonOf(err).retriable() && pause(within, roundPause); round++ {
		r.tally.noteRetry()
		err = do(within)
	}
	reason := reasonOf(err)
	if reason == Ended && ctx.Err() == nil {
		reason = Timeout
	}
	r.tally.noteCall(reason)
	r.config.Observe(op, time.Since(start))
	return failed(err, "cassandra: "+op)
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
