package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// RunFileName is what the file is called in the data folder.
const RunFileName = "run.json"

// RunFile says how to reach a deployment that runs: it is in the data folder from when everything serves until
// the process ends cleanly. Passwords are in it, so only its owner may read it. A process that was killed leaves
// it behind; whoever reads it must expect that nobody answers.
type RunFile struct {
	HTTP      string       `json:"http"`  // URL
	Admin     string       `json:"admin"` // URL
	NATS      RunNATS      `json:"nats"`
	Workspace RunWorkspace `json:"workspace"`
	Logins    []RunLogin   `json:"logins"`
	Setup     *RunSetup    `json:"setup,omitempty"` // while there is no account
}

// RunSetup is how the first visitor makes the first account: POST to URL with the code.
type RunSetup struct {
	URL  string `json:"url"`
	Code string `json:"code"`
}

// RunNATS are URLs with credentials in them.
type RunNATS struct {
	Hub    string `json:"hub"`
	System string `json:"system,omitempty"` // the hub, as the server's own account
	Leaf   string `json:"leaf"`
}

// RunWorkspace is the workspace of the first start.
type RunWorkspace struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// RunLogin is somebody who may sign in there.
type RunLogin struct {
	Login    string `json:"login"`
	Password string `json:"password"`
}

// RunFilePath is where the file of a data folder is.
func RunFilePath(data string) string { return filepath.Join(data, RunFileName) }

// Write puts the file into a data folder. Whoever reads meanwhile gets the old one or the new one, whole.
func (r RunFile) Write(data string) error {
	if r.Logins == nil {
		r.Logins = []RunLogin{} // scripts expect a list
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("run.json: %w", err)
	}
	return WritePrivate(RunFilePath(data), append(text, '\n'))
}

// ReadRunFile reads the file of a data folder. The error wraps fs.ErrNotExist when there is none.
func ReadRunFile(data string) (RunFile, error) {
	var r RunFile
	text, err := os.ReadFile(RunFilePath(data))
	if err != nil {
		return RunFile{}, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return RunFile{}, fmt.Errorf("%s is damaged: %w", RunFilePath(data), err)
	}
	if r.NATS.Hub == "" {
		return RunFile{}, fmt.Errorf("%s is damaged: it does not say where the hub is", RunFilePath(data))
	}
	return r, nil
}

// RemoveRunFile takes the file of a data folder away. That there is none is no error.
func RemoveRunFile(data string) error {
	if err := os.Remove(RunFilePath(data)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// WritePrivate puts a file in place whole, or not at all, readable by its owner only, whoever could read what
// was there before. Dying in the middle leaves the old file, and perhaps a hidden one beside it.
func WritePrivate(path string, text []byte) error {
	fresh, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = fresh.Write(text)
	if closing := fresh.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(fresh.Name(), path)
	}
	if err != nil {
		_ = os.Remove(fresh.Name()) // the error that matters is why it could not be put in place
	}
	return err
}

// cause is what the system said, without the path that the message names already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
