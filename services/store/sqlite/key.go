package sqlite

import (
	"context"

	"github.com/canopychat/canopy/services/store"
)

// AddKey implements store.Keys.
func (d *Directory) AddKey(ctx context.Context, k store.SigningKey) error {
	return d.write(ctx, "add key", "key", func(c change) error {
		_, err := c.exec(`INSERT INTO signing_keys (id, seed, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			k.ID, k.Seed, micros(k.CreatedAt))
		return err
	})
}

// SigningKeys implements store.Keys.
func (d *Directory) SigningKeys(ctx context.Context) ([]store.SigningKey, error) {
	scan := func(r row) (k store.SigningKey, err error) {
		return k, r.Scan(&k.ID, &k.Seed, moment{&k.CreatedAt})
	}
	return list(ctx, d, asked[store.SigningKey]{"key",
		`SELECT id, seed, created_at FROM signing_keys ORDER BY created_at DESC, id DESC`, scan})
}
