package file

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

const (
	readers    = 4                     // connections for reading; more than cores gain nothing
	busyTurn   = 50 * time.Millisecond // how long SQLite waits for another process's lock before ctx is looked at
	readTurn   = time.Second           // the same for reading, which waits only while a file is recovered or closed
	lockWait   = 10 * time.Second      // how long a write waits for other processes in all
	openWait   = 2 * time.Minute       // the same for migrations: another process may be at work on those of a large file
	walRemains = 32 << 20              // bytes that the write-ahead log may keep on disk when it is empty
	readCache  = 512                   // KiB of pages that a connection for reading keeps; the system's cache has the rest
)

// File is one file and the connections to it.
type File struct {
	path   string
	holds  holds
	Writer *sql.DB // one connection; whoever has it writes
	Reader *sql.DB // connections that cannot write
}

// Open makes the file when it is missing, brings its tables up to date and connects.
func Open(ctx context.Context, path string, migrations fs.FS) (*File, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := touch(path); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := migrate(ctx, path, migrations); err != nil {
		return nil, err
	}
	f := &File{path: path}
	if f.Writer, err = connect(path, 1, "_txlock=immediate"); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if f.Reader, err = connect(path, readers, fmt.Sprintf("_pragma=query_only(1)&_pragma=busy_timeout(%d)&_pragma=cache_size(-%d)", readTurn.Milliseconds(), readCache)); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), f.Writer.Close())
	}
	return f, nil
}

// creating is held while a new file is made: closing any descriptor of a file drops the POSIX locks that the
// process has on it, so no connection may have begun to lock it by then.
var creating sync.Mutex

// touch makes an empty file that only its owner can read. SQLite gives -wal and -shm the same mode.
func touch(path string) error {
	creating.Lock()
	defer creating.Unlock()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// connect makes a pool of at most n connections. It opens none yet.
func connect(path string, n int, extra string) (*sql.DB, error) {
	settings := fmt.Sprintf("_pragma=busy_timeout(%d)&_pragma=synchronous(full)&_pragma=foreign_keys(1)"+
		"&_pragma=secure_delete(1)&_pragma=journal_size_limit(%d)&_pragma=trusted_schema(0)&_dqs=0",
		busyTurn.Milliseconds(), walRemains)
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path}).String()+"?"+settings+"&"+extra)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// Close ends all connections. The last one of all processes moves the write-ahead log into the file.
func (f *File) Close() error {
	return errors.Join(f.Reader.Close(), f.Writer.Close())
}

// Write runs do in a transaction that holds the file's write lock from its beginning. It waits for its turn
// behind the writers of this process and of others until ctx ends.
func (f *File) Write(ctx context.Context, do func(tx *sql.Tx) error) error {
	var conn *sql.Conn
	err := patiently(ctx, lockWait, func() (err error) { // it is opened if it was not, which reads the file
		conn, err = f.Writer.Conn(ctx)
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close() // gives it back to the pool, which does not fail
	tx, err := begin(ctx, conn)
	if err != nil {
		return err
	}
	if err = do(tx); err == nil {
		err = tx.Commit()
	} else if tx.Rollback() != nil {
		// SQLite rolls back by itself after some failures. To be sure that no transaction stays open, the
		// connection goes; Raw hands its own argument's error back, which is no news.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return err
}

// begin takes the write lock. The transaction itself does not end with ctx, so that no statement of it is
// torn from it by another goroutine; do's statements look at ctx.
func begin(ctx context.Context, conn *sql.Conn) (tx *sql.Tx, err error) {
	err = patiently(ctx, lockWait, func() error {
		tx, err = conn.BeginTx(context.WithoutCancel(ctx), nil)
		return err
	})
	return tx, err
}

// patiently tries again while another process has the lock, for wait at most. SQLite itself waits for busyTurn and does not look at
// ctx meanwhile; and it does not wait at all when two processes switch to WAL at once.
func patiently(ctx context.Context, wait time.Duration, try func() error) error {
	pause := time.NewTicker(busyTurn / 10)
	defer pause.Stop()
	for start := time.Now(); ; {
		err := try()
		if !isBusy(err) || time.Since(start) > wait {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-pause.C:
		}
	}
}
