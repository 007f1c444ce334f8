package line_test

import (
	"testing"

	"github.com/canopychat/canopy/ops/chat/line"
)

func TestParse(t *testing.T) {
	for typed, want := range map[string]line.Command{
		"hello there":           {Name: "say", Text: "hello there"},
		"  indented":            {Name: "say", Text: "  indented"},
		"//etc is a folder":     {Name: "say", Text: "/etc is a folder"},
		"/help":                 {Name: "help"},
		" /quit ":               {Name: "quit"},
		"/join #plans":          {Name: "join", Word: "plans"},
		"/create plans":         {Name: "create", Word: "plans"},
		"/dm @bob":              {Name: "dm", Word: "bob"},
		"/history":              {Name: "history"},
		"/history 5":            {Name: "history", Seq: 5},
		"/thread 12 yes indeed": {Name: "thread", Seq: 12, Text: "yes indeed"},
		"/thread #12":           {Name: "thread", Seq: 12},
		"/react 12 :tada:":      {Name: "react", Seq: 12, Text: ":tada:"},
		"/unreact #12 👍":        {Name: "unreact", Seq: 12, Text: "👍"},
		"/edit 12 better":       {Name: "edit", Seq: 12, Text: "better"},
		"/delete 12":            {Name: "delete", Seq: 12},
		"/topic a b":            {Name: "topic", Text: "a b"},
		"/away":                 {Name: "away"},
	} {
		got, err := line.Parse(typed)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v", typed, got, err)
		}
	}
	for typed, want := range map[string]string{
		"/nonsense":     "there is no command /nonsense; /help lists them",
		"/":             "there is no command /; /help lists them",
		"/join":         "one name comes after it: write /join #CHANNEL",
		"/join a b":     "one name comes after it: write /join #CHANNEL",
		"/quit now":     "nothing comes after it: write /quit",
		"/history many": "the number of a message is missing: write /history [N]",
		"/edit 12":      "a text is missing: write /edit SEQ TEXT",
		"/edit x y":     "the number of a message is missing: write /edit SEQ TEXT",
		"/delete 0":     "the number of a message is missing: write /delete SEQ",
		"/react 12":     "one emoji is missing: write /react SEQ EMOJI",
		"/react 12 a b": "one emoji is missing: write /react SEQ EMOJI",
	} {
		if _, err := line.Parse(typed); err == nil || err.Error() != want {
			t.Errorf("%q: %v", typed, err)
		}
	}
	for _, help := range line.Help() {
		if len(help) > 80 {
			t.Errorf("wider than 80 columns: %s", help)
		}
	}
}

// Whatever is typed is either a command of the list or a mistake that says how it is written.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"hello", "//x", "/edit 12 better", "/react #1 👍", "/history 99999999999999999999", "/\x00", " /quit "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		c, err := line.Parse(typed)
		switch {
		case err != nil && c != (line.Command{}):
			t.Errorf("%q is both %+v and %v", typed, c, err)
		case err == nil && c.Name == line.Say && c.Text == "" && typed != "":
			t.Errorf("%q says nothing", typed)
		case err == nil && c.Name == "":
			t.Errorf("%q asks for nothing", typed)
		}
	})
}
