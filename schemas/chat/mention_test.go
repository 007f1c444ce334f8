package chat_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
)

// named are the logins of the mentions of a text, with @channel and @here as those.
func named(body string) []string {
	m := chat.MentionsOf(body)
	all := slices.Clone(m.Logins)
	if m.Channel {
		all = append(all, "@channel")
	}
	if m.Here {
		all = append(all, "@here")
	}
	return all
}

func TestMentionsOf(t *testing.T) {
	for body, want := range map[string][]string{
		"":                                  nil,
		"hello":                             nil,
		"@":                                 nil,
		"@ bob":                             nil,
		"@bob":                              {"bob"},
		"hi @Bob, and @ALICE!":              {"bob", "alice"},
		"@bob @bob @BOB":                    {"bob"},
		"(@bob)":                            {"bob"},
		"\"@bob\"":                          {"bob"},
		"*@bob* _@bob":                      {"bob"},
		"#@bob":                             {"bob"},
		"@bob\n@alice":                      {"bob", "alice"},
		"ask @bob.":                         {"bob"},
		"ask @bob...":                       {"bob"},
		"@bob: @alice; @carol? @dave-- now": {"bob", "alice", "carol", "dave"},
		"@a.b_c-d+e":                        {"a.b_c-d+e"},
		"@bob's":                            {"bob"},
		"@bob/@alice":                       {"bob"},
		"@channel":                          {"@channel"},
		"@Channel, @HERE @bob":              {"bob", "@channel", "@here"},
		"@channels":                         {"channels"},
		"@everyone":                         {"everyone"},

		// addresses are none, and a login may be one
		"mail bob@example.org":          nil,
		"b.o+b@example.org":             nil,
		"bob-@example.org bob_@x":       nil,
		"bob@@example.org":              nil,
		"https://example.org/@bob":      nil,
		"ssh://git@example.org":         nil,
		"@bob@example.org":              {"bob@example.org"},
		"@bob@example.org.":             {"bob@example.org"},
		"josé@example.org e\u0301@x.de": nil,
		"٣@bob":                         nil,

		// code is none
		"`@bob`":                        nil,
		"`@bob` @alice":                 {"alice"},
		"``a ` @bob`` @alice":           {"alice"},
		"```\n@bob\n` @x\n```\n@alice":  {"alice"},
		"it's a ` by itself, @bob":      {"bob"},
		"``` opened, never closed @bob": {"bob"},
		"`` @bob `":                     {"bob"},
		"`a`@bob":                       {"bob"},
		"`a` @bob `b`":                  {"bob"},
		"`":                             nil,
		"@bob`":                         {"bob"},

		// words of all kinds
		"ça va @bob ?":       {"bob"},
		"@josé":              nil,
		"@jose\u0301":        nil,
		"@bobß":              nil,
		"@bobу":              {"bob"}, // a case of Russian
		"谢谢@bob，@alice你好":    {"bob", "alice"},
		"@bobさん、ありがとう":       {"bob"},
		"ขอบคุณ@bobครับ":     {"bob"},
		"❤️@bob 1️⃣@alice":   {"bob", "alice"},
		"👍🏽@bob@":            {"bob"},
		"«@bob»…@alice—next": {"bob", "alice"},
		"\u200b@bob":         {"bob"},
		"\xff@bob\xff":       {"bob"},
		"@böb":               nil,

		// too long is nobody
		"@" + strings.Repeat("a", chat.MaxLogin):            {strings.Repeat("a", chat.MaxLogin)},
		"@" + strings.Repeat("a", chat.MaxLogin) + "...":    {strings.Repeat("a", chat.MaxLogin)},
		"@" + strings.Repeat("a", chat.MaxLogin+1):          nil,
		"@bob @" + strings.Repeat("a", chat.MaxLogin) + "a": {"bob"},
	} {
		if diff := cmp.Diff(want, named(body), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", body, diff)
		}
		if m := chat.MentionsOf(body); m.Nobody() != (len(want) == 0) {
			t.Errorf("%q names %+v; nobody: %t", body, m, m.Nobody())
		}
	}
}

func TestMentionsAreBounded(t *testing.T) {
	var body strings.Builder
	for i := range chat.MaxMentions + 5 {
		body.WriteString("@u" + strings.Repeat("x", i) + " ")
	}
	body.WriteString("@here")
	m := chat.MentionsOf(body.String())
	if len(m.Logins) != chat.MaxMentions || m.Logins[0] != "u" || !m.Here {
		t.Errorf("%d logins, from %q; here: %t", len(m.Logins), m.Logins[0], m.Here)
	}
}

func TestWhoIsNamed(t *testing.T) {
	for body, want := range map[string]bool{
		"@bob": true, "@BOB": true, "@bobby": false, "bob": false, "@alice": false, "@channel": true, "@here": true, "`@here`": false,
	} {
		if got := chat.MentionsOf(body).Names("bob"); got != want {
			t.Errorf("%q names bob: %t", body, got)
		}
	}
	if !chat.MentionsOf("@bob").Names("Bob") {
		t.Error("a login is one in whatever case")
	}
}

// areLogins fails unless all that is named could be the login of somebody, once.
func areLogins(t interface{ Fatalf(string, ...any) }, body string) {
	m := chat.MentionsOf(body)
	seen := map[string]bool{}
	for _, l := range m.Logins {
		if chat.CheckLogin(l) != nil || seen[l] || l == "channel" || l == "here" || !strings.Contains(strings.ToLower(body), "@"+l) {
			t.Fatalf("%q names %q", body, l)
		}
		seen[l] = true
	}
	if len(m.Logins) > chat.MaxMentions {
		t.Fatalf("%q names %d", body, len(m.Logins))
	}
}

func TestALoginIsNamedWhereverItStands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		login := rapid.StringMatching(`[a-z0-9]([a-z0-9._+@-]{0,20}[a-z0-9])?`).Draw(t, "login")
		before := rapid.SampledFrom([]string{"", " ", "\n", "(", "hello ", "日本", "a, ", "`x` ", "``", "🙂", "\"", "→", "a` "}).Draw(t, "before")
		after := rapid.SampledFrom([]string{"", " ", ".", "...", "!", ")", ", and more", "さん", "/", "`", " @other", "-\n", "'s", "🙂"}).Draw(t, "after")
		body := before + "@" + strings.ToUpper(login) + after
		areLogins(t, body)
		if strings.Count(body, "`")%2 == 0 && strings.HasSuffix(before, "`") {
			t.Skip("code")
		}
		m := chat.MentionsOf(body)
		if !m.Names(login) && !(strings.Contains(before, "`") && strings.Contains(after, "`")) {
			t.Fatalf("%q names %+v", body, m)
		}
		code := chat.MentionsOf("look: `" + strings.ReplaceAll(body, "`", "") + "`")
		if !code.Nobody() {
			t.Fatalf("code names %+v", code)
		}
	})
}

func FuzzMentionsOf(f *testing.F) {
	for _, s := range []string{"", "@bob", "a@b", "`@x`", "``a`@b``", "@\xff", "@a.b...", "@channel @here", "日本@bobさん", "@josé", "❤️@bob", strings.Repeat("`", 99) + "@a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) { areLogins(t, body) })
}

// TestBackticksAreReadOnce would take minutes if each of them looked through all the others.
func TestBackticksAreReadOnce(t *testing.T) {
	var body strings.Builder
	for n := 1; body.Len() < chat.MaxBody-n-2; n++ {
		body.WriteString(strings.Repeat("`", n) + " ")
	}
	body.WriteString("@a")
	if got := named(body.String()); !slices.Equal(got, []string{"a"}) {
		t.Errorf("it names %v", got)
	}
	if got := named(strings.Repeat("` ", chat.MaxBody/2) + "@a"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("it names %v", got)
	}
}
