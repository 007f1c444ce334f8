package archtest_test

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// natsName is how a subject, stream, header or API of NATS begins.
var natsName = regexp.MustCompile(`(^|[\s'"/])(chat|fan|rpc|eph|dlq|delivery|outbox)\.([0-9<>{*%$-]|$)|\$(JS|KV|SRV|SYS|O)\.|\b(CHAT_|ADVISORIES\b|DLQ\b)|\bNats-[A-Z]`)

// May spell a name of NATS, though not in streams.
var spellsNames = []struct{ in, text, why string }{
	{"ops/cli", "chat.", "the copy-paste lines for the nats command that `up` prints"},
	{"ops/workbench", "chat.", "the same, that `local up` prints"},
}

// streams is the only package that spells a subject, a stream or a header, so no id gets into one unchecked. Tests
// may: to write down what must come out is their work.
func TestNamesAreSpelledInStreamsOnly(t *testing.T) {
	tr := repo(t)
	used := make(map[string]bool)
	for _, p := range tr.sorted() {
		if matches("streams/...", p.dir) {
			continue
		}
		for _, f := range p.code() {
			for _, lit := range literals(f.ast, token.STRING) {
				text, err := strconv.Unquote(lit.Value)
				if err != nil || !natsName.MatchString(text) {
					continue
				}
				if row := mayName(p.dir, text); row != "" {
					used[row] = true
					continue
				}
				t.Errorf("%s spells %.60q: names of NATS are spelled in streams only, by builders that refuse a bad id", tr.at(lit.Pos()), text)
			}
		}
	}
	for _, s := range spellsNames {
		if !used[s.in+" "+s.text] {
			t.Errorf("%s may spell %q (%s) and does not: take the row away", s.in, s.text, s.why)
		}
	}
}

// mayName is the exception that a text is; empty: none.
func mayName(dir, text string) string {
	for _, s := range spellsNames {
		if s.in == dir && strings.Contains(text, s.text) {
			return s.in + " " + s.text
		}
	}
	return ""
}

func literals(f *ast.File, kind token.Token) []*ast.BasicLit {
	var all []*ast.BasicLit
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == kind {
			all = append(all, lit)
		}
		_, isImport := n.(*ast.ImportSpec)
		return !isImport
	})
	return all
}

// Success is no failure, so it has no kind: who answers may say it. Everything else is a row of schemas/fault.
var (
	successes   = []string{"StatusOK", "StatusCreated", "StatusAccepted", "StatusNoContent", "StatusSwitchingProtocols"}
	maySucceed  = []string{"services/api/...", "edge/gateway", "edge/wsconn", "ops/..."}
	statusNames = regexp.MustCompile(`^Status[A-Z]`)
	notStatuses = []string{"StatusText", "StatusCode", "StatusRangePrivate"} // a function, a type and a range
)

// bareCodes are the files that may write a code as a number.
var bareCodes = map[string]string{
	"edge/wsconn/frame.go":  "it checks which close codes a peer may send at all (RFC 6455 §7.4 and the registry after it)",
	"edge/wsconn/client.go": "what a closed socket without a code means (RFC 6455 §7.1.5)",
}

// takesStatus are the functions whose number is a status.
var takesStatus = []string{"WriteHeader", "NoContent", "JSON", "JSONBlob", "Blob", "String", "HTML", "Redirect", "Stream", "Error", "NewHTTPError"}

func TestStatusCodesComeFromFault(t *testing.T) {
	const why = "one table in schemas/fault maps a kind to its codes; nobody else writes one"
	tr := repo(t)
	for _, p := range tr.sorted() {
		if p.dir == "schemas/fault" {
			continue
		}
		for _, f := range p.code() {
			ast.Inspect(f.ast, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					if name, bad := failureStatus(p.dir, n); bad {
						t.Errorf("%s says %s: %s", tr.at(n.Pos()), name, why)
					}
				case *ast.CallExpr:
					if code, bad := bareStatus(n); bad {
						t.Errorf("%s passes the status %s: %s", tr.at(n.Pos()), code, why)
					}
				case *ast.BasicLit:
					if bareCodes[f.path] == "" && isCloseCode(n) {
						t.Errorf("%s says %s, which looks like a close code: %s", tr.at(n.Pos()), n.Value, why)
					}
				}
				return true
			})
		}
	}
}

func failureStatus(dir string, sel *ast.SelectorExpr) (string, bool) {
	of, ok := sel.X.(*ast.Ident)
	if !ok || (of.Name != "http" && of.Name != "ws") || !statusNames.MatchString(sel.Sel.Name) || slices.Contains(notStatuses, sel.Sel.Name) {
		return "", false
	}
	success := of.Name == "http" && slices.Contains(successes, sel.Sel.Name) && matchesAny(maySucceed, dir)
	return of.Name + "." + sel.Sel.Name, !success
}

func bareStatus(call *ast.CallExpr) (string, bool) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains(takesStatus, sel.Sel.Name) {
		return "", false
	}
	for _, arg := range call.Args {
		lit, ok := arg.(*ast.BasicLit)
		if !ok || lit.Kind != token.INT {
			continue
		}
		if n, err := strconv.Atoi(lit.Value); err == nil && n >= 100 && n < 600 {
			return lit.Value, true
		}
	}
	return "", false
}

// isCloseCode: 1001 to 1015 of the registry and 4400 to 4599 of ours. 1000 is left out, as a round number.
func isCloseCode(lit *ast.BasicLit) bool {
	n, err := strconv.Atoi(lit.Value)
	return lit.Kind == token.INT && err == nil && (n > 1000 && n <= 1015 || n >= 4400 && n < 4600)
}
