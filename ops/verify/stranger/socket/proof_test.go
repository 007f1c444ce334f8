package socket

import "testing"

// Each line is a socket's story: what came, and up to where something was missing then.
func TestWhatPrevProves(t *testing.T) {
	type came struct {
		kind, channel, user string
		seq, prev, missing  int64
	}
	for name, story := range map[string][]came{
		"all is there":                                {{"", "c", "", 11, 5, 0}, {"", "d", "", 12, 0, 0}, {"", "c", "", 13, 11, 0}},
		"the first of a channel lacks":                {{"", "c", "", 14, 11, 11}},
		"one of two channels lacks":                   {{"", "c", "", 11, 10, 0}, {"", "d", "", 14, 12, 12}, {"", "c", "", 15, 11, 0}},
		"a hole is told once":                         {{"", "c", "", 14, 12, 12}, {"", "c", "", 15, 14, 0}},
		"of the whole workspace":                      {{"member.joined", "", "bob", 11, 4, 0}, {"user.updated", "", "bob", 15, 13, 13}},
		"what was taken out of the log hides nothing": {{"", "c", "", 11, 3, 0}, {"", "c", "", 13, 3, 0}},
		"what came before one's joining is not one's": {{"member.joined", "c", "me", 20, 19, 0}, {"", "c", "", 22, 20, 0}, {"", "c", "", 25, 24, 24}},
		"what came while one was out neither": {{"", "c", "", 11, 0, 0}, {"member.left", "c", "me", 12, 11, 0}, {"channel.updated", "c", "", 20, 18, 0},
			{"member.joined", "c", "me", 22, 21, 0}, {"", "c", "", 23, 22, 0}},
		"a channel that one is not in shows some":         {{"channel.created", "c", "", 11, 0, 0}, {"channel.updated", "c", "", 20, 18, 0}, {"member.joined", "c", "me", 22, 21, 0}},
		"a channel that one is in shows all":              {{"channel.updated", "c", "", 20, 18, 0}, {"", "c", "", 21, 20, 18}, {"", "c", "", 22, 21, 0}},
		"who leaves knows what was there until then":      {{"", "c", "", 11, 0, 0}, {"member.left", "c", "me", 15, 13, 13}},
		"another one's joining is an event as all others": {{"member.joined", "c", "bob", 15, 13, 13}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProof("me")
			p.from(10)
			for i, c := range story {
				if got := p.take(&frame{Kind: c.kind, Channel: c.channel, User: c.user, Seq: c.seq, Prev: &c.prev}); got != c.missing {
					t.Errorf("%d: %d is missing, want %d", i, got, c.missing)
				}
			}
			p.from(100)
			hundred := int64(100)
			if got := p.take(&frame{Channel: "c", Seq: 101, Prev: &hundred}); got != 0 {
				t.Errorf("after a resync %d is missing", got)
			}
		})
	}
}
