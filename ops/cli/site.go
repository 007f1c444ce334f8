package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/fault"
)

// site are the flags of the commands that people use: they sign in over HTTP, where operators use NATS.
type site struct {
	source `embed:""`
	URL    string `name:"url" placeholder:"URL" help:"The deployment, such as https://chat.example (default: that of run.json)."`
}

// find is where people sign in, and what run.json says besides; that is empty when the flags name a URL.
func (c site) find(s *session) (string, config.RunFile, error) {
	if c.URL != "" {
		if c.Data != "" {
			return "", config.RunFile{}, config.Problemf("--url and --data: one says where the deployment is")
		}
		if _, err := client.New(c.URL); err != nil {
			return "", config.RunFile{}, config.Problemf("--url: %w", err)
		}
		return c.URL, config.RunFile{}, nil
	}
	cfg, err := c.load(s, config.Together, nil)
	if err != nil {
		return "", config.RunFile{}, err
	}
	path := config.RunFilePath(cfg.Data)
	run, err := config.ReadRunFile(cfg.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", run, config.Problemf("no deployment runs here: there is no %s. Start one with canopy up, or name one with --data or --url", path)
	case err != nil:
		return "", run, config.Problemf("%w", err)
	case run.HTTP == "":
		return "", run, config.Problemf("%s does not say where people sign in; say it with --url", path)
	}
	return run.HTTP, run, nil
}

// chatLine is what somebody types to talk there.
func (c site) chatLine(s *session, login string) string {
	line := s.program() + " chat"
	for _, flag := range []struct{ name, value string }{{"url", c.URL}, {"config", c.Config}, {"data", c.Data}, {"as", login}} {
		if flag.value != "" {
			line += " --" + flag.name + " " + shellQuote(flag.value)
		}
	}
	return line
}

// signIn signs somebody in who has an account.
func (s *session) signIn(url, login, password string) (*client.Client, error) {
	signed, err := client.Login(s.ctx, url, login, password, "canopy chat")
	switch client.CodeOf(err) {
	case fault.Unauthenticated, fault.Invalid:
		return nil, config.Problemf("%s cannot sign in at %s: %w", login, url, err)
	}
	return signed, s.unanswered(url, err)
}

// refused is what a command says of an error of the client. What the person can mend is a mistake, told without its code.
func (s *session) refused(url string, err error) error {
	var by *client.Error
	if errors.As(err, &by) {
		switch by.Code {
		case fault.Invalid, fault.Unauthenticated, fault.Forbidden, fault.NotFound, fault.Conflict:
			return config.Problemf("%s", by.Message)
		}
	}
	return s.unanswered(url, err)
}

// unanswered says where nobody answers, if it is that.
func (s *session) unanswered(url string, err error) error {
	if err != nil && client.CodeOf(err) == "" && s.ctx.Err() == nil {
		return fmt.Errorf("nobody answers at %s: %w", url, err)
	}
	return err
}

// logoutBudget is how long the end of a command may wait for the server.
const logoutBudget = 2 * time.Second

// signOut ends a sign-in that nobody needs any more.
func (s *session) signOut(signed *client.Client) {
	leaving, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), logoutBudget)
	defer cancel()
	_ = signed.Logout(leaving) // a sign-in that stays ends by itself
}

// program is how the person has started this command, to be typed again. go run leaves only the path of a file that may
// be gone afterwards.
func (s System) program() string {
	for _, folder := range strings.Split(filepath.ToSlash(filepath.Dir(s.Program)), "/") {
		if strings.HasPrefix(folder, "go-build") {
			return "go run ./ops/cmd/canopy"
		}
	}
	return shellQuote(cmp.Or(s.Program, "canopy"))
}
