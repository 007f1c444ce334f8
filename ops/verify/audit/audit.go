package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

// Defaults of fields that were left at zero.
const (
	DefaultPatience = 3 * time.Minute
	DefaultEvery    = 5 * time.Second
)

// lookPause is between two looks at what is waited for.
const lookPause = 250 * time.Millisecond

// Config says where to look. What is not known is left out, and said so.
type Config struct {
	Rec *record.Recorder
	Run record.Run // as it is in the record

	Hub       *nats.Conn // as an operator, which the caller closes; nil: no logs, no jobs, no consumers
	Processes []Process  // none: no figures of processes
	Cassandra []string   // host:port of each node; none: messages are kept elsewhere
	Keyspace  string     // in it
	APIs      []Place    // REST
	Gateways  []Place    // sockets

	// Readers are people who may be asked to look, in the order in which they are tried: of each workspace its owner, who looks everywhere,
	// and one of each region who is no owner. Who cannot sign in any more is passed over.
	Readers []Reader

	Lost     func() []record.Event       // what the streams held that were lost, as it is in the record; nil: none was
	Ready    func(context.Context) error // waits until every process is ready; nil: not known
	JobsWait bool                        // settings that are not ours say when a job of delivery is tried again, which may be in hours: it is not waited for
	Patience time.Duration               // of each wait; 0: DefaultPatience
	Every    time.Duration               // between two looks during the load; 0: DefaultEvery
	Say      func(string)                // what is done, and what was left out, in one line each, by any goroutine; may be nil
}

// Process is one whose figures are looked at.
type Process struct {
	Name    string
	Metrics string // URL of its figures, in Prometheus's text format
}

// Place is a process that people speak to.
type Place struct {
	Name   string
	Region string
	URL    string // http:// of REST; ws:// of a gateway, up to /socket
}

// Reader is somebody whose eyes are used.
type Reader struct {
	Login, Password string
	Workspace       string // id
	Region          string
	Owner           bool
}

// Conn is a socket of somebody that is open.
type Conn struct {
	Name string
	Told int64 // the last seq that came over it, or that a resync said it has to read elsewhere
	Word int64 // seq of a message that it must be told, since its person sent it when all was quiet; 0: there is none
}

// Audit looks at one run. Watch may run beside the others; those are called one after the other.
type Audit struct {
	Config
	js   jetstream.JetStream // nil without a hub
	http *http.Client

	// Owned by the caller of Quiet, Silent and Finish.
	before map[string]float64        // goroutines of processes
	logs   map[string][]record.Event // of all streams that each log had, in rising seq
	begins map[string]chat.Cursor    // before the first event of the last of them
	end    record.End
	asked  bool // Quiet was called
}

// New makes an Audit. It looks at nothing yet.
func New(c Config) (*Audit, error) {
	c.Patience, c.Every = cmp.Or(c.Patience, DefaultPatience), cmp.Or(c.Every, DefaultEvery)
	if c.Say == nil {
		c.Say = func(string) {}
	}
	a := &Audit{
		Config: c, http: &http.Client{Timeout: figuresTimeout},
		before: map[string]float64{}, logs: map[string][]record.Event{}, begins: map[string]chat.Cursor{},
	}
	if c.Hub == nil {
		return a, nil
	}
	js, err := jetstream.NewWithDomain(c.Hub, streams.HubDomain)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	a.js = js
	return a, nil
}

// Finish writes down what all views have, and ends the record. The sockets of the run may be closed by then; they should be, for figures
// of processes to be comparable with those from before. The error is that ctx ended: then the record has no end.
func (a *Audit) Finish(ctx context.Context) error {
	if !a.asked {
		a.Quiet(ctx)
	}
	for _, part := range []struct {
		name string
		do   func(context.Context)
	}{
		{"the logs", a.Logs}, {"dead letters", a.Letters}, {"jobs of delivery", a.Jobs}, {"histories", a.Histories}, {"replays", a.Replays}, {"what a stranger sees", a.Strange}, {"rows of Cassandra", a.Rows},
		{"figures", a.Figures},
	} {
		a.Say("looks at " + part.name)
		part.do(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("the audit was broken off: %w", context.Cause(ctx))
		}
	}
	a.end.Time = a.Rec.Since()
	a.Rec.Add(record.Line{End: &a.end})
	return nil
}

// Unmet is what was waited for in vain, or could not be read, so far.
func (a *Audit) Unmet() []string { return slices.Clone(a.end.Unmet) }

// miss notes what was waited for in vain, or could not be read.
func (a *Audit) miss(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	a.end.Unmet = append(a.end.Unmet, line)
	a.Say("in vain: " + line)
}

// Silent waits until every open socket was told of the last message that it must be told. Those that were not are in End.Silent, and how
// many were looked at in End.Open. open says which are open at that moment; a socket that ends meanwhile is not silent.
func (a *Audit) Silent(ctx context.Context, open func() []Conn) []string {
	var deaf []string
	_ = a.until(ctx, func(context.Context) error { // it says less than deaf
		deaf, a.end.Open = nil, 0
		for _, c := range open() {
			if c.Word > 0 {
				a.end.Open++
			}
			if c.Told < c.Word {
				deaf = append(deaf, c.Name)
			}
		}
		if len(deaf) > 0 {
			return errors.New("some were not told")
		}
		return nil
	})
	slices.Sort(deaf)
	a.end.Silent = deaf
	return deaf
}

// until looks again and again until look has nothing to complain of, or patience ends: then the error is the last complaint. A refusal of
// the server that does not pass by itself is the error at once. Each look is bounded as well, for a process that is paused answers nothing.
func (a *Audit) until(ctx context.Context, look func(context.Context) error) error {
	waiting, cancel := context.WithTimeout(ctx, a.Patience)
	defer cancel()
	for {
		looking, cancel := context.WithTimeout(ctx, lookTimeout) // a last look that was cut short would tell of that alone
		err := look(looking)
		cancel()
		var refused *client.Error
		if err == nil || errors.As(err, &refused) && !refused.Passes() || client.Wait(waiting, lookPause) != nil {
			return err
		}
	}
}
