package plants_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/verify/plants"
)

// invariants is how many promises there are.
const invariants = 22

func TestEveryInvariantHasAPlant(t *testing.T) {
	planted := map[int]bool{}
	for _, p := range plants.All() {
		if len(p.Invariants) == 0 {
			t.Errorf("%s breaks nothing", p.Name)
		}
		for _, n := range p.Invariants {
			if n < 1 || n > invariants {
				t.Errorf("%s breaks invariant %d, which there is not", p.Name, n)
			}
		}
		if len(p.Invariants) > 0 {
			planted[p.Invariants[0]] = true
		}
	}
	for n := 1; n <= invariants; n++ {
		if !planted[n] {
			t.Errorf("no plant is meant for invariant %d", n)
		}
	}
}

var nameShape = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// flagsShape is words with one space between them. What kind of word the first is, kong says; without a seed a run is another one each time.
var flagsShape = regexp.MustCompile(`^--[a-z]+( [a-z0-9/,-]+)* --seed [0-9]+( [a-z0-9/,-]+)*$`)

func TestNamesAndStories(t *testing.T) {
	all := plants.All()
	for i, p := range all {
		if !nameShape.MatchString(p.Name) {
			t.Errorf("%q is not made of words and hyphens", p.Name)
		}
		if i > 0 && all[i-1].Name >= p.Name {
			t.Errorf("%s stands after %s", p.Name, all[i-1].Name)
		}
		for what, text := range map[string]string{"what goes wrong": p.Story, "what shows it": p.Finds} {
			if len(text) < 10 || strings.ContainsAny(text, "\n\t") {
				t.Errorf("%s does not say in a line %s: %q", p.Name, what, text)
			}
		}
		if !flagsShape.MatchString(p.Flags) {
			t.Errorf("%s is found with %q, which the script every-plant cannot take apart", p.Name, p.Flags)
		}
		if len(p.Edits) == 0 {
			t.Errorf("%s edits nothing", p.Name)
		}
		for _, e := range p.Edits {
			if e.Old == e.New || filepath.Ext(e.File) != ".go" || strings.HasSuffix(e.File, "_test.go") {
				t.Errorf("%s has an edit of %s that changes no program", p.Name, e.File)
			}
		}
	}
}

func TestFind(t *testing.T) {
	for _, p := range plants.All() {
		if got, err := plants.Find(p.Name); err != nil || got.Name != p.Name {
			t.Errorf("%s: %q, %v", p.Name, got.Name, err)
		}
	}
	for name, alike := range map[string]string{
		"frame-droped":  "frame-dropped",  // a slip
		"resume":        "resume-one-too", // a part of it
		"store-deletes": "delete-lost-in-store",
		"zebra":         "",
		"":              "",
	} {
		_, err := plants.Find(name)
		if err == nil {
			t.Errorf("%q was found", name)
		} else if alike != "" && !strings.Contains(err.Error(), alike) || alike == "" && strings.Contains(err.Error(), "there is no plant \""+name+"\"; ") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTheTableHasEveryPlant(t *testing.T) {
	var out bytes.Buffer
	if err := plants.Table(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	all := plants.All()
	if len(lines) != len(all)+1 {
		t.Fatalf("%d lines for %d plants", len(lines), len(all))
	}
	for i, p := range all {
		if line := lines[i+1]; !strings.HasPrefix(line, p.Name+" ") || columns(line) != 5 || !strings.Contains(line, "  "+p.Flags+"  ") || !strings.Contains(line, p.Story) || !strings.HasSuffix(line, p.Finds) {
			t.Errorf("the line of %s is %q", p.Name, line)
		}
	}
	if err := plants.Table(broken{}); !errors.Is(err, errBroken) {
		t.Errorf("a table that nobody gets: %v", err)
	}
}

func columns(line string) int { return len(regexp.MustCompile(` {2,}`).Split(line, -1)) }

var errBroken = errors.New("broken pipe")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestEveryPlantFitsAndCompiles(t *testing.T) {
	source := root(t)
	planted := 0
	for _, p := range plants.All() {
		if err := p.Fits(source); err != nil {
			t.Error(err)
		}
	}
	for _, set := range plants.Together(source, plants.All()) {
		planted += len(set)
		err := plants.Compile(t.Context(), source, set)
		if err == nil {
			continue
		}
		for _, p := range set { // whose fault it is
			if alone := plants.Compile(t.Context(), source, []plants.Plant{p}); alone != nil {
				t.Errorf("%s does not compile: %v", p.Name, alone)
				err = nil
			}
		}
		if err != nil {
			t.Errorf("each compiles, and not together: %v", err)
		}
	}
	if planted != len(plants.All()) {
		t.Errorf("%d plants were compiled of %d", planted, len(plants.All()))
	}
}

func TestBuild(t *testing.T) {
	source, output := root(t), filepath.Join(t.TempDir(), "canopy")
	p, err := plants.Find("revocation-not-heard")
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(source, p.Edits[0].File))
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	if err := plants.Build(t.Context(), p, source, output); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v behind, %v", left, err)
	}
	said, err := exec.CommandContext(t.Context(), output, "version").CombinedOutput()
	if err != nil || !bytes.Contains(said, []byte("canopy")) {
		t.Errorf("the program says %q, %v", said, err)
	}
	after, err := os.ReadFile(filepath.Join(source, p.Edits[0].File))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the source was written to, %v", err)
	}
}

func TestAPlantThatDoesNotFitSaysSo(t *testing.T) {
	source := root(t)
	const file = "edge/door/open.go"
	for what, p := range map[string]plants.Plant{
		"text that is not there":  {Name: "stray", Edits: []plants.Edit{{File: file, Old: "nobody wrote this"}}},
		"text that is there more": {Name: "stray", Edits: []plants.Edit{{File: file, Old: "return"}}},
		"no text":                 {Name: "stray", Edits: []plants.Edit{{File: file}}},
		"a file that is gone":     {Name: "stray", Edits: []plants.Edit{{File: "edge/door/gone.go", Old: "x"}}},
		"a file of others":        {Name: "stray", Edits: []plants.Edit{{File: "../other/main.go", Old: "x"}}},
	} {
		err := plants.Build(t.Context(), p, source, filepath.Join(t.TempDir(), "canopy"))
		if err == nil || !strings.Contains(err.Error(), "plant stray") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A mistake in an edit is told with what the compiler says.
func TestAPlantThatDoesNotCompileSaysWhy(t *testing.T) {
	p := plants.Plant{Name: "stray", Edits: []plants.Edit{{File: "edge/limit/rate.go", Old: "const Never =", New: "var stray = nobody\n\nconst Never ="}}}
	err := plants.Build(t.Context(), p, root(t), filepath.Join(t.TempDir(), "canopy"))
	if err == nil || !strings.Contains(err.Error(), "undefined: nobody") || !strings.Contains(err.Error(), "plant stray") {
		t.Errorf("%v", err)
	}
}

func TestWithoutSource(t *testing.T) {
	p := plants.All()[0]
	empty := t.TempDir()
	if err := plants.Build(t.Context(), p, empty, filepath.Join(empty, "canopy")); !errors.Is(err, plants.ErrNoSource) {
		t.Errorf("%v", err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "go.mod"), []byte("module example.org/other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := plants.Build(t.Context(), p, other, filepath.Join(other, "canopy")); !errors.Is(err, plants.ErrNoSource) {
		t.Errorf("another module: %v", err)
	}
	t.Chdir(empty)
	if dir, err := plants.SourceRoot(); !errors.Is(err, plants.ErrNoSource) {
		t.Errorf("it is said to be %q, %v", dir, err)
	}
}

func TestWithoutAToolchain(t *testing.T) {
	source := root(t)
	t.Setenv("PATH", t.TempDir())
	err := plants.Build(t.Context(), plants.All()[0], source, filepath.Join(t.TempDir(), "canopy"))
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "Go toolchain") {
		t.Errorf("%v", err)
	}
}

func TestAllIsEverybodysOwn(t *testing.T) {
	slices.Reverse(plants.All())
	if all := plants.All(); !slices.IsSortedFunc(all, func(a, b plants.Plant) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("what one caller does to it another sees")
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := plants.SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
