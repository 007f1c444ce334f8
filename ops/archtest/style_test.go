package archtest_test

import (
	"go/ast"
	"go/token"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEveryPackageHasOneDocComment(t *testing.T) {
	for _, p := range repo(t).sorted() {
		var documented []string
		for _, f := range p.code() {
			if f.ast.Doc == nil {
				continue
			}
			documented = append(documented, f.path)
			if text := f.ast.Doc.Text(); p.name != "main" && !strings.HasPrefix(text, "Package "+p.name+" ") {
				t.Errorf("%s: the doc comment begins %.40q: it begins \"Package %s\", so that go doc shows it", f.path, text, p.name)
			}
		}
		if len(p.code()) > 0 && len(documented) != 1 {
			t.Errorf("%s has its doc comment in %d files %v: one says what it is for, owns, promises and must not know", p.dir, len(documented), documented)
		}
	}
}

// emptyNames say nothing of what is inside.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "types", "base", "manager", "misc", "shared", "lib", "core"}

// stdNames are names of ours that a package of the standard library has too.
var stdNames = map[string]string{
	"schemas/token":                 "go/token is for compilers; nobody who reads chat code expects it",
	"schemas/rpc":                   "net/rpc is frozen and used by nobody here; what goes over NATS request and reply has no better word",
	"streams/rpc":                   "the same: schemas/rpc says the formats, streams/rpc carries them",
	"services/store/cassandra/ring": "container/ring is a list that nobody uses here; a Cassandra ring has no better word",
	"services/mail":                 "net/mail parses addresses; whoever reads chat code looks here for what is sent",
}

func TestPackageNames(t *testing.T) {
	out, err := exec.Command("go", "list", "std").Output()
	if err != nil {
		t.Fatalf("go list std: %v", err)
	}
	std := make(map[string]string)
	for _, name := range strings.Fields(string(out)) {
		if !strings.Contains(name, "internal/") && !strings.HasPrefix(name, "vendor/") {
			std[name[strings.LastIndex(name, "/")+1:]] = name
		}
	}
	tr := repo(t)
	for _, p := range tr.sorted() {
		base := p.dir[strings.LastIndex(p.dir, "/")+1:]
		switch {
		case slices.Contains(emptyNames, p.name):
			t.Errorf("%s is called %s, which says nothing of what is inside", p.dir, p.name)
		case p.name != "" && p.name != "main" && p.name != base:
			t.Errorf("%s holds package %s: the folder's name is the package's", p.dir, p.name)
		case std[p.name] != "" && stdNames[p.dir] == "":
			t.Errorf("%s is called like %s of the standard library: a reader takes one for the other", p.dir, std[p.name])
		}
	}
	for dir := range stdNames {
		if tr.packages[dir] == nil {
			t.Errorf("%s may be called like a package of the standard library, and is not there: take the row away", dir)
		}
	}
}

// unfinished is what a finished file does not say. The words stand apart here so that this file does not say them.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b|(?i)\b(for n` + `ow|not implem` + `ented( yet)?)\b`)

func TestNothingIsLeftForLater(t *testing.T) {
	tr := repo(t)
	for _, p := range tr.sorted() {
		for _, f := range p.files {
			for _, group := range f.ast.Comments {
				for _, c := range group.List {
					if found := unfinished.FindString(c.Text); found != "" {
						t.Errorf("%s says %q: finish it, or say in an issue what is missing", tr.at(c.Pos()), found)
					}
				}
			}
		}
	}
}

// A sleep waits too long or not long enough. Tests may, where nothing else can be waited for.
func TestNoSleepOutsideTests(t *testing.T) {
	tr := repo(t)
	for _, p := range tr.sorted() {
		if slices.Contains(forTests, p.dir) {
			continue
		}
		for _, f := range p.code() {
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok && isName(sel.X, "time") && sel.Sel.Name == "Sleep" {
					t.Errorf("%s sleeps: wait for what must happen, with a timer and the context", tr.at(sel.Pos()))
				}
				return true
			})
		}
	}
}

// An error that is thrown away says why that is right, on its line or in the line above.
func TestAnErrorThrownAwayHasItsReason(t *testing.T) {
	tr := repo(t)
	for _, p := range tr.sorted() {
		for _, f := range p.code() {
			explained := commentedLines(tr, f)
			ast.Inspect(f.ast, func(n ast.Node) bool {
				a, ok := n.(*ast.AssignStmt)
				if !ok || a.Tok != token.ASSIGN || len(a.Rhs) != 1 || slices.ContainsFunc(a.Lhs, func(e ast.Expr) bool { return !isName(e, "_") }) {
					return true
				}
				line := tr.fset.Position(a.Pos()).Line
				if _, isCall := a.Rhs[0].(*ast.CallExpr); isCall && !explained[line] && !explained[line-1] {
					t.Errorf("%s throws a result away and does not say why", tr.at(a.Pos()))
				}
				return true
			})
		}
	}
}

func commentedLines(tr *tree, f *file) map[int]bool {
	lines := make(map[int]bool)
	for _, group := range f.ast.Comments {
		for _, c := range group.List {
			for l := tr.fset.Position(c.Pos()).Line; l <= tr.fset.Position(c.End()).Line; l++ {
				lines[l] = true
			}
		}
	}
	return lines
}

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}
