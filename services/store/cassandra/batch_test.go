package cassandra_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store/cassandra"
)

func TestBatchesAreOfOnePartitionAndBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var events []event.Stored
		written := 0 // bytes of bodies
		for i := range rapid.IntRange(0, 200).Draw(t, "events") {
			e := aPost(rapid.SampledFrom([]chat.ChannelID{"a", "b"}).Draw(t, "channel"), chat.Seq(i+1),
				strings.Repeat("x", rapid.SampledFrom([]int{1, 200, 5_000, 60_000}).Draw(t, "body")))
			if rapid.Bool().Draw(t, "a reply") {
				e.Thread = 1
			}
			events = append(events, e)
			written += len(e.Body)
		}
		got := 0
		for _, b := range cassandra.Plan(events) {
			bytes := 0
			for _, row := range b {
				bytes += row.Bytes
				got += row.Body
				if row.Partition != b[0].Partition {
					t.Fatalf("a batch is of %s and of %s", b[0].Partition, row.Partition)
				}
			}
			if len(b) > 1 && bytes > cassandra.BatchBytes {
				t.Fatalf("a batch has %d rows and %d bytes", len(b), bytes)
			}
		}
		if got != written {
			t.Fatalf("%d bytes of bodies are in the batches, of %d", got, written)
		}
	})
}

// A batch is as large as it may be: rows of one partition wait for each other, however many are in between.
func TestRowsOfOnePartitionTravelTogether(t *testing.T) {
	const rows = 100
	var events []event.Stored
	for i := range chat.Seq(rows) {
		events = append(events, aPost("a", 2*i+1, "x"), aPost("b", 2*i+2, "x"))
	}
	of := map[string]int{}
	for _, b := range cassandra.Plan(events) {
		if len(b) > 1 {
			of[b[0].Partition] += len(b)
		}
	}
	if len(of) != 2 || of["messages_by_channel a 0"] != rows || of["messages_by_channel b 0"] != rows {
		t.Errorf("batches of more than one row: %v", of)
	}
}
