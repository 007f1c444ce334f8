package deadletter

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
	"github.com/canopychat/canopy/streams/dlq"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/later"
)

// Defaults of fields that were left at zero.
const (
	DefaultEvery     = 5 * time.Second
	DefaultThreshold = 30 * time.Second
)

// Redriver brings the original of a letter to its end, as its consumer would have.
type Redriver interface {
	// Redrive says where it is then. It may be called again after it was done, and must change nothing. With dry it only says whether
	// it can be tried. An error that is not Unavailable says to people why it cannot be.
	Redrive(ctx context.Context, l dlq.Letter, dry bool) (place string, err error)
}

// Evidence knows whether a consumer dealt with its events.
type Evidence interface {
	// Missing are those of some events, which the consumer will not be given again, that it did not deal with. The error is
	// Unavailable.
	Missing(ctx context.Context, entries []bus.Entry) ([]bus.Entry, error)
}

// Config is what a Service is made of. Conn must be given.
type Config struct {
	Conn      *bus.Conn
	Redrive   map[string]Redriver // by consumer; a letter of another cannot be tried again
	Evidence  map[string]Evidence // by consumer
	Every     time.Duration       // between two looks at the consumers; 0: DefaultEvery
	Threshold time.Duration       // how long an event is outstanding before it is suspect, or less for a consumer that gives up sooner; 0: DefaultThreshold
	Logger    *slog.Logger        // nil: slog.Default
}

// Service moves what ended into the DLQ, and out again.
type Service struct {
	// immutable after New
	conn     *bus.Conn
	queue    *dlq.Queue
	bucket   *kv.Bucket
	jobs     *later.Store
	redrive  map[string]Redriver
	evidence map[string]Evidence
	every    time.Duration
	longest  time.Duration
	log      *slog.Logger
	consumer *consume.Consumer

	retrying locks
	counters counters
}

// New makes a Service. It starts nothing.
func New(cfg Config) *Service {
	if cfg.Every <= 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.Threshold <= 0 {
		cfg.Threshold = DefaultThreshold
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	bucket, err := kv.Open(kv.Config{Conn: cfg.Conn, Domain: streams.HubDomain, Name: streams.BucketDeadletters})
	if err != nil {
		panic(err) // the only cause would be the names above
	}
	s := &Service{
		conn: cfg.Conn, queue: dlq.Open(cfg.Conn), bucket: bucket, jobs: later.New(cfg.Conn), redrive: cfg.Redrive, evidence: cfg.Evidence,
		every: cfg.Every, longest: cfg.Threshold, log: cfg.Logger,
	}
	s.consumer = consume.New(cfg.Conn, consume.Config{Stream: streams.StreamAdvisories, Consumer: streams.ConsumerDeadletter}, s.take)
	return s
}

// Run works until ctx ends, and returns when everything it started has ended. The process may die at any moment: what it was told
// comes again, and what it found whole it finds once more.
func (s *Service) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var taking, looking error
	var running sync.WaitGroup
	running.Go(func() { defer stop(); taking = s.consumer.Run(ctx) })
	running.Go(func() { defer stop(); looking = newRounds(s).run(ctx) })
	running.Wait()
	return errors.Join(taking, looking)
}

// State says what the consumer of ADVISORIES does, for readiness.
func (s *Service) State() consume.State { return s.consumer.State() }
