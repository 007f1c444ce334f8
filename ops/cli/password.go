package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/chat"
)

// passwordFile is where people say a password that they do not type: it is never an argument, which every user of the
// machine can read.
type passwordFile struct {
	PasswordFile string `placeholder:"FILE" help:"The password is the first line of this file."`
}

// known is the password of an account; told is the one of run.json.
func (p passwordFile) known(s *session, login, told string) (string, error) {
	switch given, ok, err := p.given(s); {
	case err != nil || ok:
		return given, err
	case told != "":
		return told, nil
	case !s.asks():
		return "", config.Problemf("no password for %s: give --password-file or CANOPY_PASSWORD", login)
	}
	return s.askHidden("password of " + login + ": ")
}

// chosen is the password of an account that is to be made.
func (p passwordFile) chosen(s *session, login string) (string, error) {
	password, ok, err := p.given(s)
	if err != nil {
		return "", err
	}
	if !ok {
		if password, err = askTwice(s, login); err != nil {
			return "", err
		}
	}
	if err := chat.CheckPassword(password); err != nil {
		return "", config.Problemf("%w", err)
	}
	return password, nil
}

// given is the password that the flag or the environment says, if one does.
func (p passwordFile) given(s *session) (password string, ok bool, err error) {
	if p.PasswordFile == "" {
		password = s.env("CANOPY_PASSWORD")
		return password, password != "", nil
	}
	text, err := os.ReadFile(p.PasswordFile)
	if err != nil {
		return "", false, config.Problemf("--password-file: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(first, "\r"), true, nil
}

// askTwice asks for a password that is new.
func askTwice(s *session, login string) (string, error) {
	if !s.asks() {
		return "", config.Problemf("no password for %s: give --password-file or CANOPY_PASSWORD", login)
	}
	first, err := s.askHidden("new password of " + login + ": ")
	if err != nil {
		return "", err
	}
	second, err := s.askHidden("once more: ")
	if err == nil && first != second {
		err = config.Problemf("these were two different passwords; nothing was made")
	}
	return first, err
}

// asks reports whether somebody sits at the other end.
func (s System) asks() bool {
	f, ok := s.Stdin.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// askHidden asks for what the terminal shall not show. Somebody sits there.
func (s *session) askHidden(question string) (string, error) {
	text, err := s.ask(question, term.MakeRaw, func(in *os.File) (string, error) {
		text, err := term.ReadPassword(int(in.Fd()))
		return string(text), err
	})
	fmt.Fprintln(s.Stderr) // the terminal did not show the end of the line either
	return text, err
}

// askLine asks for what may be seen. Somebody sits there.
func (s *session) askLine(question string) (string, error) {
	return s.ask(question, term.GetState, func(in *os.File) (string, error) {
		line, err := bufio.NewReader(in).ReadString('\n') // a terminal gives no more than one line
		return strings.TrimSpace(line), err
	})
}

// ask asks on the terminal. Enter makes the terminal ready for the question, before it is shown: who types at once shall
// not see the password either. Afterwards the terminal is as it was, also after a signal; the read itself then ends
// with the process.
func (s *session) ask(question string, enter func(fd int) (*term.State, error), read func(*os.File) (string, error)) (string, error) {
	in := s.Stdin.(*os.File)
	before, err := enter(int(in.Fd()))
	if err != nil {
		return "", fmt.Errorf("%s%w", question, err)
	}
	fmt.Fprint(s.Stderr, question)
	type answer struct {
		text string
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := read(in)
		typed <- answer{text, errors.Join(err, term.Restore(int(in.Fd()), before))}
	}()
	select {
	case a := <-typed:
		if a.err != nil {
			return "", fmt.Errorf("%s%w", question, a.err)
		}
		return a.text, nil
	case <-s.ctx.Done():
		return "", errors.Join(s.ctx.Err(), term.Restore(int(in.Fd()), before))
	}
}
