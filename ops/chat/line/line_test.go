package line_test

import (
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/chat/line"
)

func TestParse(t *testing.T) {
	for typed, want := range map[string]line.Command{
		"hello there":                          {Name: "say", Text: "hello there"},
		"  indented":                           {Name: "say", Text: "  indented"},
		"//etc is a folder":                    {Name: "say", Text: "/etc is a folder"},
		"/help":                                {Name: "help"},
		" /quit ":                              {Name: "quit"},
		"/join #plans":                         {Name: "join", Word: "plans"},
		"/create plans":                        {Name: "create", Word: "plans"},
		"/dm @bob":                             {Name: "dm", Word: "bob"},
		"/history":                             {Name: "history"},
		"/history 5":                           {Name: "history", Seq: 5},
		"/thread 12 yes indeed":                {Name: "thread", Seq: 12, Text: "yes indeed"},
		"/thread #12":                          {Name: "thread", Seq: 12},
		"/react 12 :tada:":                     {Name: "react", Seq: 12, Text: ":tada:"},
		"/unreact #12 👍":                       {Name: "unreact", Seq: 12, Text: "👍"},
		"/edit 12 better":                      {Name: "edit", Seq: 12, Text: "better"},
		"/delete 12":                           {Name: "delete", Seq: 12},
		"/topic a b":                           {Name: "topic", Text: "a b"},
		"/away":                                {Name: "away"},
		"/unread":                              {Name: "unread"},
		"/follow #12":                          {Name: "follow", Seq: 12},
		"/later 10m in a while":                {Name: "later", Word: "10m", Text: "in a while"},
		"/remind 2026-12-01T09:00  the engine": {Name: "remind", Word: "2026-12-01T09:00", Text: "the engine"},
		"/cancel 06h0":                         {Name: "cancel", Word: "06h0"},
		"/quiet 22:00-07:30":                   {Name: "quiet", Word: "22:00-07:30"},
		"/quiet off":                           {Name: "quiet", Word: "off"},
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
		"/later 10m":    "a text is missing: write /later WHEN TEXT",
		"/later soon x": "a time is missing, such as 10m, 2h30m or 2026-12-01T09:00: write /later WHEN TEXT",
		"/remind -5m x": "a time is missing, such as 10m, 2h30m or 2026-12-01T09:00: write /remind WHEN TEXT",
		"/quiet":        "two times of day are missing, or off: write /quiet 22:00-07:30",
		"/quiet 9-17":   "two times of day are missing, or off: write /quiet 22:00-07:30",
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

func TestWhen(t *testing.T) {
	zone := time.FixedZone("x", 3600)
	now := time.Date(2026, 11, 30, 23, 55, 0, 0, zone)
	for word, want := range map[string]time.Time{
		"10m":              time.Date(2026, 12, 1, 0, 5, 0, 0, zone),
		"2h30m":            time.Date(2026, 12, 1, 2, 25, 0, 0, zone),
		"2026-12-01T09:00": time.Date(2026, 12, 1, 9, 0, 0, 0, zone),
	} {
		if got, err := line.When(word, now); err != nil || !got.Equal(want) {
			t.Errorf("%s is %v, %v", word, got, err)
		}
	}
	for _, word := range []string{"", "soon", "0s", "-1h", "2026-12-01", "09:00", "2026-13-01T09:00"} {
		if got, err := line.When(word, now); err == nil {
			t.Errorf("%s is %v", word, got)
		}
	}
}

func TestHours(t *testing.T) {
	if from, to, err := line.Hours("22:00-07:30"); from != "22:00" || to != "07:30" || err != nil {
		t.Error(from, to, err)
	}
	if from, to, err := line.Hours("off"); from+to != "" || err != nil {
		t.Error(from, to, err)
	}
	for _, word := range []string{"", "22:00", "22:00-", "-07:30", "9:00-10:00", "22:00-24:30", "22:00-07:30-08:00"} {
		if from, to, err := line.Hours(word); err == nil {
			t.Errorf("%q is %s to %s", word, from, to)
		}
	}
}

// Whatever is typed is either a command of the list or a mistake that says how it is written.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"hello", "//x", "/edit 12 better", "/react #1 👍", "/history 99999999999999999999", "/later 10m x", "/quiet 22:00-07:30", "/\x00", " /quit "} {
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
