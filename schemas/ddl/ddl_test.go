package ddl_test

import (
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/ddl"
)

var fileName = regexp.MustCompile(`^(\d{5})_[a-z_]+\.sql$`)

func TestFilesAreNumberedAndOfTheirRunnersForm(t *testing.T) {
	for name, files := range map[string]fs.FS{"messages": ddl.SQLiteMessages(), "directory": ddl.SQLiteDirectory()} {
		entries, err := fs.ReadDir(files, ".")
		if err != nil || len(entries) == 0 {
			t.Fatalf("%s: %d files, %v", name, len(entries), err)
		}
		for i, e := range entries {
			m := fileName.FindStringSubmatch(e.Name())
			if m == nil {
				t.Errorf("%s: %s is not like 00001_words.sql", name, e.Name())
				continue
			}
			if n, err := strconv.Atoi(m[1]); err != nil || n != i+1 {
				t.Errorf("%s: %s is file %d: a number is missing or used twice", name, e.Name(), i+1)
			}
			text, err := fs.ReadFile(files, e.Name())
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"-- +goose NO TRANSACTION\n", "-- +goose Up\n", "-- +goose Down\n"} {
				if !strings.Contains(string(text), part) {
					t.Errorf("%s: %s has no line %q", name, e.Name(), part)
				}
			}
		}
	}
}
