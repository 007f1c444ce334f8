package ring_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/storetest"
)

const items = `CREATE TABLE IF NOT EXISTS items (shelf text, n int, name text, PRIMARY KEY (shelf, n))`

// files is migrations with these texts.
func files(texts ...string) fs.FS {
	all := fstest.MapFS{}
	for i, text := range texts {
		all[fmt.Sprintf("%05d_words.cql", i+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

func hosts(t *testing.T) []string {
	t.Helper()
	return strings.Split(storetest.Server(t, storetest.Cassandra), ",")
}

var keyspaces atomic.Int64

// config is a keyspace of its own on the real ring.
func config(t *testing.T, texts ...string) ring.Config {
	t.Helper()
	return ring.Config{
		Hosts: hosts(t), Keyspace: fmt.Sprintf("ring_%d_%d", time.Now().UnixMicro(), keyspaces.Add(1)), Timeout: 20 * time.Second, Migrations: files(texts...),
	}
}

// open opens c, and drops its keyspace at the end.
func open(t *testing.T, c ring.Config) *ring.Ring {
	t.Helper()
	r, err := ring.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.DropKeyspace(context.Background()); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// shared is the keyspace of tests that only read and write: each has its own shelf.
var shared struct {
	sync.Once
	config ring.Config
	err    error
}

// TestMain drops the shared keyspace.
func TestMain(m *testing.M) {
	code := m.Run()
	if shared.config.Hosts != nil && shared.err == nil {
		r, err := ring.Open(context.Background(), shared.config)
		if err == nil {
			err = errors.Join(r.DropKeyspace(context.Background()), r.Close())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// shelf is a ring on the shared keyspace, changed as the test likes, and a place in it that no other test has.
type shelf struct {
	*ring.Ring
	t    *testing.T
	name string
}

func newShelf(t *testing.T, change func(c *ring.Config)) shelf {
	t.Helper()
	storetest.Server(t, storetest.Cassandra)
	shared.Do(func() {
		shared.config = config(t, items)
		var r *ring.Ring
		if r, shared.err = ring.Open(context.Background(), shared.config); shared.err == nil {
			shared.err = r.Close()
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	c := shared.config
	if change != nil {
		change(&c)
	}
	r, err := ring.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return shelf{r, t, fmt.Sprint(t.Name(), keyspaces.Add(1))}
}

func (s shelf) put(n int, name string, version int64) ring.Write {
	return ring.Write{Statement: "INSERT INTO items (shelf, n, name) VALUES (?, ?, ?) USING TIMESTAMP ?", Args: []any{s.name, n, name, version}}
}

func (s shelf) get(n int) (string, error) {
	q := ring.Read{Statement: "SELECT name FROM items WHERE shelf = ? AND n = ?", Args: []any{s.name, n}, Serial: n%2 == 1}
	return ring.One(s.t.Context(), s.Ring, q, "item", name)
}

func (s shelf) all(columns string) ring.Read {
	return ring.Read{Statement: ring.Statement("SELECT " + columns + " FROM items WHERE shelf = ?"), Args: []any{s.name}}
}

func name(row ring.Row) (s string, err error) { return s, row.Scan(&s) }

func TestWhatIsWrittenIsRead(t *testing.T) {
	r := newShelf(t, nil)
	if err := r.Exec(t.Context(), r.put(1, "one", 9)); err != nil {
		t.Fatal(err)
	}
	if err := r.Exec(t.Context(), r.put(1, "an older one", 8)); err != nil {
		t.Fatal(err)
	}
	if got, err := r.get(1); err != nil || got != "one" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := r.get(2); !fault.Is(err, fault.NotFound) || got != "" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestABatchIsOfOnePartition(t *testing.T) {
	r := newShelf(t, nil)
	var writes []ring.Write
	for n := range 40 {
		writes = append(writes, r.put(n, fmt.Sprint("item ", n), int64(n+1)))
	}
	for _, some := range [][]ring.Write{nil, writes[:1], writes, writes} { // the second time changes nothing
		if err := r.Batch(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	all, err := ring.List(t.Context(), r.Ring, r.all("name, writetime(name)"),
		func(row ring.Row) (s string, err error) {
			var version int64
			err = row.Scan(&s, &version)
			return fmt.Sprint(s, " at ", version), err
		})
	if err != nil || len(all) != 40 || all[0] != "item 0 at 1" || all[39] != "item 39 at 40" {
		t.Errorf("%q, %v", all, err)
	}
}

func TestListTurnsPages(t *testing.T) {
	r := newShelf(t, nil)
	const rows = 1_203
	for n := 0; n < rows; n += 100 {
		var writes []ring.Write
		for i := n; i < min(n+100, rows); i++ {
			writes = append(writes, r.put(i, "x", 1))
		}
		if err := r.Batch(t.Context(), writes); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []int{0, 100, 1 << 20} {
		q := r.all("n")
		q.PageSize = size
		all, err := ring.List(t.Context(), r.Ring, q,
			func(row ring.Row) (n int, err error) { return n, row.Scan(&n) })
		if err != nil || len(all) != rows || all[0] != 0 || all[rows-1] != rows-1 {
			t.Errorf("pages of %d: %d rows, %v", size, len(all), err)
		}
	}
	all, err := ring.List(t.Context(), r.Ring, ring.Read{Statement: "SELECT name FROM items WHERE shelf = 'none'"}, name)
	if err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestACondition(t *testing.T) {
	r := newShelf(t, nil)
	claim := ring.Write{Statement: "INSERT INTO items (shelf, n, name) VALUES (?, 1, ?) IF NOT EXISTS", Args: []any{r.name, "first"}}
	if applied, err := r.ExecIf(t.Context(), claim); err != nil || !applied {
		t.Errorf("%v, %v", applied, err)
	}
	claim.Args = []any{r.name, "second"}
	if applied, err := r.ExecIf(t.Context(), claim); err != nil || applied {
		t.Errorf("%v, %v", applied, err)
	}
	if got, err := r.get(1); err != nil || got != "first" {
		t.Errorf("%q, %v", got, err)
	}
	if applied, err := r.ExecIf(t.Context(), r.put(1, "x", 1)); err == nil || applied || fault.Is(err, fault.Unavailable) {
		t.Errorf("without a condition: %v, %v", applied, err)
	}
}

func TestWhatTheRingRefusesIsNotTriedAgain(t *testing.T) {
	r := newShelf(t, nil)
	for name, w := range map[string]ring.Write{
		"no such table":      {Statement: "INSERT INTO nowhere (a) VALUES (1)"},
		"no CQL":             {Statement: "INSERT items"},
		"too few arguments":  {Statement: "INSERT INTO items (shelf, n) VALUES (?, ?)", Args: []any{"s"}},
		"argument's type":    {Statement: "INSERT INTO items (shelf, n) VALUES (?, ?)", Args: []any{"s", "one"}},
		"part of a key only": {Statement: "INSERT INTO items (shelf) VALUES (?)", Args: []any{"s"}},
	} {
		if err := r.Exec(t.Context(), w); err == nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := ring.List(t.Context(), r.Ring, ring.Read{Statement: "SELECT name FROM items WHERE name = 'x'"}, name)
	if err == nil || fault.KindOf(err) != fault.Internal {
		t.Errorf("%v", err)
	}
	if counts := r.Counts(); counts.Calls != 6 || counts.Retries != 0 || counts.Failures[ring.Refused] != 6 || len(counts.Failures) != 1 {
		t.Errorf("%+v", counts)
	}
}

func TestWhoReadsARowMayFail(t *testing.T) {
	r := newShelf(t, nil)
	if err := r.Exec(t.Context(), r.put(1, "one", 1)); err != nil {
		t.Fatal(err)
	}
	broken := fault.New(fault.Invalid, "It is broken.")
	if got, err := ring.List(t.Context(), r.Ring, r.all("name"), func(ring.Row) (string, error) { return "half", broken }); !fault.Is(err, fault.Invalid) || got != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := ring.One(t.Context(), r.Ring, r.all("name"), "item", func(row ring.Row) (n int, err error) { return 7, row.Scan(&n) }); err == nil || fault.KindOf(err) != fault.Internal || got != 0 {
		t.Errorf("a text read as a number: %d, %v", got, err)
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	var observed atomic.Int64
	r := newShelf(t, func(c *ring.Config) {
		c.Observe = func(op string, took time.Duration) {
			if op == "exec" && took >= 0 {
				observed.Add(1)
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Exec(ctx, r.put(1, "one", 1)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	if counts := r.Counts(); counts.Failures[ring.Ended] != 1 || counts.Retries != 0 || observed.Load() != 1 {
		t.Errorf("%+v, %d observed", counts, observed.Load())
	}
}

// The driver finds the node again by itself; nobody opens anything anew.
func TestARingThatComesBackIsFound(t *testing.T) {
	w := tap(t, hosts(t)[0])
	r := newShelf(t, func(c *ring.Config) { c.Hosts, c.Timeout = []string{w.address}, 2*time.Second })
	w.set(true)
	claim := ring.Write{Statement: "INSERT INTO items (shelf, n) VALUES (?, 1) IF NOT EXISTS", Args: []any{r.name}}
	if applied, err := r.ExecIf(t.Context(), claim); !fault.Is(err, fault.Unavailable) || applied {
		t.Fatalf("%v, %v", applied, err)
	}
	if n := r.Counts().Retries; n != 0 {
		t.Errorf("a condition was tried again %d times", n)
	}
	// The driver may know that the node is gone before it is asked, and then there is nothing to try again: another cut.
	deadline := time.Now().Add(2 * time.Minute)
	for r.Counts().Retries == 0 {
		if err := r.Exec(t.Context(), r.put(1, "one", 1)); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("%v", err)
		}
		if r.Counts().Retries > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a write was never tried again")
		}
		w.set(false)
		found(t, r, deadline)
		w.set(true)
	}
	if _, err := r.get(1); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("%v", err)
	}
	w.set(false)
	found(t, r, deadline)
	if got, err := r.get(1); err != nil || got != "one" {
		t.Errorf("%q, %v", got, err)
	}
}

// found waits until a ring that was away takes writes.
func found(t *testing.T, r shelf, deadline time.Time) {
	t.Helper()
	for ; ; time.Sleep(50 * time.Millisecond) {
		err := r.Exec(t.Context(), r.put(1, "one", 1))
		if err == nil {
			return
		}
		if !fault.Is(err, fault.Unavailable) || time.Now().After(deadline) {
			t.Fatalf("%v", err)
		}
	}
}

func TestANodeThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	w := tap(t, hosts(t)[0])
	r := newShelf(t, func(c *ring.Config) { c.Hosts = []string{w.address} })
	brief := newShelf(t, func(c *ring.Config) { c.Hosts, c.Timeout = []string{w.address}, time.Second })
	brief.name = r.name
	for _, s := range []shelf{r, brief} { // prepares the statement
		if err := s.Exec(t.Context(), s.put(1, "one", 1)); err != nil {
			t.Fatal(err)
		}
	}
	goOn := w.hold()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Exec(ctx, r.put(1, "two", 2)); !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) || r.Counts().Failures[ring.Ended] != 1 {
		t.Errorf("%v, %+v", err, r.Counts())
	}
	if err := brief.Exec(t.Context(), brief.put(1, "three", 3)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	if counts := brief.Counts(); counts.Retries == 0 || counts.Failures[ring.Timeout]+counts.Failures[ring.NoConnection] != 1 || len(counts.Failures) != 1 {
		t.Errorf("%+v", counts)
	}
	goOn()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) { // what was held up arrives late, as late writes do
		got, err := r.get(1)
		if err == nil && got == "three" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q, %v", got, err)
		}
	}
}
