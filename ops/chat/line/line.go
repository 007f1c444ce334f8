// Package line is what a person types into the terminal client: a message, or a command that begins with a slash. It only
// reads; package chat performs.
package line

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// Command is what a line asks for.
type Command struct {
	Name string   // without the slash; Say for a message
	Word string   // a channel or a person, without # or @; a moment for When; hours for Hours; an id
	Seq  chat.Seq // of a message
	Text string
}

// form is what stands after a command.
type form uint8

const (
	nothing form = iota
	channel
	person
	number
	message      // a seq
	messageText  // a seq and a text
	messageEmoji // a seq and one word
	text
	momentText // a moment and a text
	hours
)

// commands are all of them, in the order of /help.
var commands = []struct {
	name  string
	form  form
	usage string
	help  string
}{
	{"help", nothing, "/help", "show this"},
	{"join", channel, "/join #CHANNEL", "open a channel, and come into it"},
	{"leave", nothing, "/leave", "go out of this channel"},
	{"channels", nothing, "/channels", "list the channels"},
	{"who", nothing, "/who", "list who is in this channel, and who is online"},
	{"dm", person, "/dm @PERSON", "open the direct messages with somebody"},
	{"history", number, "/history [N]", "show the last N messages (20)"},
	{"thread", messageText, "/thread SEQ TEXT", "reply to a message; without a text, show the replies"},
	{"react", messageEmoji, "/react SEQ EMOJI", "react to a message"},
	{"unreact", messageEmoji, "/unreact SEQ EMOJI", "take a reaction back"},
	{"edit", messageText, "/edit SEQ TEXT", "give your message another text"},
	{"delete", message, "/delete SEQ", "delete a message"},
	{"unread", nothing, "/unread", "show what you have not read"},
	{"read", nothing, "/read", "mark this channel as read"},
	{"later", momentText, "/later WHEN TEXT", "send later: in 10m, or at 2026-12-01T09:00"},
	{"remind", momentText, "/remind WHEN TEXT", "be told something then"},
	{"scheduled", nothing, "/scheduled", "list what waits for its time"},
	{"cancel", person, "/cancel ID", "take back what waits"},
	{"follow", message, "/follow SEQ", "be woken for the replies to a message"},
	{"unfollow", message, "/unfollow SEQ", "not be woken for them"},
	{"mute", nothing, "/mute", "not be woken for anything in this channel"},
	{"unmute", nothing, "/unmute", "be woken for it again"},
	{"quiet", hours, "/quiet 22:00-07:30", "not be woken in these hours; /quiet off"},
	{"topic", text, "/topic [TEXT]", "say what the channel is about; without a text, show it"},
	{"create", channel, "/create #CHANNEL", "make a channel and open it"},
	{"invite", nothing, "/invite", "make a link that lets one person in"},
	{"away", text, "/away [TEXT]", "be away, and say why"},
	{"online", nothing, "/online", "be there again"},
	{"quit", nothing, "/quit", "leave the program; Ctrl-D does the same"},
}

// Say is the command of a line that is no command.
const Say = "say"

// Parse reads a line. A line that begins with two slashes is a message that begins with one. The error says
// how it is written.
func Parse(line string) (Command, error) {
	trimmed := strings.TrimSpace(line)
	if !strings.HasPrefix(trimmed, "/") || strings.HasPrefix(trimmed, "//") {
		if strings.HasPrefix(trimmed, "//") {
			line = trimmed[1:]
		}
		return Command{Name: Say, Text: line}, nil
	}
	name, rest, _ := strings.Cut(trimmed[1:], " ")
	for _, c := range commands {
		if c.name != name {
			continue
		}
		parsed, err := c.form.read(strings.TrimSpace(rest))
		if err != nil {
			return Command{}, fmt.Errorf("%s: write %s", err, c.usage)
		}
		if parsed.Text == "" && parsed.Seq != 0 && name == "edit" {
			return Command{}, fmt.Errorf("a text is missing: write %s", c.usage)
		}
		parsed.Name = name
		return parsed, nil
	}
	return Command{}, fmt.Errorf("there is no command /%s; /help lists them", name)
}

func (f form) read(rest string) (c Command, err error) {
	first, more, _ := strings.Cut(rest, " ")
	more = strings.TrimSpace(more)
	switch f {
	case nothing:
		if rest != "" {
			return c, errors.New("nothing comes after it")
		}
	case channel, person:
		c.Word = strings.TrimLeft(first, "#@")
		if c.Word == "" || more != "" {
			return c, errors.New("one name comes after it")
		}
	case number:
		if rest != "" {
			c.Seq, err = seqOf(rest)
		}
	case message:
		c.Seq, err = seqOf(rest)
	case messageText:
		c.Seq, err = seqOf(first)
		c.Text = more
	case messageEmoji:
		if c.Seq, err = seqOf(first); err == nil && (more == "" || strings.Contains(more, " ")) {
			err = errors.New("one emoji is missing")
		}
		c.Text = more
	case text:
		c.Text = rest
	case momentText:
		c.Word, c.Text = first, more
		if _, err = When(first, time.Time{}); err == nil && more == "" {
			err = errors.New("a text is missing")
		}
	case hours:
		c.Word = rest
		_, _, err = Hours(rest)
	}
	return c, err
}

func seqOf(word string) (chat.Seq, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(word, "#"), 10, 48)
	if err != nil || n == 0 {
		return 0, errors.New("the number of a message is missing")
	}
	return chat.Seq(n), nil
}

// Help is what /help shows.
func Help() []string {
	var lines []string
	for _, c := range commands {
		lines = append(lines, fmt.Sprintf("  %-19s %s", c.usage, c.help))
	}
	return append(lines, "  Everything else is a message; begin with // for one that begins with /.")
}
