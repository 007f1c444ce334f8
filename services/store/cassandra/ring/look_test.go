package ring_test

import (
	"testing"

	"github.com/canopychat/canopy/services/store/cassandra/ring"
)

func TestALookAtTheSchemaChangesNothing(t *testing.T) {
	t.Parallel()
	c := config(t, items, more)
	expect := func(of string, c ring.Config, have, known int64) {
		t.Helper()
		h, k, err := ring.SchemaOf(t.Context(), c)
		if err != nil || h != have || k != known {
			t.Errorf("%s: %d of %d, %v; want %d of %d", of, h, k, err, have, known)
		}
	}
	expect("no keyspace", c, 0, 2)
	expect("still none", c, 0, 2)
	c.Migrations = files(items)
	open(t, c)
	expect("up to date", c, 1, 1)
	c.Migrations = files(items, more)
	expect("one to come", c, 1, 2)
	open(t, c)
	c.Migrations = files(items)
	expect("a newer version's", c, 2, 1)
}
