package operator_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/streams/bus"
)

var errReached = errors.New("it would ask the deployment now")

// terminal is somebody who types answers; ever after it is broken.
func terminal(t *testing.T, answers ...string) *operator.Session {
	t.Helper()
	return &operator.Session{
		Context: t.Context(), Stdin: strings.NewReader(""), Stdout: io.Discard,
		Reach: func(operator.Where) (*bus.Conn, ctl.Deployment, error) { return nil, ctl.Deployment{}, errReached },
		Ask: func(string) (string, error) {
			if len(answers) == 0 {
				return "", context.Canceled
			}
			answer := answers[0]
			answers = answers[1:]
			return answer, nil
		},
	}
}

// A password is typed twice, and nothing is asked of the deployment before it can be one.
func TestAPasswordIsTypedTwice(t *testing.T) {
	for what, c := range map[string]struct {
		answers []string
		want    string // of a *config.Problem; empty: it is taken
	}{
		"the same":       {[]string{"correct horse", "correct horse"}, ""},
		"another":        {[]string{"correct horse", "correct hearse"}, "two different passwords"},
		"too short":      {[]string{"horse", "horse"}, "a password is 8 to 128 bytes"},
		"nothing":        {[]string{"", ""}, "a password is 8 to 128 bytes"},
		"once":           {[]string{"correct horse"}, "canceled"},
		"nothing at all": {nil, "canceled"},
	} {
		var cmd operator.UserCmd
		cmd.Passwd.User = "ada"
		err := cmd.Passwd.Run(terminal(t, c.answers...))
		var problem *config.Problem
		switch {
		case c.want == "" && !errors.Is(err, errReached):
			t.Errorf("%s: %v", what, err)
		case c.want != "" && (!errors.As(err, &problem) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}
