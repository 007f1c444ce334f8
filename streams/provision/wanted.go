package provision

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/streams"
)

// ErrBadFile says that a file is not what the nats command would read, or does not fit the others.
var ErrBadFile = errors.New("not a usable stream or consumer file")

// Options adapt the files to a deployment. A zero field leaves what the file says.
type Options struct {
	Replicas int // of every stream; more than one needs a cluster of at least as many

	// For the CHAT streams only. A stream reserves MaxBytes of its server's store when it is created, and
	// refuses what does not fit; it drops what is older than MaxAge.
	MaxBytes        int64
	MaxAge          time.Duration
	DuplicateWindow time.Duration

	// Placement is the tag of the servers that may hold a shard's CHAT stream, such as region:eu; a shard that is not in it
	// may lie on any.
	Placement map[streams.Shard]string

	// AllowLoss lets Apply shrink a stream below what it holds. Nothing else is ever lost.
	AllowLoss bool
}

// AloneMaxBytes is what each CHAT stream holds on a hub that is alone: together they fit into the
// store of natsd.DefaultMaxStore, and a laptop.
const AloneMaxBytes = 1 << 30

// Alone are the options for one hub without a cluster.
func Alone() Options { return Options{Replicas: 1, MaxBytes: AloneMaxBytes} }

// peerMetadata are the keys by which `nats server check` watches the replicas of a stream: right for a
// cluster only (a stream that has one replica fails the check).
const (
	peerMetadata = "io.nats.monitor.peer-"
	peerExpect   = peerMetadata + "expect"
)

// Wanted is what the hub shall have.
type Wanted struct {
	streams   []jetstream.StreamConfig // in the order of their files' names
	consumers []consumer
	allowLoss bool

	suspicion suspicion
}

// clustered reports whether the hub is to be more than one server.
func (w *Wanted) clustered() bool {
	return slices.ContainsFunc(w.streams, func(s jetstream.StreamConfig) bool { return s.Replicas > 1 })
}

type consumer struct {
	stream string
	config jetstream.ConsumerConfig
}

// Load reads every *.json of files: <STREAM>.json is a stream, <STREAM>.<consumer>.json a consumer of it.
// A field that the server does not know is an error, as is a file whose name is not that of what it holds.
// The error is ErrBadFile.
func Load(files fs.FS, o Options) (*Wanted, error) {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, err
	}
	w := &Wanted{allowLoss: o.AllowLoss}
	known := map[string]bool{}
	for _, name := range names { // sorted: a stream comes before its consumers, for '.' + "json" < '.' + "persist"
		if err := w.load(files, name, o); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", name, ErrBadFile, err)
		}
	}
	for _, s := range w.streams {
		known[s.Name] = true
	}
	for _, c := range w.consumers {
		if !known[c.stream] {
			return nil, fmt.Errorf("%s.%s.json: %w: there is no %s.json", c.stream, c.config.Durable, ErrBadFile, c.stream)
		}
	}
	return w, nil
}

func (w *Wanted) load(files fs.FS, name string, o Options) error {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	stream, consumerName, isConsumer := strings.Cut(strings.TrimSuffix(path.Base(name), ".json"), ".")
	if isConsumer {
		var config jetstream.ConsumerConfig
		if err := decode(text, &config); err != nil {
			return err
		}
		if config.Durable != consumerName || config.Name != consumerName {
			return fmt.Errorf("it holds the consumer %q", config.Durable)
		}
		w.consumers = append(w.consumers, consumer{stream, config})
		return nil
	}
	var config jetstream.StreamConfig
	if err := decode(text, &config); err != nil {
		return err
	}
	if config.Name != stream {
		return fmt.Errorf("it holds the stream %q", config.Name)
	}
	if o.adapt(&config); config.MaxAge > 0 && config.Duplicates > config.MaxAge {
		return fmt.Errorf("duplicate_window %v is longer than max_age %v", config.Duplicates, config.MaxAge)
	}
	w.streams = append(w.streams, config)
	return nil
}

// decode is strict: what the server would not understand must not look as if it did.
func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}

func (o Options) adapt(c *jetstream.StreamConfig) {
	if o.Replicas > 0 {
		c.Replicas = o.Replicas
		if _, ok := c.Metadata[peerExpect]; ok {
			c.Metadata[peerExpect] = strconv.Itoa(o.Replicas)
		}
		if o.Replicas == 1 {
			maps.DeleteFunc(c.Metadata, func(key, _ string) bool { return strings.HasPrefix(key, peerMetadata) })
		}
	}
	o.place(c)
	if _, err := streams.ParseChatStream(c.Name); err != nil {
		return
	}
	if o.MaxBytes > 0 {
		c.MaxBytes = o.MaxBytes
	}
	if o.MaxAge > 0 {
		c.MaxAge = o.MaxAge
		c.Duplicates = min(c.Duplicates, o.MaxAge) // the server refuses a longer one
	}
	if o.DuplicateWindow > 0 {
		c.Duplicates = o.DuplicateWindow
	}
}
