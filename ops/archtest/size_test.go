package archtest_test

import (
	"bytes"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// The sizes that keep a reader calm: each is the first that is too much. They are of code; a test file is a list
// of specifications, each read by itself.
const (
	maxFileLines    = 500
	maxFuncLines    = 60   // from its first line to its closing brace, the doc comment not counted
	maxMethods      = 8    // of an interface, embedded ones counted as one
	maxArguments    = 5    // a ctx in front is not counted: it says how long, not what
	maxPackageLines = 1200 // of code: comments and blank lines are not counted, so that nobody saves on doc comments
	maxChain        = 8    // packages of ours from the top of an import chain to its end
)

// larger is what may be larger than that. what is a file, a folder, or file:function; up to is the size that it
// must stay under, so that an exception does not grow by itself.
var larger = []struct {
	what string
	upTo int
	why  string
}{
	{"edge/gateway", 1850, "loops and rooms are one machine with one owner of every field; its pure and its portable parts are edge/session, edge/fanout and edge/poll already"},
}

// forTests are packages that only tests import: a package's size is no matter there, as in a test file.
var forTests = []string{"streams/streamstest", "services/store/storetest", "schemas/rest/resttest", "schemas/wire/wiretest", "edge/client/clienttest", "services/deliver/target/pushtest", "ops/verify/check/sample"}

// topOfChain are the packages whose own chain is not counted: they wire, or start what is wired, and hold no decision.
var topOfChain = []string{"ops/cmd/...", "ops/cli", "ops/app", "ops/bench", "ops/verify"}

func TestSizes(t *testing.T) {
	tr := repo(t)
	used := make(map[string]bool)
	check := func(what string, size, limit int, unit string) {
		if size < limit {
			return
		}
		for _, l := range larger {
			if l.what == what {
				used[what] = true
				limit = l.upTo
			}
		}
		if size >= limit {
			t.Errorf("%s has %d %s, and must have fewer than %d: split it where a reader would", what, size, unit, limit)
		}
	}
	for _, p := range tr.sorted() {
		lines := 0
		for _, f := range p.code() {
			lines += f.codeLines(tr)
			check(f.path, f.lines(), maxFileLines, "lines")
			checkDeclarations(tr, f, check)
		}
		if !slices.Contains(forTests, p.dir) {
			check(p.dir, lines, maxPackageLines, "lines of code")
		}
		if !matchesAny(topOfChain, p.dir) {
			chain := tr.chain(p.dir)
			check(p.dir+" → "+strings.Join(chain[1:], " → "), len(chain), maxChain, "packages in a chain")
		}
	}
	for _, l := range larger {
		if !used[l.what] {
			t.Errorf("%s is excepted from a size (%s) and needs no exception any more: take the row away", l.what, l.why)
		}
	}
}

func checkDeclarations(tr *tree, f *file, check func(what string, size, limit int, unit string)) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			what := f.path + ":" + n.Name.Name
			check(what, tr.height(n), maxFuncLines, "lines")
			check(what, arguments(n.Type), maxArguments, "arguments")
		case *ast.TypeSpec:
			if i, ok := n.Type.(*ast.InterfaceType); ok {
				check(f.path+":"+n.Name.Name, i.Methods.NumFields(), maxMethods, "methods")
				for _, m := range i.Methods.List {
					if fn, ok := m.Type.(*ast.FuncType); ok {
						check(f.path+":"+n.Name.Name+"."+m.Names[0].Name, arguments(fn), maxArguments, "arguments")
					}
				}
			}
		}
		return true
	})
}

func (tr *tree) height(n ast.Node) int {
	return tr.fset.Position(n.End()).Line - tr.fset.Position(n.Pos()).Line + 1
}

// arguments is how many a call must get into the right order.
func arguments(f *ast.FuncType) int {
	n := f.Params.NumFields()
	if n == 0 {
		return 0
	}
	if sel, ok := f.Params.List[0].Type.(*ast.SelectorExpr); ok && isName(sel.X, "context") && sel.Sel.Name == "Context" {
		return n - 1
	}
	return n
}

// codeLines is how many lines hold more than a comment.
func (f *file) codeLines(tr *tree) int {
	comments := commentedLines(tr, f)
	n := 0
	for i, line := range bytes.Split(f.source, []byte("\n")) {
		text := bytes.TrimSpace(line)
		comment := comments[i+1] && (bytes.HasPrefix(text, []byte("//")) || bytes.HasPrefix(text, []byte("/*")))
		if len(text) > 0 && !comment {
			n++
		}
	}
	return n
}

// chain is the longest import chain from a package down, itself first.
func (tr *tree) chain(dir string) []string {
	return tr.chainFrom(dir, make(map[string][]string))
}

func (tr *tree) chainFrom(dir string, known map[string][]string) []string {
	if chain, ok := known[dir]; ok {
		return chain
	}
	var longest []string
	for _, f := range tr.packages[dir].code() {
		for _, name := range f.imports() {
			if tr.packages[name] == nil {
				continue
			}
			if below := tr.chainFrom(name, known); len(below) > len(longest) {
				longest = below
			}
		}
	}
	known[dir] = slices.Concat([]string{dir}, longest)
	return known[dir]
}
