package absent_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/deliver/target/pushtest"
	"github.com/canopychat/canopy/streams"
)

// What somebody publishes by hand is a dead letter each with its reason, and disturbs nobody.
func garbage(t *testing.T, run app.Running) {
	const rounds = 10
	w, hooks := found(t, run), pushtest.StartHooks(t)
	w.webhook(hooks)
	chats, deliveries, dues := w.rubbish()
	var seqs []chat.Seq
	want := map[string]int{}
	for i := range rounds {
		for n, all := range []map[string][]string{chats, deliveries, dues} {
			for subject, payloads := range all {
				for _, payload := range payloads {
					if _, err := w.js.Publish(t.Context(), subject, []byte(payload)); err != nil {
						t.Fatalf("%s: %v", subject, err)
					}
					want[[]string{streams.ConsumerPersist, streams.ConsumerPush, streams.ConsumerDue}[n]]++
				}
			}
		}
		seqs = append(seqs, w.says(w.alice, fmt.Sprintf("@bob this is %d", i)).Seq)
	}
	total := want["persist"] + want["push"] + want["due"]
	var found []letter
	until(t, "all of it is in the dead letters", func() (bool, string) {
		found = w.about()
		return len(found) >= total, fmt.Sprintf("%d of %d", len(found), total)
	})
	for _, seq := range seqs {
		w.becomes(seq, w.bob, chat.DeliveryDelivered)
	}
	got := map[string]int{}
	for _, l := range w.about() {
		got[l.Consumer]++
		if len(l.Reason) < 5 || l.Attempts != 1 {
			t.Errorf("a letter says %+v", l)
		}
	}
	for consumer, n := range want {
		if got[consumer] != n {
			t.Errorf("%d letters of %s, want %d", got[consumer], consumer, n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("letters of %v", got)
	}
	var told []string
	for _, c := range hooks.Taken() {
		told = append(told, c.ID)
	}
	if slices.Sort(told); len(told) != rounds || len(slices.Compact(told)) != rounds {
		t.Errorf("the webhook was told %d times of %d messages", len(told), rounds)
	}
	page, err := w.bob.History(t.Context(), w.channel, client.Page{Limit: chat.MaxPageSize})
	if err != nil {
		t.Fatal(err)
	}
	var stored []chat.Seq
	for _, m := range page.Messages {
		stored = append(stored, m.Seq)
	}
	if slices.Reverse(stored); !slices.Equal(stored, seqs) {
		t.Errorf("stored are %v, want %v", stored, seqs)
	}
	w.checkRefusal(found)
	t.Logf("%d messages with %v pieces of garbage between them", rounds, want)
}

// about are the dead letters whose subject names the workspace, also where that is no subject of ours.
func (w *town) about() []letter {
	w.t.Helper()
	return slices.DeleteFunc(w.letters(), func(l letter) bool { return !strings.Contains(l.Subject, string(w.workspace)) })
}

// checkRefusal fails when garbage can be tried again.
func (w *town) checkRefusal(found []letter) {
	w.t.Helper()
	seen := map[string]bool{}
	for _, l := range found {
		if seen[l.Consumer] {
			continue
		}
		seen[l.Consumer] = true
		if code, out, _ := w.canopy("dlq", "retry", fmt.Sprint(l.ID)); code == 0 || !strings.Contains(out, "0 done, 1 refused") {
			w.t.Errorf("garbage of %s, tried again: %d %s", l.Consumer, code, out)
		}
	}
}

// rubbish is what is published by subject: in the log, as jobs, and as what is due.
func (w *town) rubbish() (chats, deliveries, dues map[string][]string) {
	w.t.Helper()
	head := fmt.Sprintf("chat.%d.%s.", w.shard(), w.workspace)
	posted := `{"v":1,"kind":"message.posted","epoch":1,"channel_id":%q,"sender_id":%q,"client_msg_id":"x1","body":"@bob forged"}`
	plain := []string{"", "hello", "{", "null", "[]", `{"v":1}`, "\xff\xfe", strings.Repeat("[", 10<<10)}
	chats = map[string][]string{
		head + string(w.channel): append(slices.Clone(plain), fmt.Sprintf(posted, "elsewhere", w.alice.id)),
		head + "-":               {fmt.Sprintf(posted, w.channel, w.alice.id), "hello"},
		head + "a.b":             {fmt.Sprintf(posted, w.channel, w.alice.id)},
	}
	job := fmt.Sprintf(`{"v":1,"workspace_id":%q,"user_id":%q,"epoch":1,"channel_id":%q,"seq":1,"why":"mention"}`, w.workspace, w.bob.id, w.channel)
	deliveries = map[string][]string{
		fmt.Sprintf("delivery.%s.%s", w.workspace, w.bob.id): append(slices.Clone(plain), strings.Replace(job, `"v":1`, `"v":9`, 1), strings.Replace(job, string(w.bob.id), string(w.alice.id), 1)),
		fmt.Sprintf("delivery.%s.Not_An_Id", w.workspace):    {"hello", job},
	}
	dues = map[string][]string{
		fmt.Sprintf("due.%s.%s.x1", w.workspace, w.bob.id): plain,
		fmt.Sprintf("due.%s", w.workspace):                 {"hello"},
		fmt.Sprintf("due.%s.a.b.c.d", w.workspace):         {"hello"},
	}
	return chats, deliveries, dues
}

// shard is where the log of the workspace lies.
func (w *town) shard() streams.Shard {
	w.t.Helper()
	for shard, name := range streams.ChatStreams() {
		s, err := w.js.Stream(w.t.Context(), name)
		if err != nil {
			w.t.Fatal(err)
		}
		subject, err := streams.ChatSubject(shard, w.workspace, "")
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := s.GetLastMsgForSubject(w.t.Context(), subject); err == nil {
			return shard
		}
	}
	w.t.Fatalf("no log has the workspace %s", w.workspace)
	return 0
}
