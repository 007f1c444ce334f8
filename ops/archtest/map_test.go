package archtest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mapRow is one line of the README's map: | `folder` | what it is |
var mapRow = regexp.MustCompile("(?m)^\\| `([a-z/]+)` \\| (.*) \\|$")

func TestTheReadmeMapsTheTree(t *testing.T) {
	readme := readDocument(t, "README.md")
	tr := repo(t)
	mapped := make(map[string]bool)
	for _, row := range mapRow.FindAllStringSubmatch(readme, -1) {
		dir, what := row[1], row[2]
		switch {
		case tr.packages[dir] == nil:
			t.Errorf("README.md maps %s, which is no package", dir)
		case mapped[dir]:
			t.Errorf("README.md maps %s twice", dir)
		case strings.TrimSpace(what) == "":
			t.Errorf("README.md does not say what %s is", dir)
		}
		mapped[dir] = true
	}
	for _, p := range tr.sorted() {
		if !mapped[p.dir] {
			t.Errorf("README.md does not map %s: one line says what it is", p.dir)
		}
	}
}

// link is a Markdown link to a file of ours.
var link = regexp.MustCompile(`\]\(([^):#]+)\)`)

func TestLinksOfDocumentsLeadSomewhere(t *testing.T) {
	documents := []string{"README.md"}
	decisions, err := filepath.Glob(filepath.Join("..", "adr", "*.md"))
	if err != nil || len(decisions) == 0 {
		t.Fatalf("no decisions in ops/adr: %v", err)
	}
	for _, name := range decisions {
		documents = append(documents, "ops/adr/"+filepath.Base(name))
	}
	for _, name := range documents {
		for _, found := range link.FindAllStringSubmatch(readDocument(t, name), -1) {
			target := filepath.Join("..", "..", filepath.Dir(name), found[1])
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", name, found[1])
			}
		}
	}
	index := readDocument(t, "ops/adr/README.md")
	for _, name := range documents[1:] {
		if base := filepath.Base(name); base != "README.md" && strings.Count(index, "("+base+")") != 1 {
			t.Errorf("ops/adr/README.md does not list %s once", base)
		}
	}
}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
