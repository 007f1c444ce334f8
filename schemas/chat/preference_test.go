package chat_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tests, wherever they run

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
)

func TestPreferencesThatCanBeKept(t *testing.T) {
	far := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	ids := slices.Repeat([]chat.ChannelID{"c"}, chat.MaxMuted+1)
	words := slices.Repeat([]string{"word"}, chat.MaxKeywords+1)
	for name, tt := range map[string]struct {
		p    chat.Preferences
		kept bool
	}{
		"nothing":         {chat.Preferences{}, true},
		"all":             {chat.Preferences{Muted: ids[1:], Keywords: words[1:], Quiet: &chat.Quiet{Until: far, From: "22:00", To: "07:30", Zone: "Europe/Berlin"}}, true},
		"muted too many":  {chat.Preferences{Muted: ids}, false},
		"muted no id":     {chat.Preferences{Muted: []chat.ChannelID{"*.>"}}, false},
		"muted nothing":   {chat.Preferences{Muted: []chat.ChannelID{""}}, false},
		"too many words":  {chat.Preferences{Keywords: words}, false},
		"two characters":  {chat.Preferences{Keywords: []string{"日本", "c+", "é!"}}, true},
		"forty":           {chat.Preferences{Keywords: []string{strings.Repeat("ü", 40)}}, true},
		"several words":   {chat.Preferences{Keywords: []string{"out of order"}}, true},
		"one character":   {chat.Preferences{Keywords: []string{"é"}}, false},
		"forty-one":       {chat.Preferences{Keywords: []string{strings.Repeat("a", 41)}}, false},
		"no word":         {chat.Preferences{Keywords: []string{""}}, false},
		"space around":    {chat.Preferences{Keywords: []string{" ab"}}, false},
		"a line":          {chat.Preferences{Keywords: []string{"ab\n"}}, false},
		"zero byte":       {chat.Preferences{Keywords: []string{"a\x00b"}}, false},
		"no text":         {chat.Preferences{Keywords: []string{"a\xffb"}}, false},
		"quiet, not said": {chat.Preferences{Quiet: &chat.Quiet{}}, true},
		"all the day":     {chat.Preferences{Quiet: &chat.Quiet{From: "00:00", To: "23:59", Zone: "UTC"}}, true},
		"from only":       {chat.Preferences{Quiet: &chat.Quiet{From: "22:00"}}, false},
		"to only":         {chat.Preferences{Quiet: &chat.Quiet{To: "22:00"}}, false},
		"no hour":         {chat.Preferences{Quiet: &chat.Quiet{From: "24:00", To: "07:00"}}, false},
		"no minute":       {chat.Preferences{Quiet: &chat.Quiet{From: "22:60", To: "07:00"}}, false},
		"short":           {chat.Preferences{Quiet: &chat.Quiet{From: "22:00", To: "7:00"}}, false},
		"seconds":         {chat.Preferences{Quiet: &chat.Quiet{From: "22:00:00", To: "07:00"}}, false},
		"am":              {chat.Preferences{Quiet: &chat.Quiet{From: "10 pm", To: "07:00"}}, false},
		"unknown zone":    {chat.Preferences{Quiet: &chat.Quiet{Zone: "Europe/Atlantis"}}, false},
		"no zone's name":  {chat.Preferences{Quiet: &chat.Quiet{Zone: "../../etc/passwd"}}, false},
		"a path":          {chat.Preferences{Quiet: &chat.Quiet{Zone: "/etc/localtime"}}, false},
		"long zone":       {chat.Preferences{Quiet: &chat.Quiet{Zone: strings.Repeat("a", 65)}}, false},
		"the server's":    {chat.Preferences{Quiet: &chat.Quiet{Zone: "Local"}}, false},
		"beyond years":    {chat.Preferences{Quiet: &chat.Quiet{Until: far.In(time.FixedZone("", -3600)).Add(time.Hour)}}, false},
		"before years":    {chat.Preferences{Quiet: &chat.Quiet{Until: time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))}}, false},
	} {
		err := tt.p.Check()
		if tt.kept != (err == nil) || err != nil && !errors.Is(err, chat.ErrBadPreferences) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPreferencesAsJSON(t *testing.T) {
	p := chat.Preferences{Muted: []chat.ChannelID{"c1"}, Keywords: []string{"a\"b"}, Quiet: &chat.Quiet{
		Until: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), From: "22:00", To: "07:30", Zone: "Asia/Kolkata"}}
	for want, p := range map[string]chat.Preferences{
		`{}`:                    {},
		`{"do_not_disturb":{}}`: {Quiet: &chat.Quiet{}},
		`{"muted_channels":["c1"],"keywords":["a\"b"],"do_not_disturb":{"until":"2026-03-01T12:00:00Z","from":"22:00","to":"07:30","time_zone":"Asia/Kolkata"}}`: p,
	} {
		text, err := json.Marshal(p)
		if err != nil || string(text) != want {
			t.Errorf("%s, %v; want %s", text, err, want)
		}
		var back chat.Preferences
		if err := json.Unmarshal(text, &back); err != nil || !cmp.Equal(p, back) {
			t.Errorf("%s is read as %+v, %v", text, back, err)
		}
	}
}

func TestMutes(t *testing.T) {
	p := chat.Preferences{Muted: []chat.ChannelID{"a", "b"}}
	if !p.Mutes("a") || !p.Mutes("b") || p.Mutes("c") || (chat.Preferences{}).Mutes("") {
		t.Errorf("%+v", p)
	}
}

func TestWatches(t *testing.T) {
	for _, tt := range []struct {
		word, body string
		want       bool
	}{
		{"deploy", "deploy", true},
		{"deploy", "we Deploy: now", true},
		{"Deploy", "DEPLOY!", true},
		{"deploy", "deployed", false},
		{"deploy", "redeploy", false},
		{"deploy", "redeploy, then deploy", true},
		{"deploy", "deploy2 deploy_now", true},
		{"deploy", "deploy2", false},
		{"deploy", "deployé", false},
		{"deploy", "", false},
		{"out of order", "it is out of order.", true},
		{"out of order", "out  of order", false},
		{"aa", "aaa aa", true},
		{"aa", "aaaa", false},
		{"a a", "a a a", true},
		{"c++", "I like C++.", true},
		{"c++", "c++11", false},
		{".net", "asp.net", false},
		{".net", "use .NET", true},
		{"ärger", "Kein ÄRGER", true},
		{"cafe", "cafe\u0301", false},
		{"café", "le CAFÉ", true},
		{"tat", "e\u0301tat", false},
		{"日本", "私は日本語を話す", true},
		{"deploy", "今日deployする", true},
		{"ขอบคุณ", "ขอบคุณครับ", true},
		{"сервер", "Сервера", false},
		{"heart", "heart❤️ and more", true},
		{"deploy", "\xffdeploy\xff", true},
	} {
		p := chat.Preferences{Keywords: []string{"never there", tt.word}}
		if got := p.Watches(tt.body); got != tt.want {
			t.Errorf("%q in %q: %t", tt.word, tt.body, got)
		}
	}
	if (chat.Preferences{}).Watches("anything") {
		t.Error("who watches nothing watches something")
	}
}

func FuzzWatches(f *testing.F) {
	f.Add("deploy", "we deploy")
	f.Add("日本", "日本語")
	f.Add("aa", "aaaa")
	f.Fuzz(func(t *testing.T, word, body string) {
		p := chat.Preferences{Keywords: []string{word}}
		p.Watches(body)
		if p.Check() == nil && !p.Watches("x "+word+" y") {
			t.Fatalf("%q is not found between spaces", word)
		}
	})
}

// zone loads one that there is.
func zone(t interface{ Fatal(...any) }, name string) *time.Location {
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestQuietUntil(t *testing.T) {
	night := chat.Quiet{From: "22:00", To: "07:30", Zone: "America/New_York"}
	lunch := chat.Quiet{From: "12:00", To: "13:00"}
	with := func(q chat.Quiet, until string) chat.Quiet {
		q.Until = moment(t, until)
		return q
	}
	in := func(q chat.Quiet, name string) chat.Quiet {
		q.Zone = name
		return q
	}
	early := chat.Quiet{From: "22:00", To: "02:30", Zone: "America/New_York"}
	for _, tt := range []struct {
		name     string
		q        chat.Quiet
		at, want string // empty: now
	}{
		{"not said", chat.Quiet{}, "2026-01-05T12:00:00Z", ""},
		{"once", with(chat.Quiet{}, "2026-01-05T12:00:01Z"), "2026-01-05T12:00:00Z", "2026-01-05T12:00:01Z"},
		{"once, over", with(chat.Quiet{}, "2026-01-05T12:00:00Z"), "2026-01-05T12:00:00Z", ""},
		{"in the day", lunch, "2026-01-05T12:59:59.9Z", "2026-01-05T13:00:00Z"},
		{"at its beginning", lunch, "2026-01-05T12:00:00Z", "2026-01-05T13:00:00Z"},
		{"before", lunch, "2026-01-05T11:59:59Z", ""},
		{"at its end", lunch, "2026-01-05T13:00:00Z", ""},
		{"elsewhere", in(lunch, "Asia/Kathmandu"), "2026-01-05T06:20:00Z", "2026-01-05T07:15:00Z"},
		{"evening", night, "2026-01-06T04:00:00Z", "2026-01-06T12:30:00Z"},
		{"morning", night, "2026-01-06T12:29:00Z", "2026-01-06T12:30:00Z"},
		{"by day", night, "2026-01-06T12:30:00Z", ""},
		{"at the end of a year", night, "2027-01-01T03:00:00Z", "2027-01-01T12:30:00Z"},
		{"once and then daily", with(night, "2026-01-06T05:00:00Z"), "2026-01-06T02:00:00Z", "2026-01-06T12:30:00Z"},
		{"daily and then once", with(night, "2026-01-06T13:00:00Z"), "2026-01-06T04:00:00Z", "2026-01-06T13:00:00Z"},
		{"daily, once, daily", with(night, "2026-01-07T04:00:00Z"), "2026-01-06T04:00:00Z", "2026-01-07T12:30:00Z"},
		{"never, when both are the same", chat.Quiet{From: "22:00", To: "22:00"}, "2026-01-05T22:00:00Z", ""},
		{"a zone that is gone", in(lunch, "Europe/Atlantis"), "2026-01-05T12:30:00Z", ""},

		// clocks are set forward at 02:00, to 03:00: 2026-03-08T07:00Z
		{"over a short night", night, "2026-03-08T03:00:00Z", "2026-03-08T11:30:00Z"},
		{"to a time that is not", early, "2026-03-08T06:45:00Z", "2026-03-08T07:00:00Z"},
		{"to a time that is not, from the evening", early, "2026-03-08T03:00:00Z", "2026-03-08T07:00:00Z"},
		// clocks are set back at 02:00, to 01:00: 2026-11-01T06:00Z
		{"over a long night", night, "2026-11-01T02:00:00Z", "2026-11-01T12:30:00Z"},
		{"to a time that comes twice", chat.Quiet{From: "22:00", To: "01:30", Zone: "America/New_York"}, "2026-11-01T03:00:00Z", "2026-11-01T05:30:00Z"},
		{"and again", chat.Quiet{From: "22:00", To: "01:30", Zone: "America/New_York"}, "2026-11-01T06:10:00Z", "2026-11-01T06:30:00Z"},
		{"forward in Europe", chat.Quiet{From: "22:00", To: "02:30", Zone: "Europe/Berlin"}, "2026-03-28T23:00:00Z", "2026-03-29T01:00:00Z"},
		{"by half an hour", chat.Quiet{From: "22:00", To: "02:15", Zone: "Australia/Lord_Howe"}, "2026-10-03T15:00:00Z", "2026-10-03T15:30:00Z"},
	} {
		got := chat.Preferences{Quiet: &tt.q}.QuietUntil(moment(t, tt.at))
		want := time.Time{}
		if tt.want != "" {
			want = moment(t, tt.want)
		}
		if !got.Equal(want) {
			t.Errorf("%s: at %s it is quiet until %s; want %s", tt.name, tt.at, got.UTC(), want)
		}
	}
	if got := (chat.Preferences{}).QuietUntil(time.Now()); !got.IsZero() {
		t.Errorf("who has said nothing is quiet until %s", got)
	}
}

func moment(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestQuietEndsWhenItSays: it is quiet at every moment up to the end, and not at the end, whatever clocks are set meanwhile.
func TestQuietEndsWhenItSays(t *testing.T) {
	clock := rapid.Map(rapid.IntRange(0, 24*60-1), func(m int) string {
		return time.Time{}.Add(time.Duration(m) * time.Minute).Format("15:04")
	})
	setAt := []time.Time{ // when clocks are set somewhere
		time.Date(2026, 3, 8, 7, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC), time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC),
		time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC), time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC), time.Date(2026, 10, 3, 15, 30, 0, 0, time.UTC),
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "America/St_Johns"}).Draw(t, "zone")
		around := rapid.SampledFrom(setAt).Draw(t, "around")
		second := rapid.IntRange(-36*3600, 36*3600)
		at := around.Add(time.Duration(second.Draw(t, "at")) * time.Second)
		p := chat.Preferences{Quiet: &chat.Quiet{From: clock.Draw(t, "from"), To: clock.Draw(t, "to"), Zone: name}}
		if rapid.Bool().Draw(t, "once") {
			p.Quiet.Until = around.Add(time.Duration(second.Draw(t, "until")) * time.Second)
		}
		end := p.QuietUntil(at)
		now := at.In(zone(t, name)).Format("15:04")
		from, to := p.Quiet.From, p.Quiet.To
		quiet := p.Quiet.Until.After(at) || from <= now && now < to || from > to && (from <= now || now < to)
		if quiet != !end.IsZero() {
			t.Fatalf("at %s, %s there, it is quiet until %s", at, now, end)
		}
		if end.IsZero() {
			return
		}
		if !end.After(at) || !p.QuietUntil(end).IsZero() {
			t.Fatalf("at %s it is quiet until %s, and then until %s", at, end, p.QuietUntil(end))
		}
		between := at.Add(time.Duration(rapid.Int64Range(0, int64(end.Sub(at)-1)).Draw(t, "between")))
		_, before := at.In(zone(t, name)).Zone()
		_, after := between.In(zone(t, name)).Zone()
		if again := p.QuietUntil(between); !again.Equal(end) && !(again.IsZero() && after < before) { // the clocks show again what was before it
			t.Fatalf("at %s it is quiet until %s, and at %s until %s", at, end, between, again)
		}
	})
}
