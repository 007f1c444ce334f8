package signin

import (
	"context"

	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// AddKey implements store.Keys.
func (s *Store) AddKey(ctx context.Context, k store.SigningKey) error {
	return s.db.Change(ctx, "add key", "key", func(c relational.Change) error {
		_, err := c.Exec(`INSERT INTO signing_keys (id, seed, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			k.ID, k.Seed, relational.Micros(k.CreatedAt))
		return err
	})
}

// SigningKeys implements store.Keys.
func (s *Store) SigningKeys(ctx context.Context) ([]store.SigningKey, error) {
	scan := func(r relational.Row) (k store.SigningKey, err error) {
		return k, r.Scan(&k.ID, &k.Seed, relational.Moment{Into: &k.CreatedAt})
	}
	return relational.List(ctx, s.db.Source(), relational.Ask("key",
		`SELECT id, seed, created_at FROM signing_keys ORDER BY created_at DESC, id DESC`, scan))
}
