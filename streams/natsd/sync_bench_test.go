package natsd_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// BenchmarkSyncAlways measures what it costs that an acknowledged event is on the disks of two of three servers, and not
// only in their memory: events of 1 KiB into a stream of three copies, one at a time (latency) and up to 256 under way
// (throughput). The three servers share this machine's disk, so it shows the price at its highest.
//
//	go test -run - -bench SyncAlways -benchtime 3000x ./streams/natsd
func BenchmarkSyncAlways(b *testing.B) {
	type figures struct{ perSecond, p50, p99 float64 }
	measured := map[string]figures{}
	for _, setting := range []struct{ name, text string }{{"default", ""}, {"always", "sync_interval: always, "}} {
		b.Run(setting.name, func(b *testing.B) {
			var tr trace
			hubs, _ := members(b, &tr, setting.text)
			js, err := jetstream.New(connect(b, hubs[0].ClientURL()), jetstream.WithPublishAsyncMaxPending(256))
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
			defer cancel()
			if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3, AllowDirect: true}); err != nil {
				b.Fatal(err)
			}
			event := make([]byte, 1024)
			const singles = 300
			var each []float64
			for range singles {
				began := time.Now()
				if _, err := js.Publish(ctx, "s", event); err != nil {
					b.Fatal(err)
				}
				each = append(each, float64(time.Since(began).Microseconds())/1000)
			}
			slices.Sort(each)
			b.ResetTimer()
			began := time.Now()
			for range b.N {
				if _, err := js.PublishAsync("s", event, jetstream.WithStallWait(time.Minute)); err != nil {
					b.Fatal(err)
				}
			}
			select {
			case <-js.PublishAsyncComplete():
			case <-ctx.Done():
				b.Fatal(context.Cause(ctx))
			}
			b.StopTimer()
			f := figures{perSecond: float64(b.N) / time.Since(began).Seconds(), p50: each[singles/2], p99: each[singles*99/100]}
			b.ReportMetric(f.perSecond, "events/s")
			b.ReportMetric(f.p50, "ms-p50")
			b.ReportMetric(f.p99, "ms-p99")
			measured[setting.name] = f
			if limit := measured["default"]; setting.name == "always" && limit.perSecond > 0 {
				b.Logf("throughput: ours (always) %.0f events/s, limit (default) %.0f, ratio %.2f", f.perSecond, limit.perSecond, f.perSecond/limit.perSecond)
				b.Logf("latency p50: ours %.2f ms, limit %.2f ms, ratio %.2f; p99: ours %.2f ms, limit %.2f ms", f.p50, limit.p50, f.p50/limit.p50, f.p99, limit.p99)
			}
		})
	}
}
