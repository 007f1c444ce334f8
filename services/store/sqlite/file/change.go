package file

import (
	"context"
	"database/sql"
	"sync"

	"github.com/canopychat/canopy/services/store/relational"
)

var _ relational.Database = (*File)(nil)

// dialect is what SQLite does as the texts say: nothing is to be changed in them.
type dialect struct{}

func (dialect) Text(text string) string { return text }

func (dialect) Meaning(err error) relational.Trouble { return meaning(err) }

// Within adds nothing: a question to a file waits for nobody, and a write for lockWait at most.
func (dialect) Within(ctx context.Context) (context.Context, context.CancelFunc) {
	return ctx, func() {}
}

// From makes a relational.Source of connections to a file.
func From(q relational.Queryer) relational.Source { return relational.SourceOf(q, dialect{}) }

// Source implements relational.Database.
func (f *File) Source() relational.Source { return From(f.Reader) }

// Change implements relational.Database. The file's write lock is held from the beginning, so all that do reads stays true.
func (f *File) Change(ctx context.Context, op, what string, do func(c relational.Change) error) error {
	err := f.Write(ctx, func(tx *sql.Tx) error { return do(relational.Change{Source: From(tx), Ctx: ctx}) })
	return Failed(err, op, what)
}

// holds is the names that somebody of this process holds. Other processes do not know of it.
type holds struct {
	mu   sync.Mutex
	held map[string]bool // guarded by mu
}

// Hold implements relational.Database, among those who share this File.
func (f *File) Hold(_ context.Context, names []string, most int) (relational.Held, error) {
	h := &f.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		h.held = map[string]bool{}
	}
	var mine []string
	for _, name := range names {
		if len(mine) < most && !h.held[name] {
			h.held[name] = true
			mine = append(mine, name)
		}
	}
	return relational.Held{Names: mine, Release: sync.OnceFunc(func() { h.release(mine) })}, nil
}

func (h *holds) release(names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		delete(h.held, name)
	}
}

// Listen implements relational.Database. A file does not tell what other processes write.
func (f *File) Listen(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return nil
}
