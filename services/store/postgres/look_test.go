package postgres_test

import (
	"testing"

	"github.com/canopychat/canopy/services/store/postgres"
)

func TestALookAtTheSchemaChangesNothing(t *testing.T) {
	t.Parallel()
	empty := emptyDatabase(t)
	for range 2 { // the second look finds what the first one left
		have, known, err := postgres.SchemaOf(within(t), postgres.Config{DSN: empty, Logger: quiet})
		if err != nil || have != 0 || known < 1 {
			t.Errorf("of an empty database: %d of %d, %v", have, known, err)
		}
	}
	have, known, err := postgres.SchemaOf(within(t), postgres.Config{DSN: newDatabase(t), Logger: quiet})
	if err != nil || have != known || known < 1 {
		t.Errorf("of one in use: %d of %d, %v", have, known, err)
	}
}
