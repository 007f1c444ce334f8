package check

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/provision"
)

// Level is how a check ended.
type Level string

// The levels, from good to bad.
const (
	OK   Level = "ok"
	Skip Level = "skip" // it was not given what it needs
	Warn Level = "warn" // it works, and an operator should know
	Fail Level = "fail" // not ready for traffic
)

// Finding is what one check found.
type Finding struct {
	Check  string `json:"check"`
	Level  Level  `json:"level"`
	Detail string `json:"detail"` // one line; what to do stands in it when it is not fine
}

// SchemaOf looks how far the tables of a store are, and changes nothing: the number of the last migration that was
// applied, and of the last one that this program has.
type SchemaOf = func(ctx context.Context) (have, known int64, err error)

// Deployment is what is checked. Conn and Streams are needed; what is nil is left out, and said to be.
type Deployment struct {
	Conn    *bus.Conn           // to the hub, as the services
	Streams provision.Options   // the limits that streams should have
	System  *nats.Conn          // to the hub, in the system account
	Edge    *nats.Conn          // to a leaf, as a gateway
	Schemas map[string]SchemaOf // by store: messages, directory
	Version string              // of this program
}

// budget is how long one check may take.
const budget = 10 * time.Second

// Run makes all checks in turn and tells each finding as it comes. It reports whether none of them failed; the error
// is ctx's.
func Run(ctx context.Context, d Deployment, tell func(Finding)) (fine bool, err error) {
	fine = true
	for _, c := range []struct {
		name string
		look func(context.Context) (Level, string)
	}{
		{"hub", d.hub},
		{"sync", d.sync},
		{"quorum", d.quorum},
		{"streams", d.streams},
		{"log", d.log},
		{"clock", d.clock},
		{"messages schema", d.schema("messages")},
		{"directory schema", d.schema("directory")},
		{"processes", d.processes},
		{"permissions", d.permissions},
	} {
		looking, cancel := context.WithTimeout(ctx, budget)
		level, detail := c.look(looking)
		cancel()
		if err := ctx.Err(); err != nil {
			return false, err
		}
		fine = fine && level != Fail
		tell(Finding{Check: c.name, Level: level, Detail: detail})
	}
	return fine, nil
}

func failed(format string, args ...any) (Level, string) { return Fail, fmt.Sprintf(format, args...) }

func (d Deployment) schema(of string) func(context.Context) (Level, string) {
	return func(ctx context.Context) (Level, string) {
		look := d.Schemas[of]
		if look == nil {
			return Skip, "the settings name no server of it: give the --config that the deployment runs with"
		}
		have, known, err := look(ctx)
		switch {
		case err != nil:
			return failed("it cannot be read: %v", err)
		case have > known:
			return failed("its tables are of a newer Canopy (%d, this one knows %d): use that version", have, known)
		case have < known:
			return Warn, fmt.Sprintf("at %d of %d: the first process that starts brings it up to date; for Cassandra all nodes must be up", have, known)
		}
		return OK, fmt.Sprintf("at %d", have)
	}
}
