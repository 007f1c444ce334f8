package obs_test

import (
	"errors"
	"testing"

	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/streams"
)

const example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" // W3C Trace Context §3.2.3

func TestParseTraceParent(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"recorded", example, example},
		{"not recorded", example[:53] + "00", example[:53] + "00"},
		{"flags that are not known yet", example[:53] + "ff", example[:53] + "ff"},
		{"a later version", "cc" + example[2:], example},
		{"a later version with more", "cc" + example[2:] + "-what-the-future-will-be-like", example},
		{"a later version with more, and no dash", "cc" + example[2:] + ".what", ""},
		{"version 00 with more", example + "-more", ""},
		{"a version that is never given", "ff" + example[2:], ""},
		{"no trace", "00-00000000000000000000000000000000-b7ad6b7169203331-01", ""},
		{"no span", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", ""},
		{"capitals", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", ""},
		{"no digits", "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01", ""},
		{"other dashes", "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01", ""},
		{"cut off", example[:54], ""},
		{"empty", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := obs.ParseTraceParent(test.text)
			if test.want == "" {
				if !errors.Is(err, obs.ErrBadTraceParent) || got != (obs.TraceParent{}) {
					t.Errorf("it is %v, %v; want ErrBadTraceParent and nothing", got, err)
				}
				return
			}
			if err != nil || got.String() != test.want {
				t.Errorf("it is %v, %v; want %s", got, err, test.want)
			}
			if got.Sampled() != (test.want[54] != '0') {
				t.Errorf("Sampled is %v", got.Sampled())
			}
		})
	}
}

func TestTheHeaderIsTheLogs(t *testing.T) {
	if obs.TraceParentHeader != streams.HeaderTrace {
		t.Errorf("the header is %s here and %s in the log", obs.TraceParentHeader, streams.HeaderTrace)
	}
}

func FuzzParseTraceParent(f *testing.F) {
	f.Add(example)
	f.Add("cc" + example[2:] + "-more")
	f.Add("00-00000000000000000000000000000000-0000000000000000-00")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := obs.ParseTraceParent(text)
		if err != nil {
			if got != (obs.TraceParent{}) {
				t.Errorf("%q is refused, and %v", text, got)
			}
			return
		}
		again, err := obs.ParseTraceParent(got.String())
		if err != nil || again != got {
			t.Errorf("%q is %v, and read again %v, %v", text, got, again, err)
		}
		if text[:2] == "00" && got.String() != text {
			t.Errorf("%q is written %s", text, got)
		}
		if text[2:55] != got.String()[2:] {
			t.Errorf("%q became %s", text, got)
		}
	})
}
