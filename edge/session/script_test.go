package session_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// A transcript is a log as one user reads it. Lines, in their order; # begins a comment:
//
//	learn <channel> <type> [archived]         what the snapshot says of a channel
//	start <user> <role> at <seq> [<channel>:<joined>-<left> …]      a session; left empty: the tenure lasts
//	<seq> <channel or -> <kind> [<arg> …] => shown|hidden [joins|leaves|ends]     the next entry, and what it does
//	move <seq>                                entries that are nothing to the session
//	in <channel> …                            the channels that it is in now, and no others
//	cursor <seq>
//	may <channel> [see] [post] [add] [leave]  what the rules say of the user there now, and nothing more; - for nothing
//
// Arguments of an entry: user=<id>, role=<role>, type=<channel type>, v=<version>, from=<sender>.
type transcript struct {
	t        *testing.T
	where    string
	channels *session.Channels
	s        session.Session
}

func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
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
			run := &transcript{t: t, channels: session.NewChannels()}
			lines := bufio.NewScanner(f)
			for n := 1; lines.Scan(); n++ {
				text, _, _ := strings.Cut(lines.Text(), "#")
				if words := strings.Fields(text); len(words) > 0 {
					run.where = fmt.Sprintf("%s:%d", file, n)
					run.line(words)
				}
			}
			if err := lines.Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func (r *transcript) line(words []string) {
	switch args := words[1:]; words[0] {
	case "learn":
		r.channels.Learn(session.Channel{
			ID: chat.ChannelID(args[0]), Type: chat.ChannelType(args[1]), Archived: len(args) > 2,
		})
	case "start":
		r.start(args)
	case "move":
		r.s.Move(r.seq(args[0]))
	case "in":
		r.in(args)
	case "cursor":
		if want := r.seq(args[0]); r.s.Cursor() != want {
			r.t.Errorf("%s: the cursor is %d", r.where, r.s.Cursor())
		}
	case "may":
		r.may(args)
	case "role":
		if got := r.s.Role(); string(got) != args[0] {
			r.t.Errorf("%s: the role is %s", r.where, got)
		}
	default:
		r.entry(words)
	}
}

func (r *transcript) seq(word string) chat.Seq {
	n, err := strconv.ParseUint(word, 10, 48)
	if err != nil {
		r.t.Fatalf("%s: %q is no seq", r.where, word)
	}
	return chat.Seq(n)
}

func (r *transcript) start(args []string) {
	if len(args) < 4 || args[2] != "at" {
		r.t.Fatalf("%s: start <user> <role> at <seq>", r.where)
	}
	var tenures []session.Tenure
	for _, word := range args[4:] {
		ch, span, _ := strings.Cut(word, ":")
		joined, left, _ := strings.Cut(span, "-")
		tenure := chat.Tenure{ChannelID: chat.ChannelID(ch), JoinedSeq: r.seq(joined)}
		if left != "" {
			tenure.LeftSeq = r.seq(left)
		}
		tenures = append(tenures, session.Tenure{Channel: r.channels.Number(tenure.ChannelID), Tenure: tenure})
	}
	r.s = session.Start(chat.UserID(args[0]), chat.Role(args[1]), r.seq(args[3]), tenures)
}

func (r *transcript) in(args []string) {
	want := map[session.Number]bool{}
	for _, ch := range args {
		n, ok := r.channels.Lookup(chat.ChannelID(ch))
		want[n] = ok
		if !ok || !r.s.In(n) {
			r.t.Errorf("%s: not in %s", r.where, ch)
		}
	}
	for _, n := range r.s.Channels() {
		if !want[n] {
			r.t.Errorf("%s: also in %s", r.where, r.channels.At(n).ID)
		}
	}
}

func (r *transcript) may(args []string) {
	n := r.channels.Number(chat.ChannelID(args[0]))
	standing := r.s.Standing(n, r.channels.At(n))
	var got []string
	for _, rule := range []struct {
		word string
		may  bool
	}{{"see", standing.MaySee()}, {"post", standing.MayPost()}, {"add", standing.MayAdd()}, {"leave", standing.MayLeave()}} {
		if rule.may {
			got = append(got, rule.word)
		}
	}
	if got == nil {
		got = []string{"-"}
	}
	if strings.Join(got, " ") != strings.Join(args[1:], " ") {
		r.t.Errorf("%s: the user may %v", r.where, got)
	}
}

var effects = map[session.Effect]string{session.Joins: "joins", session.Leaves: "leaves", session.Ends: "ends"}

func (r *transcript) entry(words []string) {
	e := &fanout.Entry{Seq: r.seq(words[0])}
	e.Event = event.Event{V: event.Version, Epoch: 1, Kind: event.Kind(words[2]), SenderID: "someone"}
	if words[1] != "-" {
		e.ChannelID = chat.ChannelID(words[1])
		e.Event.ChannelID = e.ChannelID
	}
	i := 3
	for ; i < len(words) && words[i] != "=>"; i++ {
		switch key, value, _ := strings.Cut(words[i], "="); key {
		case "user":
			e.Event.UserID = chat.UserID(value)
		case "role":
			e.Event.Role = chat.Role(value)
		case "chrole":
			e.Event.ChannelRole = chat.ChannelRole(value)
		case "type":
			e.Event.Channel = &event.ChannelState{Type: chat.ChannelType(value)}
		case "from":
			e.Event.SenderID = chat.UserID(value)
		case "v":
			e.Event.V = int(r.seq(value))
		default:
			r.t.Fatalf("%s: %q", r.where, words[i])
		}
	}
	if i+1 >= len(words) {
		r.t.Fatalf("%s: no => shown|hidden", r.where)
	}
	r.channels.Note(e)
	var n session.Number
	if e.ChannelID != "" {
		n = r.channels.Number(e.ChannelID)
	}
	plain := session.Plain(e)
	sees := r.s.Sees(e, n)
	show, effect := r.s.Read(e, n)
	got := "hidden"
	if show {
		got = "shown"
	}
	if name := effects[effect]; name != "" {
		got += " " + name
	}
	if want := strings.Join(words[i+1:], " "); got != want {
		r.t.Errorf("%s: %s", r.where, got)
	}
	if plain && (sees != show || effect != session.Nothing) {
		r.t.Errorf("%s: plain, and not as Sees says", r.where)
	}
	if r.s.Cursor() != e.Seq {
		r.t.Errorf("%s: the cursor is %d", r.where, r.s.Cursor())
	}
}
