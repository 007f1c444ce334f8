package app_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A delete dominates: nothing that reads later finds what was said (INVARIANTS 13), and neither does who has the disk.
func TestADeletedTextIsNowhere(t *testing.T) {
	t.Parallel()
	d := up(t, testConfig(t))
	alice, bob := d.signIn("alice"), d.signIn("bob")
	general := alice.channel("general")
	a, b := alice.open(), bob.open()
	before := b.hello.Head
	const first, second = "zanzibar-first-text", "zanzibar-second-text"
	a.post(general, first)
	seq := a.want("message.ack").Seq
	a.send(map[string]any{"type": "message.edit", "channel_id": general, "seq": seq, "body": second, "ref": "e"})
	a.want("ack")
	a.send(map[string]any{"type": "message.delete", "channel_id": general, "seq": seq, "ref": "d"})
	deleted := a.want("ack").Seq
	for f := b.next(); f.Seq != deleted; f = b.next() {
	}

	resumed := bob.open(before)
	for f := resumed.next(); f.Seq != deleted; f = resumed.next() {
		if strings.Contains(f.raw, "zanzibar") {
			t.Errorf("a resume shows %s", f.raw)
		}
	}
	_, page := bob.call(http.MethodGet, "/channels/"+general+"/messages", nil)
	if strings.Contains(string(page), "zanzibar") || !strings.Contains(string(page), `"deleted":true`) {
		t.Errorf("history shows %s", page)
	}
	deadline := time.Now().Add(patience)
	for where := onDisk(t, d.cfg.Data, "zanzibar"); where != ""; where = onDisk(t, d.cfg.Data, "zanzibar") {
		if time.Now().After(deadline) {
			t.Fatalf("the text is still in %s", where)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// onDisk is a file below a folder that holds a text, or empty.
func onDisk(t *testing.T, folder, text string) string {
	t.Helper()
	found := ""
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // files come and go under us
		}
		b, err := os.ReadFile(path)
		if err == nil && bytes.Contains(b, []byte(text)) {
			found = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
