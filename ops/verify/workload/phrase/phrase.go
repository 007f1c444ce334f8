// Package phrase is what people of a workload say, and the ids that they send it under: bodies that say whose they are, ids as clients make
// them, and ids that no message may have.
package phrase

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"
)

// MaxBody is how long a body may be, in bytes; what is longer must be refused.
const MaxBody = 16 << 10

// Body is the n-th thing that somebody says, or edits something to, with the id that it is sent under; an edit has none. It is
// «<sender>-<counter>-<hash>», and the hash is of all three, so a body that is found with its id can be checked by itself. What is said may
// go on behind a space.
func Body(sender string, n int, id string) string {
	sum := fnv.New64a()
	_, _ = fmt.Fprintf(sum, "%s-%d-%s", sender, n, id) // it cannot fail
	return fmt.Sprintf("%s-%d-%016x", sender, n, sum.Sum64())
}

// longAgo is how old an id is whose time lies before everything that a log remembers by itself.
const longAgo = time.Hour

// ID is the id of a new send: mostly a UUIDv7 of now, sometimes one of long ago, or one that tells no time.
func ID(rnd *rand.Rand, now time.Time) string {
	kind := rnd.IntN(10)
	if kind == 0 {
		now = now.Add(-longAgo)
	}
	var b [16]byte
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	for i := 6; i < len(b); i++ {
		b[i] = byte(rnd.Uint32())
	}
	b[6], b[8] = b[6]&0x0f|0x70, b[8]&0x3f|0x80
	text := hex.EncodeToString(b[:])
	if kind == 1 {
		return "id_" + text
	}
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// malformed are ids that no message may have.
var malformed = []string{"*", ">", "a.b", "..", "a b", "a\x00b", "ä", "a/b", strings.Repeat("x", 65)}

// Malformed is an id that no message may have.
func Malformed(rnd *rand.Rand) string { return malformed[rnd.IntN(len(malformed))] }

// TooLong makes a body longer than any may be.
func TooLong(rnd *rand.Rand, body string) string {
	return body + strings.Repeat("x", MaxBody+1+rnd.IntN(1000)-len(body))
}

// Nothing is a body that says nothing.
func Nothing(rnd *rand.Rand) string { return []string{"", " \t\n"}[rnd.IntN(2)] }
