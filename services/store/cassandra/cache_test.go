package cassandra_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store/cassandra"
)

func TestTheMemoryIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	c := cassandra.NewCache(10)
	c.Learn("used", 0, 5)
	for i := range 50 {
		c.Learn(chat.ChannelID(fmt.Sprint(i)), 0)
		if got := c.Of("used"); !slices.Equal(got, []chat.Seq{0, 5}) {
			t.Fatalf("after %d others it is %v", i, got)
		}
	}
	held := 0
	for i := range 50 {
		held += len(c.Of(chat.ChannelID(fmt.Sprint(i))))
	}
	if held != 8 || len(c.Of("49")) != 1 || len(c.Of("0")) != 0 {
		t.Errorf("%d buckets of the others are held; want the 8 that were used last", held)
	}
	c.Learn("huge", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	if got := c.Of("huge"); len(got) != 12 {
		t.Errorf("what alone is over the limit is not held: %v", got)
	}
}

func TestOlderAnswersChangeNothing(t *testing.T) {
	c := cassandra.NewCache(10)
	c.Learn("a", 0, 7)
	c.Learn("a", 0)
	if got := c.Of("a"); len(got) != 2 {
		t.Errorf("an older answer came later, and %v is known", got)
	}
}
