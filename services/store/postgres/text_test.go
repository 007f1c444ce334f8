package postgres_test

import (
	"testing"

	"github.com/canopychat/canopy/services/store/postgres"
)

func TestTextsOfOneTreeForBothDatabases(t *testing.T) {
	for text, want := range map[string]string{
		`SELECT 1`:                       `SELECT 1`,
		`UPDATE t SET a = ? WHERE b = ?`: `UPDATE t SET a = $1 WHERE b = $2`,
		`SELECT ?2, ?1, ?2`:              `SELECT $2, $1, $2`,
		`a = ?3 AND b = ?`:               `a = $3 AND b = $4`, // as SQLite counts
		`a = ?12`:                        `a = $12`,
		`a = 'what? it''s ?1' AND b = ?`: `a = 'what? it''s ?1' AND b = $1`,
		`SELECT id FROM t WHERE id = ? /*pg FOR SHARE */`:        `SELECT id FROM t WHERE id = $1 FOR SHARE `,
		`FROM tenures AS t INDEXED BY open_tenures ON x`:         `FROM tenures AS t ON x`,
		`id IN (SELECT value FROM json_each(?))`:                 `id = ANY (ARRAY(SELECT jsonb_array_elements_text($1)))`,
		`id NOT IN (SELECT value FROM json_each(?))`:             `id <> ALL (ARRAY(SELECT jsonb_array_elements_text($1)))`,
		`id IN (SELECT CAST(value AS BIGINT) FROM json_each(?))`: `id = ANY (ARRAY(SELECT CAST(jsonb_array_elements_text($1) AS BIGINT)))`,
		`SELECT json_group_array(x)`:                             `SELECT json_agg(x)`,
	} {
		if got := postgres.Translate(text); got != want {
			t.Errorf("%s became %s; want %s", text, got, want)
		}
	}
}
