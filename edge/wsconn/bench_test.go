package wsconn_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/canopychat/canopy/edge/wsconn"
)

// BenchmarkFeed: one whole frame of 100 bytes, fifty in one read, and one that is cut in two. Each
// iteration copies the bytes first, as a read would, because Feed unmasks them in place.
func BenchmarkFeed(b *testing.B) {
	one := text(strings.Repeat("x", 100))
	for name, pieces := range map[string][][]byte{
		"whole": {one},
		"fifty": {slices.Repeat(one, 50)},
		"cut":   {one[:50], one[50:]},
	} {
		b.Run(name, func(b *testing.B) {
			var p wsconn.Parser
			buffer := make([]byte, 64<<10)
			emit := func(wsconn.Event) error { return nil }
			b.ReportAllocs()
			for b.Loop() {
				for _, piece := range pieces {
					if err := p.Feed(buffer[:copy(buffer, piece)], emit); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkFrame: a frame of 300 bytes that is built in place.
func BenchmarkFrame(b *testing.B) {
	payload := []byte(strings.Repeat("x", 300))
	build := func(dst []byte) []byte { return append(dst, payload...) }
	b.ReportAllocs()
	for b.Loop() {
		wsconn.Frame(build)
	}
}
