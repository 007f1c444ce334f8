package ring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/canopychat/canopy/schemas/fault"
)

const (
	lockWait  = 3 * time.Minute // for other processes to have migrated
	lockEvery = time.Second     // a lock that another process has is tried again
	lockRow   = "migrations"    // the row's key
)

// errLost says that the lock lapsed while its holder was at work.
var errLost = errors.New("the lock for migrations was lost to another process")

// alone runs do while no other process migrates the keyspace. It waits for others at most for lockWait. The context of
// do ends when the lock is lost; that another process begins then does no harm, because statements may be repeated.
func (n *node) alone(ctx context.Context, do func(ctx context.Context) error) (err error) {
	holder := gocql.TimeUUID().String()
	if err := n.lock(ctx, holder); err != nil {
		return err
	}
	held, lose := context.WithCancelCause(ctx)
	renewed := make(chan struct{}) // closed by the goroutine below
	stop := make(chan struct{})
	go func() {
		defer close(renewed)
		n.renew(held, holder, stop, lose)
	}()
	err = do(held)
	close(stop)
	<-renewed
	if cause := context.Cause(held); errors.Is(cause, errLost) {
		err = errors.Join(err, fault.Wrap(fault.Unavailable, fmt.Errorf("cassandra: migrate: %w", cause), "The database is being prepared.").After(comeBack))
	}
	lose(nil)
	return errors.Join(err, n.unlock(context.WithoutCancel(ctx), holder))
}

// lock waits for the lock's row to be ours.
func (n *node) lock(ctx context.Context, holder string) error {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		got, row, err := conditional(n.Query("INSERT INTO schema_lock (what, holder) VALUES (?, ?) IF NOT EXISTS USING TTL ?",
			lockRow, holder, seconds(n.config.lockTTL)).WithContext(ctx))
		// A try whose outcome was unknown may have been ours all the same: then the row says so.
		if err == nil && (got || row["holder"] == holder) {
			return nil
		}
		if err != nil && !reasonOf(err).retriable() && reasonOf(err) != Unknown {
			return failed(err, "cassandra: lock for migrations")
		}
		if !pause(ctx, min(lockEvery, n.config.lockTTL/4)) {
			err = errors.Join(fmt.Errorf("cassandra: another process migrates: %v", row["holder"]), ctx.Err(), err)
			return fault.Wrap(fault.Unavailable, err, "The database is being prepared.").After(comeBack)
		}
	}
}

// renew keeps the lock until stop is closed or ctx ends, and calls lose when it is somebody else's.
func (n *node) renew(ctx context.Context, holder string, stop <-chan struct{}, lose context.CancelCauseFunc) {
	ticker := time.NewTicker(n.config.lockTTL / 3)
	defer ticker.Stop()
	for kept := time.Now(); ; {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		asked := time.Now()
		still, row, err := conditional(n.Query("UPDATE schema_lock USING TTL ? SET holder = ? WHERE what = ? IF holder = ?",
			seconds(n.config.lockTTL), holder, lockRow, holder).WithContext(ctx))
		switch {
		case err == nil && (still || row["holder"] == holder):
			kept = asked
		case err == nil, time.Since(kept) > n.config.lockTTL:
			lose(errLost)
			return
		}
	}
}

// unlock gives the lock back. If it cannot, the lock lapses.
func (n *node) unlock(ctx context.Context, holder string) error {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	_, _, err := conditional(n.Query("DELETE FROM schema_lock WHERE what = ? IF holder = ?", lockRow, holder).WithContext(ctx))
	return failed(err, "cassandra: unlock after migrations")
}

func seconds(d time.Duration) int { return max(1, int(d/time.Second)) }
