package gateway

import (
	"context"
	"log/slog"
	"math"
	"net/netip"
	"runtime"
	"time"

	"github.com/canopychat/canopy/edge/courier"
	"github.com/canopychat/canopy/edge/door"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/rpc"
)

// Gate bounds how often somebody may do something, over all their sockets. The errors are RateLimited, with a
// RetryAfter. Nothing of it blocks.
type Gate interface {
	Address(addr netip.Addr) error        // opens a socket
	User(user chat.UserID) error          // sends
	Channel(channel chat.ChannelID) error // is sent to
}

// Cursors keeps what people have read and what devices have got: the service cursors, asked over NATS.
type Cursors interface {
	Read(ctx context.Context, req rpc.ReadRequest) (rpc.ReadReply, error)
	Delivered(ctx context.Context, req rpc.DeliveredRequest) error
}

// Neighbours are what a gateway needs of others.
type Neighbours struct {
	Verifier  door.Verifier
	Directory door.Directory
	Feeds     door.Feeds
	Submitter event.Submitter
	Gate      Gate                // nil: no limits but those of each socket
	Presence  Presence            // nil: typing and presence are unsupported
	Cursors   Cursors             // nil: cursor.read and cursor.delivered are unsupported
	Tracer    courier.Tracer      // nil: none
	Acked     func(time.Duration) // told how long each send took to be stored; nil: nobody
	Delivered func(time.Duration) // told how long after its timestamp an event went to the first socket of a workspace on a loop; nil: nobody
}

// Config is what the operator says about a gateway. Zero values mean the defaults, and numbers below 0 no limit.
type Config struct {
	Loops           int            // loops; default one per core
	Heartbeat       time.Duration  // silence after which a client is pinged; default 30 s
	StallTimeout    time.Duration  // how long a socket may take no byte of what waits for it; default 3 min
	DrainSpread     time.Duration  // clients are told to come back at a random moment of this span; default 5 s
	SendTimeout     time.Duration  // from when a send goes to the log until it is answered as unavailable; default 30 s
	MaxSockets      int            // open at once; one more is refused as unavailable; default 100,000
	MaxOpening      int            // being opened at once; default 1,024
	MaxSending      int            // sends on their way to the log at once; default 8,192
	MaxSendingBytes int64          // bytes that these hold; default 64 MiB
	MaxBytes        int64          // bytes that wait for sockets, and of sends that wait for their turn; default 1 GiB
	SaveDelivered   time.Duration  // between two savings of what devices have got; default 3 s
	Remembered      int            // users whose place is remembered so that they resume without a question; default 10,000
	Admit           session.Pace   // sockets opened a second, and at once above that; default 1,000 and 2,000
	Frames          session.Pace   // frames a second of one socket; default 100 and 1,000
	Bytes           session.Pace   // bytes a second of one socket; default 512 KiB and 8 MiB
	AllowedOrigins  []string       // of browsers' pages besides the gateway's own
	TrustedProxies  []netip.Prefix // whose X-Forwarded-For says who the client is
	Log             *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Loops = orElse(c.Loops, runtime.GOMAXPROCS(0))
	c.Heartbeat = orElse(c.Heartbeat, 30*time.Second)
	c.StallTimeout = orElse(c.StallTimeout, 3*time.Minute)
	c.DrainSpread = orElse(c.DrainSpread, 5*time.Second)
	c.SendTimeout = orElse(c.SendTimeout, 30*time.Second)
	c.MaxSockets = limit(c.MaxSockets, 100_000)
	c.MaxOpening = limit(c.MaxOpening, 1024)
	c.MaxSending = limit(c.MaxSending, 8192)
	c.MaxSendingBytes = limit(c.MaxSendingBytes, 64<<20)
	c.MaxBytes = limit(c.MaxBytes, 1<<30)
	c.Remembered = orElse(c.Remembered, 10_000)
	c.Admit = orElse(c.Admit, session.Pace{PerSecond: 1000, Burst: 2000})
	c.Frames = orElse(c.Frames, session.Pace{PerSecond: 100, Burst: 1000})
	c.Bytes = orElse(c.Bytes, session.Pace{PerSecond: 512 << 10, Burst: 8 << 20})
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func limit[T int | int64](n, byDefault T) T {
	if n < 0 {
		return T(math.MaxInt) / 2 // nothing reaches it
	}
	return orElse(n, byDefault)
}

func orElse[T comparable](v, byDefault T) T {
	var zero T
	if v == zero {
		return byDefault
	}
	return v
}
