package ddl_test

import (
	"fmt"
	"io/fs"
	"regexp"
	"testing"

	"github.com/canopychat/canopy/schemas/ddl"
)

func TestCassandrasFilesAreNumberedAndCreateEachTableOnce(t *testing.T) {
	files := ddl.CassandraMessages()
	entries, err := fs.ReadDir(files, ".")
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	created := regexp.MustCompile(`(?m)^CREATE TABLE IF NOT EXISTS ([a-z_]+) \($`)
	seen := map[string]bool{}
	for i, e := range entries {
		if want := regexp.MustCompile(fmt.Sprintf(`^%05d_[a-z_]+\.cql$`, i+1)); !want.MatchString(e.Name()) {
			t.Errorf("%s is file %d, and not like %s", e.Name(), i+1, want)
		}
		text, err := fs.ReadFile(files, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range created.FindAllStringSubmatch(string(text), -1) {
			if seen[m[1]] {
				t.Errorf("%s: %s is created twice", e.Name(), m[1])
			}
			seen[m[1]] = true
		}
	}
	for _, table := range []string{"messages_by_channel", "buckets_by_channel", "sends_by_client_id", "read_cursors", "device_cursors", "deliveries_by_message"} {
		if !seen[table] {
			t.Errorf("no file creates %s", table)
		}
	}
}
