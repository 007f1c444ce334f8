package presence_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/presence"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
)

var update = flag.Bool("update", false, "write what follows from each line of the scripts anew")

const (
	grace = 5 * time.Second
	lease = 15 * time.Second
)

// TestScripts plays testdata/*.txt. A line is what happens at this gateway, eu/g1; the indented lines below it are the
// effects. Lines that begin with # are for the reader.
//
//	connect alice/phone [channels]     disconnect alice/phone     set alice/phone away "text"     channels alice/phone [channels]
//	type alice channel                 wait 5s                    sweep
//	hear eu/g2 alice online [channels] ["text"]                   hear eu/g2 alice gone
//	lease eu/g2                        lapse eu/g2                start      complete [own users that were heard]
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(script))
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, script) {
				t.Errorf("it went\n%s\nand should have gone\n%s", got, script)
			}
		})
	}
}

// player is a book and the time.
type player struct {
	t    *testing.T
	book *presence.Book
	now  time.Time
}

func play(t *testing.T, script string) []byte {
	p := &player{
		t: t, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		book: presence.NewBook(presence.Seat{Region: "eu", Gateway: "g1"}, grace, lease),
	}
	var out bytes.Buffer
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "\t"):
		case line == "", strings.HasPrefix(line, "#"):
			fmt.Fprintln(&out, line)
		default:
			fmt.Fprintln(&out, line)
			for _, effect := range p.play(line) {
				fmt.Fprintf(&out, "\t%s\n", effect)
			}
		}
	}
	return out.Bytes()
}

func (p *player) play(line string) []string {
	line, text, _ := strings.Cut(line, ` "`)
	text = strings.TrimSuffix(text, `"`)
	words := append(strings.Fields(line), "", "", "", "")
	who := someone(words[1])
	switch words[0] {
	case "connect":
		return p.effects(p.book.Connect(who, channels(words[2]), p.now))
	case "disconnect":
		return p.effects(p.book.Disconnect(who, p.now))
	case "set":
		return p.effects(p.book.Set(who, chat.Presence{Status: chat.Status(words[2]), Text: text}, p.now))
	case "channels":
		return p.effects(p.book.Channels(who, channels(words[2]), p.now))
	case "type":
		return []string{fmt.Sprintf("passed on: %t", p.book.MayType(person(words[1]), chat.ChannelID(words[2]), p.now))}
	case "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			p.t.Fatal(err)
		}
		p.now = p.now.Add(d)
		return p.effects(p.book.Tick(p.now))
	case "sweep":
		return p.sweep()
	case "hear":
		var state *rpc.PresenceState
		if words[3] != "gone" {
			state = &rpc.PresenceState{Status: chat.Status(words[3]), Text: text, Channels: channels(words[4]), At: p.now}
		}
		return p.effects(p.book.Hear(person(words[2]), seat(words[1]), state, p.now))
	case "lease":
		return p.effects(p.book.Lease(seat(words[1]), p.now))
	case "lapse":
		return p.effects(p.book.Lapse(seat(words[1]), p.now))
	case "start":
		p.book.Start()
		return nil
	case "complete":
		heard := map[presence.Person]struct{}{}
		for _, name := range strings.Fields(strings.TrimPrefix(line, "complete")) {
			heard[person(name)] = struct{}{}
		}
		return p.effects(p.book.Complete(heard, p.now))
	}
	p.t.Fatalf("%q is no line of a script", line)
	return nil
}

// effects are in the order of their kinds, and sorted within one: maps have no order.
func (p *player) effects(e presence.Effects) []string {
	var changed, dirty, rest []string
	for _, c := range e.Changed {
		changed = append(changed, fmt.Sprintf("%s is %s%s, told in %v", c.UserID, c.Presence.Status, quoted(c.Presence.Text), c.Channels))
		if now, _ := p.book.Of(c.Person); now != c.Presence {
			p.t.Errorf("%s is %v at once, and was told as %v", c.UserID, now, c.Presence)
		}
	}
	for _, d := range e.Dirty {
		state, there := p.book.State(d)
		line := fmt.Sprintf("store %s: nothing", d.UserID)
		if there {
			line = fmt.Sprintf("store %s: %s%s %v", d.UserID, state.Status, quoted(state.Text), state.Channels)
		}
		dirty = append(dirty, line)
	}
	for _, ws := range e.Follow {
		rest = append(rest, "follow "+string(ws))
	}
	for _, ws := range e.Unfollow {
		rest = append(rest, "unfollow "+string(ws))
	}
	slices.Sort(changed)
	slices.Sort(dirty)
	return append(append(changed, slices.Compact(dirty)...), rest...)
}

func (p *player) sweep() []string {
	var lines []string
	for at, people := range p.book.Sweep(p.now, 100) {
		for _, one := range people {
			lines = append(lines, fmt.Sprintf("sweep %s of %s", one.UserID, at.Gateway))
		}
	}
	slices.Sort(lines)
	return lines
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf(" %q", text)
}

func person(name string) presence.Person {
	return presence.Person{WorkspaceID: "w", UserID: chat.UserID(name)}
}

func someone(name string) presence.Someone {
	user, device, _ := strings.Cut(name, "/")
	return presence.Someone{WorkspaceID: "w", UserID: chat.UserID(user), SessionID: chat.SessionID(device)}
}

func seat(name string) presence.Seat {
	region, gateway, _ := strings.Cut(name, "/")
	return presence.Seat{Region: region, Gateway: gateway}
}

func channels(list string) []chat.ChannelID {
	var all []chat.ChannelID
	for name := range strings.SplitSeq(strings.Trim(list, "[]"), ",") {
		if name != "" {
			all = append(all, chat.ChannelID(name))
		}
	}
	return all
}
