package faults_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
)

// said is message n of the made-up record: ann in a, bea in b.
func said(n int) message {
	who := n % 2
	return message{
		seq: chat.Seq(10 * n), channel: []chat.ChannelID{"a", "b"}[who], sender: []string{"ann", "bea"}[who],
		id: chat.ClientMsgID(fmt.Sprintf("id%d", n)), body: fmt.Sprintf("body %d", n),
	}
}

// sound is a record with all that may happen: a send that was refused, one that is unknown and one that was unknown
// and is stored, a resend, a reader who came late, one who was told to resync.
func sound() record {
	r := record{history: map[string][]message{}}
	for n := 1; n <= 6; n++ {
		r.log = append(r.log, said(n))
		r.answers = append(r.answers, answer{message: said(n), outcome: stored, at: "here"})
	}
	r.answers[2].outcome, r.answers[2].seq = unknown, 0
	resent, never, not := said(4), said(7), said(4)
	not.body, not.seq, never.seq = "another body", 0, 0
	r.answers = append(r.answers, answer{message: resent, outcome: stored, at: "there"}, answer{message: never, outcome: unknown, at: "here"}, answer{message: not, outcome: refused, at: "here"})
	r.history["ann"] = []message{said(2), said(4), said(6), said(1), said(3), said(5)}
	whole := reader{name: "whole"}
	for _, m := range r.log {
		whole.told = append(whole.told, told{message: m})
	}
	late := reader{name: "late", from: 35, told: slices.Clone(whole.told[3:])}
	behind := reader{name: "behind", told: slices.Concat(whole.told[:2:2], []told{{message: message{seq: 42}, resync: true}}, whole.told[4:])}
	r.readers = []reader{whole, late, behind}
	return r
}

func TestTheCheckerAcceptsWhatIsSound(t *testing.T) {
	for _, v := range violations(sound()) {
		t.Error(v)
	}
	if v := violations(record{}); len(v) != 0 {
		t.Errorf("of nothing: %v", v)
	}
}

// Each of these differs from what is sound in one thing, which is found, and shown with the seqs it is about.
func TestTheCheckerFindsWhatIsBroken(t *testing.T) {
	swap := func(in []told, i, j int) { in[i], in[j] = in[j], in[i] }
	for name, c := range map[string]struct {
		spoil func(r *record)
		rule  string
		seqs  []chat.Seq
	}{
		"an ack, and nothing in the log": {func(r *record) {
			r.answers = append(r.answers, answer{message: message{70, "a", "ann", "id7", "lost"}, outcome: stored})
		}, ruleLost, []chat.Seq{70}},
		"an ack with the seq of another message": {func(r *record) { r.answers[4].seq = 60 }, ruleLost, []chat.Seq{60}},
		"an ack, and another body in the log":    {func(r *record) { r.answers[4].body = "what was meant" }, ruleLost, []chat.Seq{50}},
		"two seqs for one id":                    {func(r *record) { r.answers[6].seq = 60 }, ruleMoved, []chat.Seq{40, 60}},
		"an id twice in the log":                 {func(r *record) { r.log[5].sender, r.log[5].id = "ann", "id2" }, ruleDoubled, []chat.Seq{20, 60}},
		"a seq twice in the log":                 {func(r *record) { r.log[5].seq = 50 }, ruleLog, []chat.Seq{50, 50}},
		"a seq that falls in the log":            {func(r *record) { r.log[5].seq = 45 }, ruleLog, []chat.Seq{50, 45}},
		"a send that was refused is in the log":  {func(r *record) { r.log[3].body = "another body" }, ruleRefused, []chat.Seq{40}},
		"a message that nobody sent":             {func(r *record) { r.log[3].body = "invented" }, ruleInvented, []chat.Seq{40}},
		"a message in the name of another":       {func(r *record) { r.log[3].sender = "bea" }, ruleInvented, []chat.Seq{40}},
		"a message in another channel":           {func(r *record) { r.log[3].channel = "b" }, ruleInvented, []chat.Seq{40}},
		"an unknown send twice in the log": {func(r *record) {
			m := said(3)
			m.seq = 65
			r.log = append(r.log, m)
		}, ruleDoubled, []chat.Seq{30, 65}},
		"history lacks the first": {func(r *record) { r.history["ann"] = slices.Delete(r.history["ann"], 3, 4) }, ruleHistory, []chat.Seq{10}},
		"history lacks the last":  {func(r *record) { r.history["ann"] = slices.Delete(r.history["ann"], 2, 3) }, ruleHistory, []chat.Seq{60}},
		"history has one twice":   {func(r *record) { r.history["ann"] = slices.Insert(r.history["ann"], 1, said(2)) }, ruleHistory, []chat.Seq{20, 20}},
		"history has another order": {func(r *record) {
			r.history["ann"][0], r.history["ann"][1] = r.history["ann"][1], r.history["ann"][0]
		}, ruleHistory, []chat.Seq{40, 20}},
		"history has another body": {func(r *record) { r.history["ann"][1].body = "edited" }, ruleHistory, []chat.Seq{40, 40}},
		"history has more":         {func(r *record) { r.history["ann"] = append(r.history["ann"], said(7)) }, ruleHistory, []chat.Seq{70}},
		"a reader misses one":      {func(r *record) { r.readers[0].told = slices.Delete(r.readers[0].told, 2, 3) }, ruleHole, []chat.Seq{30, 40}},
		"a reader misses the first": {func(r *record) {
			r.readers[1].told = r.readers[1].told[1:]
		}, ruleHole, []chat.Seq{40, 50}},
		"a reader misses the last": {func(r *record) { r.readers[0].told = r.readers[0].told[:5] }, ruleSilent, []chat.Seq{60}},
		"a reader misses the first after a resync": {func(r *record) {
			r.readers[2].told = slices.Delete(r.readers[2].told, 3, 4)
		}, ruleHole, []chat.Seq{50, 60}},
		"a reader sees two in turn":         {func(r *record) { swap(r.readers[1].told, 1, 2) }, ruleHole, []chat.Seq{50, 60}},
		"a reader sees one twice":           {func(r *record) { r.readers[0].told = slices.Insert(r.readers[0].told, 2, r.readers[0].told[1]) }, ruleOrder, []chat.Seq{20, 20}},
		"a reader goes back at the end":     {func(r *record) { r.readers[0].told = append(r.readers[0].told, r.readers[0].told[0]) }, ruleOrder, []chat.Seq{60, 10}},
		"a reader sees what is not there":   {func(r *record) { r.readers[0].told[2].seq = 25 }, ruleFalse, []chat.Seq{25}},
		"a reader sees another body":        {func(r *record) { r.readers[0].told[2].body = "forged" }, ruleFalse, []chat.Seq{30}},
		"a client finds a gap":              {func(r *record) { r.readers[0].told[2].gap = true }, ruleHole, []chat.Seq{20, 30}},
		"a resync excuses what follows not": {func(r *record) { r.readers[2].told[2].seq = 25 }, ruleHole, []chat.Seq{30, 50}},
	} {
		t.Run(name, func(t *testing.T) {
			r := sound()
			c.spoil(&r)
			found := violations(r)
			if !slices.ContainsFunc(found, func(v violation) bool { return v.rule == c.rule && slices.Equal(v.seqs, c.seqs) }) {
				t.Errorf("found %v, want %q with %d", found, c.rule, c.seqs)
			}
		})
	}
}
