package archtest_test

import (
	"slices"
	"strings"
	"testing"
)

// A law says what a package must not import.
type law struct {
	in        string   // whom it binds, a pattern
	forbidden []string // patterns
	except    []string // of the forbidden ones, those that are all right
	why       string
}

var importLaw = []law{
	{"schemas/...", []string{"streams/...", "services/...", "edge/...", "ops/..."}, nil,
		"formats outlive every process, so they know none of them"},
	{"schemas/...", []string{"modules"}, nil,
		"formats need nothing but the standard library, so anybody can read them with it"},
	{"schemas/chat", []string{"schemas/..."}, nil,
		"the nouns are the bottom of the tree"},
	{"schemas/fault", []string{"schemas/..."}, nil,
		"the error table is usable by everyone, so it knows no one"},
	{"streams/...", []string{"services/...", "edge/...", "ops/..."}, nil,
		"streams is below all who use it"},
	{"streams", []string{"streams/...", "modules"}, nil,
		"names and limits are pure: no connection, no client library"},
	{"services/...", []string{"edge/...", "ops/..."}, nil,
		"a service does not know who its users' sockets are with, nor how it is started"},
	{"services/...", []string{"services/..."}, []string{"services/store", "services/api/entry"},
		"what a service needs of a neighbour it declares as an interface; ops/app satisfies it. The contracts are in services/store"},
	{"edge/...", []string{"services/...", "ops/..."}, nil,
		"a gateway runs in regions that have no database: what it needs of a service, it asks over NATS"},
	{"edge/wsconn", []string{"streams/...", "edge/..."}, nil,
		"frames know nothing of chat, and can be tested against any WebSocket peer"},
	{"edge/poll", []string{"schemas/...", "streams/...", "edge/..."}, nil,
		"bytes and descriptors; what they mean is for the loop that has them"},
	{"edge/fanout", []string{"edge/gateway", "edge/session", "edge/poll"}, nil,
		"rings do not know who reads them"},
	{"edge/session", []string{"net/...", "os/...", "sync/...", "log/...", "context", "streams/...", "edge/gateway", "edge/wsconn", "edge/poll", "modules"}, nil,
		"a session is a pure function of state and input: no I/O, no lock, no goroutine"},
	{"ops/config", []string{"services/...", "edge/...", "ops/..."}, nil,
		"settings do not know what they set"},
	{"ops/verify/stranger/...", []string{"..."}, []string{"std", "ops/verify/record", "ops/verify/stranger/...", "github.com/coder/websocket"},
		"a client that shares code with the product would share its mistakes"},
	{"ops/verify/check/...", []string{"services/...", "edge/...", "streams/...", "ops/..."}, []string{"ops/verify/record", "ops/verify/check/..."},
		"checks are functions of the record: what they know of the product they have read, not called"},
	{"...", []string{"ops/verify/..."}, []string{},
		"it looks at the product, and nothing of that knows it"},
	{"ops/cmd/...", []string{"..."}, []string{"std", "ops/cli"},
		"main hands over to the command line and returns its exit code"},
	{"...", []string{"ops/app"}, []string{},
		"the composition root is at the top"},
	{"...", []string{"streams/streamstest", "services/store/storetest", "schemas/rest/resttest", "schemas/wire/wiretest", "edge/client/clienttest", "services/deliver/target/pushtest", "ops/verify/check/sample", "testing/..."}, nil,
		"what is made for tests stays in tests"},
	{"...", []string{"math/rand", "unsafe", "io/ioutil", "plugin", "encoding/gob"}, nil,
		"math/rand/v2 and crypto/rand are the sources of chance; the others hide what a reader must see"},
}

// aboveTheLaw may import what is for the top, or for tests only; by reason.
var aboveTheLaw = []struct {
	in, may string
	why     string
}{
	{"ops/cli", "ops/app", "the command line starts what ops/app wires"},
	{"ops/bench", "ops/app", "it measures the whole system in its own process"},
	{"ops/verify/...", "ops/verify/...", "one tool in many folders"},
	{"ops/cli", "ops/verify", "canopy verify is one of the commands"},
	{"services/store/sqlite/...", "services/store/sqlite/...", "one technology in several folders: a file, Messages"},
	{"services/store/cassandra/...", "services/store/cassandra/...", "one technology in several folders: the ring, its migrations, Messages"},
	{"services/store/relational/...", "services/store/relational/...", "the Directory in several folders: what a database must do, who is signed in, places"},
	{"services/store/sqlite/...", "services/store/relational/...", "it is one of the databases that the Directory can be in"},
	{"services/store/postgres", "services/store/relational/...", "it is one of the databases that the Directory can be in"},
	{"services/deliver/...", "services/deliver/...", "delivery in several folders: decisions, the ledger, what a target gets, the ways to reach one"},
	{"streams/streamstest", "testing", "it is made for tests"},
	{"services/deliver/target/pushtest", "testing/...", "it is made for tests"},
	{"schemas/rest/resttest", "testing", "it is made for tests"},
	{"schemas/rest/resttest", "github.com/santhosh-tekuri/jsonschema/v6", "it is made for tests, and holds traffic against the document"},
	{"schemas/wire/wiretest", "github.com/santhosh-tekuri/jsonschema/v6", "it is made for tests, and holds frames against the document"},
	{"edge/client/clienttest", "testing", "it is made for tests"},
	{"services/store/storetest", "testing", "it is made for tests"},
}

// A test may import more than the code beside it: it assembles a component with real neighbours.
var testLaw = []law{
	{"schemas/...", []string{"streams/...", "services/...", "edge/...", "ops/..."}, nil, "formats are tested by their bytes"},
	{"streams/...", []string{"services/...", "edge/...", "ops/..."}, nil, "streams is tested on a real server, without users of it"},
	{"services/...", []string{"edge/...", "ops/..."}, nil, "services are tested with real stores and streams, without sockets"},
	{"edge/...", []string{"services/...", "ops/..."}, nil, "the edge is tested without databases: it must work where there are none"},
}

func TestImportLaw(t *testing.T) {
	tr := repo(t)
	for _, p := range tr.sorted() {
		for _, f := range p.files {
			laws := importLaw
			if f.test {
				laws = testLaw
			}
			for _, name := range f.imports() {
				if name == p.dir {
					continue // an external test of its own package
				}
				for _, l := range laws {
					if l.forbids(p.dir, name) && !allowed(p.dir, name) {
						t.Errorf("%s imports %s: %s", f.path, name, l.why)
					}
				}
			}
		}
	}
}

func (l law) forbids(in, name string) bool {
	return matches(l.in, in) && matchesAny(l.forbidden, name) && !matchesAny(l.except, name)
}

func allowed(in, name string) bool {
	for _, a := range aboveTheLaw {
		if matches(a.in, in) && matches(a.may, name) {
			return true
		}
	}
	return false
}

// Every package is in a layer, so that the law binds it.
func TestEveryPackageIsInALayer(t *testing.T) {
	for _, p := range repo(t).sorted() {
		if !isOurs(p.dir) {
			t.Errorf("%s is a package outside %s: nobody says what it may import", p.dir, strings.Join(layers, ", "))
		}
	}
}

// A technology is a library that others know by its name; one package knows it, so that it can be replaced there.
type technology struct {
	library string   // pattern of import paths; of two that match the longer one counts
	homes   []string // patterns of folders that may import it
	tests   []string // patterns of folders whose tests may, besides
	why     string
}

var everywhere = []string{"..."}

var technologies = []technology{
	{"github.com/nats-io/nats-server/v2/...", []string{"streams/natsd"}, nil, "the embedded server has one owner"},
	{"github.com/nats-io/nats-server/v2/conf", []string{"ops/config"}, nil, "the config file is in NATS's syntax; its parser is not promised to be stable"},
	{"github.com/nats-io/nats.go/...", []string{"streams/...", "ops/..."}, []string{"services/...", "edge/..."}, "services and edge publish and consume through streams; their tests may look at the server with the client itself"},
	{"github.com/labstack/echo/v4/...", []string{"services/api/..."}, nil, "REST has one router"},
	{"github.com/coder/websocket", []string{"ops/verify/stranger/..."}, nil, "a client that shares no code with the product has another parser of frames"},
	{"github.com/anishathalye/porcupine", []string{"ops/verify/check/linear"}, nil, "one package searches for orders"},
	{"github.com/gobwas/ws/...", []string{"edge/wsconn"}, nil, "frames have one parser"},
	{"modernc.org/sqlite/...", []string{"services/store/sqlite/file"}, nil, "one implementation of the contracts, one database"},
	{"github.com/jackc/pgx/v5/...", []string{"services/store/postgres"}, nil, "one implementation of the contracts, one database"},
	{"github.com/gocql/gocql", []string{"services/store/cassandra/ring"}, nil, "one implementation of the contracts, one database; its successor has another path"},
	{"github.com/pressly/goose/v3/...", []string{"services/store/sqlite/file", "services/store/postgres"}, nil, "a database applies its own migrations"},
	{"database/sql/...", []string{"services/store/relational/...", "services/store/sqlite/...", "services/store/postgres"}, nil, "SQL stays behind the contracts"},
	{"github.com/golang-jwt/jwt/v5", []string{"services/auth"}, nil, "one package signs and verifies"},
	{"golang.org/x/crypto/argon2", []string{"services/auth"}, nil, "one package hashes passwords, and bounds what that costs"},
	{"github.com/SherClockHolmes/webpush-go", []string{"services/deliver/target/webpush"}, []string{"services/deliver/target/..."}, "Web Push has one sender"},
	{"github.com/standard-webhooks/standard-webhooks/libraries/go", []string{"services/deliver/target/webhook", "services/deliver/target/pushtest"}, nil, "webhooks are signed in one place, and checked by the receiver of the tests"},
	{"github.com/wneessen/go-mail", []string{"services/mail"}, nil, "mail has one sender"},
	{"github.com/prometheus/client_golang/...", []string{"ops/obs"}, nil, "components count in plain numbers; one package knows what a metric is"},
	{"github.com/nats-io/prometheus-nats-exporter/...", []string{"ops/obs"}, nil, "the names of NATS's own dashboards come with the other metrics"},
	{"go.opentelemetry.io/otel/...", []string{"ops/obs"}, nil, "components hand a traceparent on; one package records spans"},
	{"go.opentelemetry.io/proto/...", nil, []string{"ops/..."}, "for tests"},
	{"google.golang.org/protobuf/...", nil, []string{"ops/..."}, "for tests"},
	{"github.com/rogpeppe/go-internal/testscript", nil, []string{"ops/..."}, "for tests"},
	{"github.com/alecthomas/kong", []string{"ops/cli"}, nil, "one package reads the command line"},
	{"github.com/schollz/progressbar/v3", []string{"ops/cli", "ops/ctl"}, nil, "progress is for who watches a terminal"},
	{"golang.org/x/term", []string{"ops/cli"}, nil, "who watches a terminal is asked in one place"},
	{"github.com/mattn/go-isatty", []string{"ops/cli"}, nil, "who watches a terminal is asked in one place"},
	{"golang.org/x/sys/unix", []string{"edge/poll", "ops/datadir", "ops/bench/..."}, nil, "epoll, file locks and limits; all else is portable"},
	{"golang.org/x/sync/...", everywhere, nil, "errgroup and singleflight: as good as the standard library"},
	{"golang.org/x/time/rate", everywhere, nil, "as good as the standard library"},
	{"github.com/google/uuid", everywhere, nil, "UUIDv7: ids and message ids are made where the thing is"},
	{"github.com/santhosh-tekuri/jsonschema/v6", []string{"schemas/rest/resttest", "schemas/wire/wiretest"}, []string{"schemas/...", "services/api", "edge/gateway", "ops/..."}, "schemas are checked in tests; nobody runs them"},
	{"github.com/google/go-cmp/...", []string{"services/store/storetest"}, everywhere, "for tests"},
	{"pgregory.net/rapid", nil, everywhere, "for tests"},
	{"go.uber.org/goleak", nil, everywhere, "for tests"},
	{"net/http/...", []string{"services/api/...", "services/deliver/target/...", "schemas/rest/resttest", "edge/door", "edge/gateway", "edge/wsconn", "edge/client/...", "ops/..."}, everywhere, "HTTP ends at the border: REST, the upgrade of a socket, operators, and what we tell push services and webhooks"},
	{"net/http/pprof", []string{"ops/app"}, nil, "importing it elsewhere would put profiles on a public address"},
	{"os/exec", []string{"ops/..."}, everywhere, "no service starts a process"},
	{"log", []string{"ops/httpd"}, []string{"ops/..."}, "log/slog is the log; ops/httpd hands the old one to net/http"},
	{"reflect", []string{"schemas/ijson", "ops/config"}, everywhere, "two packages read struct tags; the others say what they mean"},
}

func TestOneTechnologyOnePackage(t *testing.T) {
	tr := repo(t)
	for _, p := range tr.sorted() {
		for _, f := range p.files {
			for _, name := range f.imports() {
				tech, ok := technologyOf(name)
				if !ok {
					if isModule(name) {
						t.Errorf("%s imports %s, which is in no row of the table: say where it lives, and why there", f.path, name)
					}
					continue
				}
				if !matchesAny(tech.homes, p.dir) && !(f.test && matchesAny(tech.tests, p.dir)) {
					t.Errorf("%s imports %s, which lives in %s: %s", f.path, name, homesOf(tech, f.test), tech.why)
				}
			}
		}
	}
}

func technologyOf(name string) (best technology, found bool) {
	for _, tech := range technologies {
		if matches(tech.library, name) && len(tech.library) > len(best.library) {
			best, found = tech, true
		}
	}
	return best, found
}

// homesOf says where a technology lives, for a failure.
func homesOf(tech technology, test bool) string {
	homes := slices.Clone(tech.homes)
	if test {
		homes = append(homes, tech.tests...)
	}
	if len(homes) == 0 {
		return "tests only"
	}
	return strings.Join(homes, ", ")
}
