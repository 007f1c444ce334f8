package plain_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/canopychat/canopy/ops/plain"
)

// shows reports whether a terminal shows all of s as it is.
func shows(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (unicode.IsControl(r) && r != '\n') || (unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) && r != '\u200d')
	})
}

func TestWhatATerminalObeysIsWrittenOut(t *testing.T) {
	for in, want := range map[string]string{
		"good morning, 世界 👩‍💻": "good morning, 世界 👩‍💻",
		"\x1b[31mred\x1b[0m":   `\x1b[31mred\x1b[0m`,
		"over\rwritten\b":      `over\x0dwritten\x08`,
		"C1 \u009b31m":         `C1 \x9b31m`,
		"bytes \xff\xfe":       `bytes \xff\xfe`,
		"turned \u202eround":   `turned \u202eround`,
		"two\nlines":           "two\n    lines",
		"a\ttab":               "a tab",
		"separated\u2028lines": `separated\u2028lines`,
		"\u2066\u200f\ufeff":   `\u2066\u200f\ufeff`,
		"\xff\xc3(":            `\xff\xc3(`,
		"\ufffd":               "\ufffd",
	} {
		if got := plain.Text(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	if got := plain.Line(" two \n lines\tand \x1b[2J more"); got != `two lines and \x1b[2J more` {
		t.Errorf("%q", got)
	}
}

func TestJSONReadsAsItDid(t *testing.T) {
	value := map[string]string{"body": "世界 \x1b \u007f \u009b31m \u202e \u2028 \U000e0041 👩‍💻 \"\\"}
	var b bytes.Buffer
	if err := plain.Encode(&b, value); err != nil {
		t.Fatal(err)
	}
	if line := strings.TrimSuffix(b.String(), "\n"); !shows(line) || strings.Contains(line, "\n") || !strings.Contains(line, "世界") {
		t.Errorf("%q", line)
	}
	var got map[string]string
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got["body"] != value["body"] {
		t.Errorf("%q, %v", got["body"], err)
	}
	raw := plain.JSON([]byte("{\"a\": \"\xff\u009b\"}"))
	if want := `{"a": "\ufffd\u009b"}`; string(raw) != want {
		t.Errorf("%q, want %q", raw, want)
	}
}

func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"", "hi", "\x1b[2J", "\u009b", "\xff", "\u202e", `{"a":"\u001b"}`, "\"\x7f\U000e0041\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := plain.Text(s); !shows(got) {
			t.Errorf("%q is shown as %q", s, got)
		}
		for i, line := range strings.Split(plain.Text(s), "\n") {
			if i > 0 && !strings.HasPrefix(line, "    ") {
				t.Errorf("%q begins a line", s)
			}
		}
		if got := plain.Line(s); !shows(got) || strings.Contains(got, "\n") {
			t.Errorf("%q is shown as %q", s, got)
		}
		var before, after any
		if json.Unmarshal([]byte(s), &before) != nil {
			return
		}
		got := plain.JSON([]byte(s))
		if text := strings.NewReplacer("\t", " ", "\r", " ").Replace(string(got)); !shows(text) { // white space between its parts
			t.Errorf("%q is shown as %q", s, got)
		}
		if err := json.Unmarshal(got, &after); err != nil {
			t.Errorf("%q: %v", got, err)
		}
		a, errA := json.Marshal(before)
		b, errB := json.Marshal(after)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%q says %s, before %s", s, b, a)
		}
	})
}
