package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/postgres"
	"github.com/canopychat/canopy/streams"
)

// watch has told get a token at every wake, until the test ends.
func watch(t *testing.T, d *postgres.Directory) (told chan struct{}) {
	t.Helper()
	told = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- d.Watch(ctx, func() {
			select {
			case told <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	return told
}

// listens waits until n connections to a database listen.
func listens(t *testing.T, dsn string, n int) {
	t.Helper()
	eventually(t, "to listen", func() error {
		return exec(dsn, fmt.Sprintf(`DO $$ BEGIN
			ASSERT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN canopy_outbox') = %d; END $$`, n))
	})
}

func TestWhatOneProcessWritesWakesTheOthers(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	writer, reader := open(t, dsn), open(t, dsn)
	townOf(t, writer)
	told := watch(t, reader)
	for round := range 3 {
		listens(t, dsn, 1)
		// A wake may be of what was before. When all of that is over, the next one is of the change.
		idle := time.NewTimer(200 * time.Millisecond)
		for quietly := false; !quietly; {
			select {
			case <-told:
			case <-idle.C:
				quietly = true
			}
		}
		if _, err := writer.UpdateWorkspace(within(t), "ws", "ann", fmt.Sprint("name ", round)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-told:
		case <-within(t).Done():
			t.Fatalf("round %d: nobody told the other process", round)
		}
		terminate(t, dsn) // the listener makes another connection, and wakes for what it missed
		select {
		case <-told:
		case <-within(t).Done():
			t.Fatalf("round %d: the lost connection was not noticed", round)
		}
		comesBack(t, writer)
	}
}

// strictLog is the logs of all workspaces. It says what was published twice, or in another order than the outbox's.
type strictLog struct {
	mu       sync.Mutex
	n        int                        // guarded by mu
	last     map[chat.WorkspaceID]int64 // guarded by mu
	mistakes []error                    // guarded by mu
}

func (l *strictLog) Publish(_ context.Context, at streams.Place, msgID string, _ []byte) (chat.Seq, error) {
	id, err := streams.ParseOutboxMsgID(msgID)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := l.last[at.WorkspaceID]; id <= last {
		l.mistakes = append(l.mistakes, fmt.Errorf("%s: row %d was published after row %d", at.WorkspaceID, id, last))
	}
	l.last[at.WorkspaceID] = id
	l.n++
	return chat.Seq(l.n), nil
}

func (l *strictLog) FindMsgID(context.Context, streams.Place, string, time.Time) (chat.Seq, error) {
	return 0, errors.New("every event is young")
}

// TestRelaysOfManyProcesses has relays that never look by themselves: all they publish somebody told them of. None
// publishes what another one does.
func TestRelaysOfManyProcesses(t *testing.T) {
	t.Parallel()
	const places, each, relays = 10, 8, 3
	dsn := newDatabase(t)
	writers := []*postgres.Directory{open(t, dsn), open(t, dsn)}
	townOf(t, writers[0])
	log := &strictLog{last: map[chat.WorkspaceID]int64{}}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for range relays {
		relay := directory.NewRelay(directory.RelayConfig{Outbox: open(t, dsn), Log: log, Poll: time.Hour, Logger: quiet})
		running.Go(func() {
			if err := relay.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	listens(t, dsn, relays)
	var writing sync.WaitGroup
	for i := range places {
		writing.Go(func() {
			id := chat.WorkspaceID(fmt.Sprintf("place%d", i))
			d := writers[i%len(writers)]
			if err := d.CreateWorkspace(within(t), chat.Workspace{ID: id, Name: "W", Shard: i % 3, Epoch: 1, CreatedAt: time.Unix(1, 0)}, "ann"); err != nil {
				t.Error(err)
			}
			for j := range each {
				if _, err := writers[j%len(writers)].UpdateWorkspace(within(t), id, "ann", fmt.Sprint("name ", j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	eventually(t, "the outbox", func() error {
		rows, err := writers[0].Unpublished(ctx, 1000)
		if err == nil && len(rows) > 0 {
			err = fmt.Errorf("%d rows are owed", len(rows))
		}
		return err
	})
	stop()
	running.Wait()
	if err := errors.Join(log.mistakes...); err != nil {
		t.Error(err)
	}
	if want := 1 + places*(1+each); log.n != want {
		t.Errorf("%d events are in the log; want %d", log.n, want)
	}
}

func TestTheClaimOfAProcessThatDiesIsFree(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	dead, heir := open(t, dsn), open(t, dsn)
	townOf(t, dead)
	claim, err := dead.Claim(within(t), 10, nil)
	if err != nil || len(claim.Rows) != 1 {
		t.Fatal(claim.Rows, err)
	}
	if other, err := heir.Claim(within(t), 10, nil); err != nil || len(other.Rows) != 0 {
		t.Errorf("claimed twice: %v, %v", other.Rows, err)
	}
	// What is written meanwhile waits for nobody.
	if _, err := heir.UpdateWorkspace(within(t), "ws", "ann", "Other"); err != nil {
		t.Error(err)
	}
	terminate(t, dsn)
	eventually(t, "the other relay", func() error {
		other, err := heir.Claim(within(t), 10, nil)
		if err != nil {
			return err
		}
		defer other.Release()
		if n := len(other.Rows); n != 2 {
			return fmt.Errorf("%d rows", n)
		}
		return nil
	})
	claim.Release() // its connection is gone
	if err := dead.Record(within(t), []store.OutboxDone{{ID: claim.Rows[0].ID, Seq: 5}}); err != nil && !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}
