package chat

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
)

// command is what a line asks for.
type command struct {
	name string   // without the slash; "say" for a message
	word string   // a channel or a person, without # or @
	seq  chat.Seq // of a message
	text string
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
	{"topic", text, "/topic [TEXT]", "say what the channel is about; without a text, show it"},
	{"create", channel, "/create #CHANNEL", "make a channel and open it"},
	{"invite", nothing, "/invite", "make a link that lets one person in"},
	{"away", text, "/away [TEXT]", "be away, and say why"},
	{"online", nothing, "/online", "be there again"},
	{"quit", nothing, "/quit", "leave the program; Ctrl-D does the same"},
}

// say is the command of a line that is no command.
const say = "say"

// parseLine reads a line. A line that begins with two slashes is a message that begins with one. The error says
// how it is written.
func parseLine(line string) (command, error) {
	trimmed := strings.TrimSpace(line)
	if !strings.HasPrefix(trimmed, "/") || strings.HasPrefix(trimmed, "//") {
		if strings.HasPrefix(trimmed, "//") {
			line = trimmed[1:]
		}
		return command{name: say, text: line}, nil
	}
	name, rest, _ := strings.Cut(trimmed[1:], " ")
	for _, c := range commands {
		if c.name != name {
			continue
		}
		parsed, err := c.form.read(strings.TrimSpace(rest))
		if err != nil {
			return command{}, fmt.Errorf("%s: write %s", err, c.usage)
		}
		if parsed.text == "" && parsed.seq != 0 && name == "edit" {
			return command{}, fmt.Errorf("a text is missing: write %s", c.usage)
		}
		parsed.name = name
		return parsed, nil
	}
	return command{}, fmt.Errorf("there is no command /%s; /help lists them", name)
}

func (f form) read(rest string) (c command, err error) {
	first, more, _ := strings.Cut(rest, " ")
	more = strings.TrimSpace(more)
	switch f {
	case nothing:
		if rest != "" {
			return c, errors.New("nothing comes after it")
		}
	case channel, person:
		c.word = strings.TrimLeft(first, "#@")
		if c.word == "" || more != "" {
			return c, errors.New("one name comes after it")
		}
	case number:
		if rest != "" {
			c.seq, err = seqOf(rest)
		}
	case message:
		c.seq, err = seqOf(rest)
	case messageText:
		c.seq, err = seqOf(first)
		c.text = more
	case messageEmoji:
		if c.seq, err = seqOf(first); err == nil && (more == "" || strings.Contains(more, " ")) {
			err = errors.New("one emoji is missing")
		}
		c.text = more
	case text:
		c.text = rest
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

// helpText is what /help shows.
func helpText() []string {
	var lines []string
	for _, c := range commands {
		lines = append(lines, fmt.Sprintf("  %-19s %s", c.usage, c.help))
	}
	return append(lines, "  Everything else is a message; begin with // for one that begins with /.")
}
