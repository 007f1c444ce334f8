package directory

import (
	"fmt"
	"testing"
)

// LimitPages sets how large the file may grow.
func (d *Directory) LimitPages(t *testing.T, pages int) {
	t.Helper()
	if _, err := d.file.Writer.Exec(fmt.Sprintf("PRAGMA max_page_count=%d", pages)); err != nil {
		t.Fatal(err)
	}
}
