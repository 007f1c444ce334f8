package fault_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
)

// declared is every constant of type Kind in the package's source, so that a new one is under test by being there.
func declared(t *testing.T) map[string]fault.Kind {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var decls []ast.Decl
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		decls = append(decls, file.Decls...)
	}
	kinds := map[string]fault.Kind{}
	for _, decl := range decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			v := spec.(*ast.ValueSpec)
			if typ, ok := v.Type.(*ast.Ident); !ok || typ.Name != "Kind" {
				continue
			}
			for i, name := range v.Names {
				text, err := strconv.Unquote(v.Values[i].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatalf("%s: %v", name.Name, err)
				}
				kinds[name.Name] = fault.Kind(text)
			}
		}
	}
	if len(kinds) < 16 {
		t.Fatalf("the source declares %d kinds: it is written in another way than this test reads", len(kinds))
	}
	return kinds
}

// The codes are on the wire, in clients' code and in runbooks: none is renamed.
func TestTheListIsFrozen(t *testing.T) {
	frozen := map[string]fault.Kind{
		"Invalid": "invalid", "Unauthenticated": "unauthenticated", "Forbidden": "forbidden", "NotFound": "not_found",
		"NotAllowed": "not_allowed", "Conflict": "conflict", "TooLarge": "too_large", "Unsupported": "unsupported",
		"RateLimited": "rate_limited", "Unavailable": "unavailable", "SlowReader": "slow_reader", "Silent": "silent",
		"Moving": "moving", "Protocol": "protocol_error", "NotText": "not_text", "Internal": "internal",
	}
	kinds := declared(t)
	for name, code := range frozen {
		if kinds[name] != code {
			t.Errorf("%s is %q, and was %q", name, kinds[name], code)
		}
	}
}

func TestEveryKindHasItsRow(t *testing.T) {
	shape := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`) // written into frames and labels as it is
	codes, titles, closes := map[fault.Kind]string{}, map[string]string{}, map[int]string{}
	for name, k := range declared(t) {
		t.Run(name, func(t *testing.T) {
			if !shape.MatchString(string(k)) || codes[k] != "" {
				t.Errorf("the code %q is another kind's, or needs quoting", k)
			}
			codes[k] = name
			// A kind without a row would look like Internal.
			if k != fault.Internal && k.Title() == fault.Internal.Title() {
				t.Error("it has no row")
			}
			if k.Title() == "" || titles[k.Title()] != "" {
				t.Errorf("the title %q is empty or that of %s", k.Title(), titles[k.Title()])
			}
			titles[k.Title()] = name
			if s := k.Status(); s < 400 || s > 599 || http.StatusText(s) == "" {
				t.Errorf("%d is not the HTTP status of a failure", s)
			}
			if c := k.CloseCode(); !mayBeSent(c) || closes[c] != "" {
				t.Errorf("the close code %d may not be sent, or is that of %q", c, closes[c])
			}
			closes[k.CloseCode()] = name
			// What is worth trying again is worth coming back for, and nothing else is.
			if again := k.Outcome() == fault.Retry; fault.Reconnect(k.CloseCode()) != again {
				t.Errorf("consumers try again: %v, clients come back: %v", again, !again)
			}
			// 4xx is the caller's to change, except what says when to come back.
			if s := k.Status(); s < 500 && s != 429 && s != 408 && k.Outcome() == fault.Retry {
				t.Errorf("status %d is tried again", s)
			}
		})
	}
}

// mayBeSent reports whether an endpoint may write the code into a close frame: RFC 6455 §7.4 and IANA's
// registry of WebSocket close codes; 4000 to 4999 are for private use.
func mayBeSent(code int) bool {
	switch code {
	case 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014:
		return true
	}
	return code >= 4000 && code <= 4999
}

func TestReconnect(t *testing.T) {
	for _, code := range []int{1001, 1006, 1011, 1012, 1013, 4000, 4408, 4499} {
		if !fault.Reconnect(code) {
			t.Errorf("%d ends the session", code)
		}
	}
	for _, code := range []int{0, fault.CloseNormal, 1002, 1003, 1005, 1007, 1008, 1009, 1010, 1015, 3000, 3999, 4500, 4501, 4999, 5000, -1} {
		if fault.Reconnect(code) {
			t.Errorf("%d asks the client to come back", code)
		}
	}
	if !mayBeSent(fault.CloseNormal) || !mayBeSent(fault.CloseGoingAway) || !fault.Reconnect(fault.CloseGoingAway) {
		t.Error("the codes that are not failures are not those of RFC 6455")
	}
}

func TestAKindThatIsNotInTheTableIsInternal(t *testing.T) {
	for _, k := range []fault.Kind{"", "teapot", "Invalid", `x","code":"y`} {
		err := fault.New(k, "text of %s", "another process")
		public := fault.Public(err)
		if k.Status() != 500 || k.CloseCode() != 1011 || k.Outcome() != fault.Retry || fault.KindOf(err) != fault.Internal ||
			public.Kind != fault.Internal || public.Message != fault.Internal.Title() {
			t.Errorf("%q: %d %d, kind %q, public %+v", k, k.Status(), k.CloseCode(), fault.KindOf(err), public)
		}
	}
}

func TestKindOf(t *testing.T) {
	notFound := fault.New(fault.NotFound, "no channel %s", "c1")
	for _, tt := range []struct {
		name string
		err  error
		want fault.Kind
	}{
		{"nil", nil, ""},
		{"an error of somebody else's", io.EOF, fault.Internal},
		{"an end of patience", context.DeadlineExceeded, fault.Internal},
		{"a failure", notFound, fault.NotFound},
		{"a failure with the operation around it", fmt.Errorf("read the channel: %w", notFound), fault.NotFound},
		{"a failure among others", errors.Join(io.EOF, notFound), fault.NotFound},
		{"the outermost of two", fault.Wrap(fault.Internal, notFound, "x"), fault.Internal},
		{"the outermost of two", fault.Wrap(fault.Forbidden, notFound, "x"), fault.Forbidden},
	} {
		if got := fault.KindOf(tt.err); got != tt.want {
			t.Errorf("%s is %q, not %q", tt.name, got, tt.want)
		}
		if !fault.Is(tt.err, tt.want) {
			t.Errorf("%s is not of its own kind", tt.name)
		}
	}
}

// What a user reads is the message of the failure, and nothing of its cause or of what went wrong inside.
func TestPublicNeverLeaks(t *testing.T) {
	const secret = "pq: password authentication failed for user canopy at 10.0.0.7"
	cause := errors.New(secret)
	leaky := map[string]error{
		"an error without a kind":    cause,
		"with an operation":          fmt.Errorf("load: %w", cause),
		"our fault, said with it":    fault.New(fault.Internal, "%s", secret),
		"our fault, because of it":   fault.Wrap(fault.Internal, cause, "%s", secret),
		"around a failure for users": fault.Wrap(fault.Internal, fault.New(fault.Invalid, "yours"), "%s", secret),
		"an unknown kind":            fault.New("teapot", "%s", secret),
		"nothing":                    nil,
	}
	for _, k := range declared(t) {
		leaky["the cause of "+string(k)] = fmt.Errorf("%s: %w", secret, fault.Wrap(k, cause, "try %s", "again").After(time.Second))
	}
	for name, err := range leaky {
		public := fault.Public(err)
		if shown := fmt.Sprintf("%+v %v", *public, public); strings.Contains(shown, secret) {
			t.Errorf("%s: %s", name, shown)
		}
		if public.Err != nil || errors.Unwrap(public) != nil {
			t.Errorf("%s keeps its cause", name)
		}
		if public.Message == "" {
			t.Errorf("%s says nothing", name)
		}
	}
}

func TestPublicKeepsWhatIsForTheUser(t *testing.T) {
	err := fmt.Errorf("submit: %w", fault.Wrap(fault.RateLimited, io.EOF, "%d sends are waiting", 256).After(2*time.Second))
	got := fault.Public(err)
	if got.Kind != fault.RateLimited || got.Message != "256 sends are waiting" || got.RetryAfter != 2*time.Second {
		t.Errorf("%+v", got)
	}
}

func TestTheLogHasEverything(t *testing.T) {
	err := fault.Wrap(fault.Unavailable, io.ErrUnexpectedEOF, "try again")
	if got := err.Error(); got != "unavailable: try again: unexpected EOF" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%s", got)
	}
	if got := fault.New(fault.NotFound, "no such channel").Error(); got != "not_found: no such channel" {
		t.Errorf("%s", got)
	}
}
