package signin

import (
	"context"

	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

// AddKey implements store.Keys.
func (s *Store) AddKey(ctx context.Context, k store.SigningKey) error {
	return s.file.Change(ctx, "add key", "key", func(c file.Change) error {
		_, err := c.Exec(`INSERT INTO signing_keys (id, seed, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			k.ID, k.Seed, file.Micros(k.CreatedAt))
		return err
	})
}

// SigningKeys implements store.Keys.
func (s *Store) SigningKeys(ctx context.Context) ([]store.SigningKey, error) {
	scan := func(r file.Row) (k store.SigningKey, err error) {
		return k, r.Scan(&k.ID, &k.Seed, file.Moment{Into: &k.CreatedAt})
	}
	return file.List(ctx, s.file.Reader, file.Ask("key",
		`SELECT id, seed, created_at FROM signing_keys ORDER BY created_at DESC, id DESC`, scan))
}
