package notice_test

import (
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/deliver/notice"
)

func TestAnExcerptIsCutBetweenCharacters(t *testing.T) {
	for body, want := range map[string]string{
		"":                         "",
		"hello":                    "hello",
		strings.Repeat("é", 200):   strings.Repeat("é", 200),
		strings.Repeat("é", 201):   strings.Repeat("é", 200),
		strings.Repeat("a", 16384): strings.Repeat("a", 200),
	} {
		if got := notice.Excerpt(body); got != want {
			t.Errorf("%d bytes become %q", len(body), got)
		}
	}
}

func TestAnIDIsOfOneMessageAndUser(t *testing.T) {
	if got := notice.IDOf("w1", chat.Cursor{Epoch: 2, Seq: 17}, "bob"); got != "w1.2.17.bob" {
		t.Errorf("it is %q", got)
	}
}
