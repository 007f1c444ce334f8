package ddl_test

import (
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/ddl"
)

// TestPostgresFilesAreTransactionsThatSortByBytes also says that no column of text was forgotten: the order of a
// database's language is not that of the ids.
func TestPostgresFilesAreTransactionsThatSortByBytes(t *testing.T) {
	entries, err := fs.ReadDir(ddl.PostgresDirectory(), ".")
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	column := regexp.MustCompile(`(?m)^.*\bTEXT\b.*$`)
	for i, e := range entries {
		m := fileName.FindStringSubmatch(e.Name())
		if m == nil {
			t.Fatalf("%s is not like 00001_words.sql", e.Name())
		}
		if n, err := strconv.Atoi(m[1]); err != nil || n != i+1 {
			t.Errorf("%s is file %d: a number is missing or used twice", e.Name(), i+1)
		}
		text, err := fs.ReadFile(ddl.PostgresDirectory(), e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "NO TRANSACTION") {
			t.Errorf("%s could stop half-way", e.Name())
		}
		for _, line := range column.FindAllString(string(text), -1) {
			if !strings.Contains(line, `COLLATE "C"`) {
				t.Errorf("%s: %q does not sort by bytes", e.Name(), line)
			}
		}
	}
}
