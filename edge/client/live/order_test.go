package live_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/schemas/chat"
)

// A transcript is what a gateway sends to the user me, and what the client tells because of it. Lines, in their order;
// # begins a comment:
//
//	start [<cursor>]                                      a client, with a cursor or without
//	hello <epoch> <head> [resumed]         => <told>      a connection begins
//	<seq> <channel or -> <kind> prev=<seq> [user=<id>] => <told>
//	resync <reason> <head>                 => <told>
//	at <cursor or ->                                      the cursor is now
//
// What is told, with commas between: online <cursor>, show, gap <after>-<through>, resync <reason> <from>-<head>, or nothing.
func TestOrderTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/order/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var o *live.Order
			lines := bufio.NewScanner(f)
			for n := 1; lines.Scan(); n++ {
				text, _, _ := strings.Cut(lines.Text(), "#")
				do, want, _ := strings.Cut(text, "=>")
				words := strings.Fields(do)
				switch {
				case len(words) == 0:
					continue
				case words[0] == "start":
					o = live.NewOrder(cursor(t, strings.Join(words[1:], "")))
					continue
				case words[0] == "at":
					if got := o.At(); got != cursor(t, strings.Trim(words[1], "-")) {
						t.Errorf("%s:%d: the cursor is %s", file, n, got)
					}
					continue
				}
				if got := told(t, o, frameOf(words)); got != strings.Join(strings.Fields(want), " ") {
					t.Errorf("%s:%d: told %q, want %q", file, n, got, want)
				}
			}
			if err := lines.Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func cursor(t *testing.T, text string) chat.Cursor {
	t.Helper()
	if text == "" {
		return chat.Cursor{}
	}
	c, err := chat.ParseCursor(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// frameOf writes the frame that a line stands for.
func frameOf(words []string) string {
	switch words[0] {
	case "hello":
		return fmt.Sprintf(`{"type":"hello","user_id":"me","epoch":%s,"head":%s,"resumed":%t}`, words[1], words[2], len(words) > 3)
	case "resync":
		return fmt.Sprintf(`{"type":"resync","reason":%q,"head":%s}`, words[1], words[2])
	}
	is, rest := "event", ""
	if words[2] == "message.posted" {
		is, rest = "message.deliver", `,"message":{"body":"x"}`
	} else {
		rest = fmt.Sprintf(`,"kind":%q`, words[2])
	}
	if words[1] != "-" {
		rest += fmt.Sprintf(`,"channel_id":%q`, words[1])
	}
	for _, arg := range words[3:] {
		name, value, _ := strings.Cut(arg, "=")
		if name == "user" {
			rest += fmt.Sprintf(`,"user_id":%q`, value)
		} else {
			rest += fmt.Sprintf(`,%q:%s`, name, value)
		}
	}
	return fmt.Sprintf(`{"type":%q,"seq":%s%s}`, is, words[0], rest)
}

func told(t *testing.T, o *live.Order, frame string) string {
	t.Helper()
	events, err := o.Take([]byte(frame))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range events {
		switch e := e.(type) {
		case live.Online:
			all = append(all, "online "+e.Cursor.String())
		case live.Gap:
			all = append(all, fmt.Sprintf("gap %d-%d", e.After, e.Through))
		case live.Resync:
			all = append(all, fmt.Sprintf("resync %s %s-%d", e.Reason, e.From, e.Head))
		case live.Changed:
			all = append(all, "show")
		}
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, ", ")
}

// logged is an event of a log that the tests below play.
type logged struct {
	seq, prev chat.Seq
	ch        string
}

// Whatever a server loses, repeats and cuts: of the user's channels each message is told once and in order, or a
// gap or a resync stands where it would have been.
func TestEachMessageOnceOrAGapStandsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		heads := map[string]chat.Seq{}
		var log []logged
		seq := chat.Seq(rapid.IntRange(1, 5).Draw(t, "before"))
		start := seq
		for range rapid.IntRange(1, 40).Draw(t, "length") {
			seq += chat.Seq(rapid.IntRange(1, 3).Draw(t, "step"))
			ch := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "channel")
			log = append(log, logged{seq, heads[ch], ch})
			heads[ch] = seq
		}
		o := live.NewOrder(chat.Cursor{})
		take := func(frame string) []live.Event {
			events, err := o.Take([]byte(frame))
			if err != nil {
				t.Fatal(err)
			}
			return events
		}
		take(frameOf([]string{"hello", "1", fmt.Sprint(start)}))
		covered := map[chat.Seq]bool{} // shown, or excused by a gap or a resync
		shown := map[chat.Seq]bool{}
		last, lastOf := chat.Seq(0), map[string]chat.Seq{}
		note := func(events []live.Event) {
			for _, e := range events {
				switch e := e.(type) {
				case live.Gap:
					for _, l := range log {
						if l.ch == string(e.ChannelID) && l.seq > e.After && l.seq <= e.Through {
							if shown[l.seq] {
								t.Fatalf("the gap %d-%d has %d in it, which was shown", e.After, e.Through, l.seq)
							}
							covered[l.seq] = true
						}
					}
				case live.Resync:
					for _, l := range log { // all after the last that was shown of its channel
						covered[l.seq] = covered[l.seq] || l.seq > lastOf[l.ch] && l.seq <= e.Head
					}
				case live.Changed:
					if e.Seq <= last {
						t.Fatalf("%d after %d", e.Seq, last)
					}
					last, shown[e.Seq], covered[e.Seq] = e.Seq, true, true
					lastOf[string(e.ChannelID)] = e.Seq
				}
			}
		}
		for i := 0; i < len(log); i++ {
			l := log[i]
			switch rapid.SampledFrom([]string{"deliver", "deliver", "deliver", "lose", "twice", "cut", "resync", "unsaid"}).Draw(t, "what") {
			case "lose":
				continue
			case "twice":
				note(take(frameOf([]string{fmt.Sprint(l.seq), l.ch, "message.posted", fmt.Sprintf("prev=%d", l.prev)})))
			case "cut": // and resumed where the client stands, which sends again all that was lost after that
				note(take(frameOf([]string{"hello", "1", fmt.Sprint(l.prev), "resumed"})))
				i = -1
				for i+1 < len(log) && log[i+1].seq <= o.At().Seq {
					i++
				}
				continue
			case "resync":
				note(take(frameOf([]string{"resync", "gap", fmt.Sprint(l.seq)})))
				continue
			case "unsaid":
				note(take(frameOf([]string{"hello", "1", fmt.Sprint(max(l.seq-1, o.At().Seq))})))
			}
			note(take(frameOf([]string{fmt.Sprint(l.seq), l.ch, "message.posted", fmt.Sprintf("prev=%d", l.prev)})))
		}
		// What was lost last shows with the next event of its channel.
		for _, ch := range []string{"a", "b", "c"} {
			seq++
			l := logged{seq, heads[ch], ch}
			note(take(frameOf([]string{fmt.Sprint(l.seq), ch, "message.posted", fmt.Sprintf("prev=%d", l.prev)})))
		}
		for _, l := range log {
			if !covered[l.seq] {
				t.Fatalf("%d of %s was neither told nor said to be missing; log %+v", l.seq, l.ch, log)
			}
		}
	})
}
