package archtest_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path of the root module; an import below it is ours.
const module = "github.com/canopychat/canopy"

// A tree is every package of the module, read once.
type tree struct {
	fset     *token.FileSet
	packages map[string]*pkg // by folder, "/" between its parts
}

// A pkg is the Go files of one folder.
type pkg struct {
	dir   string
	name  string // of its non-test files; empty when it has none
	files []*file
}

type file struct {
	path   string // below the root
	test   bool
	source []byte
	ast    *ast.File
}

var theTree = sync.OnceValues(func() (*tree, error) { return readTree(filepath.Join("..", "..")) })

// repo is the tree that the tests are about.
func repo(t *testing.T) *tree {
	t.Helper()
	tr, err := theTree()
	if err != nil {
		t.Fatalf("the tree cannot be read: %v", err)
	}
	if len(tr.packages) == 0 {
		t.Fatal("the tree has no package: the test looks in the wrong place")
	}
	return tr
}

func readTree(root string) (*tree, error) {
	tr := &tree{fset: token.NewFileSet(), packages: make(map[string]*pkg)}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel != "." && outside(name, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		return tr.read(name, filepath.ToSlash(rel))
	})
	return tr, err
}

// outside reports whether a folder is none of the module's: hidden, test data, the data of a running deployment,
// or a module of its own.
func outside(name, base string) bool {
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || slices.Contains([]string{"testdata", "canopy-data", "dist"}, base) {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

func (tr *tree) read(name, rel string) error {
	source, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(tr.fset, rel, source, parser.ParseComments)
	if err != nil {
		return err
	}
	p := tr.packages[path.Dir(rel)]
	if p == nil {
		p = &pkg{dir: path.Dir(rel)}
		tr.packages[p.dir] = p
	}
	f := &file{path: rel, test: strings.HasSuffix(rel, "_test.go"), source: source, ast: parsed}
	if !f.test {
		p.name = parsed.Name.Name
	}
	p.files = append(p.files, f)
	return nil
}

// sorted is all packages by folder, so that failures come in the same order each time.
func (tr *tree) sorted() []*pkg {
	var all []*pkg
	for _, p := range tr.packages {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *pkg) int { return strings.Compare(a.dir, b.dir) })
	return all
}

// code is the files that are not tests.
func (p *pkg) code() []*file {
	return slices.DeleteFunc(slices.Clone(p.files), func(f *file) bool { return f.test })
}

// imports is what a file imports: our packages by their folder, others by their path.
func (f *file) imports() []string {
	var all []string
	for _, spec := range f.ast.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has taken it, so it is a string
		}
		all = append(all, ours(name))
	}
	return all
}

func ours(name string) string {
	if name == module {
		return "."
	}
	return strings.TrimPrefix(name, module+"/")
}

func (f *file) lines() int { return bytes.Count(f.source, []byte("\n")) }

// at is a place in a file, for a failure.
func (tr *tree) at(pos token.Pos) string {
	p := tr.fset.Position(pos)
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// matches reports whether a folder or an import path is of a pattern: itself, or with "/..." at the end all below
// it too; "..." is everything, "std" the standard library, "modules" every other module.
func matches(pattern, name string) bool {
	switch pattern {
	case "...":
		return true
	case "std":
		return isStd(name)
	case "modules":
		return isModule(name)
	}
	if top, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == top || strings.HasPrefix(name, top+"/")
	}
	return name == pattern
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// layers are the top folders that hold packages.
var layers = []string{"schemas", "streams", "services", "edge", "ops"}

func isOurs(name string) bool {
	top, _, _ := strings.Cut(name, "/")
	return slices.Contains(layers, top)
}

// isModule: the first part of another module's path is a host's name, which has a dot in it.
func isModule(name string) bool {
	top, _, _ := strings.Cut(name, "/")
	return strings.Contains(top, ".")
}

func isStd(name string) bool { return !isOurs(name) && !isModule(name) }
