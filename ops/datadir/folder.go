package datadir

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/ops/config"
)

// folderVersion is what this build writes and reads. A folder of a higher version belongs to a newer build.
const folderVersion = 1

// Files and folders in the data folder.
const (
	Directory = "directory.db"
	Messages  = "messages.db"
	Hub       = "hub"
	Leaf      = "leaf"

	versionFile = "VERSION"
	secretsFile = "secrets.json"
	lockFile    = "LOCK"
)

// Folder is the data folder, held by this process.
type Folder struct {
	Path    string  // absolute
	Secrets Secrets // Save keeps what is changed in them
	locks   []*os.File
}

// Secrets are the passwords that the parts of a deployment use among themselves, the code of its first visitor and the
// passwords of the demo's people. They are made when the folder is, and shared by the roles that share it.
type Secrets struct {
	App    string `json:"nats_app"`             // of the account that everything of ours lives in
	System string `json:"nats_system"`          // of the NATS server's own account
	Leaf   string `json:"nats_leaf"`            // of leaf nodes
	Setup  string `json:"setup_code,omitempty"` // lets the first visitor make the first account
	Demo   Demo   `json:"demo"`
}

// Demo is what the first start made.
type Demo struct {
	WorkspaceID string  `json:"workspace_id,omitempty"`
	Name        string  `json:"name,omitempty"`
	Logins      []Login `json:"logins,omitempty"`
	Done        bool    `json:"done,omitempty"` // everything of it is there
}

// Login is one of the demo's people.
type Login struct {
	Login    string `json:"login"`
	UserID   string `json:"user_id"`
	Password string `json:"password"`
}

// Open takes hold of the data folder for some roles. Who has all roles of the deployment holds it alone; single roles
// share it, one process a role. What is wrong with it is the user's to mend: a *config.Problem.
func Open(path string, roles []string, alone bool) (*Folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, config.Problemf("the data folder %s: %v", path, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, config.Problemf("the data folder %s cannot be made: %v", path, cause(err))
	}
	f := &Folder{Path: path}
	if err := f.lock(roles, alone); err != nil {
		_ = f.Close() // the error that matters is why it cannot be used
		return nil, err
	}
	err = f.checkVersion()
	if err == nil {
		err = f.loadSecrets()
	}
	if err != nil {
		_ = f.Close() // the error that matters is why it cannot be used
		return nil, err
	}
	return f, nil
}

// At is the path of something in the folder.
func (f *Folder) At(name string) string { return filepath.Join(f.Path, name) }

// lock keeps others out. The files stay: a lock is held by the process, so nothing is left to clean up after a kill.
func (f *Folder) lock(roles []string, alone bool) error {
	if alone {
		return f.lockOne(lockFile, true)
	}
	if err := f.lockOne(lockFile, false); err != nil {
		return err
	}
	for _, role := range roles {
		if err := f.lockOne(lockFile+"."+role, true); err != nil {
			return err
		}
	}
	return nil
}

func (f *Folder) lockOne(name string, alone bool) error {
	file, err := os.OpenFile(f.At(name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return config.Problemf("the data folder %s cannot be written: %v", f.Path, cause(err))
	}
	f.locks = append(f.locks, file)
	if err := lockHandle(file, alone); err != nil {
		return config.Problemf("the data folder %s is in use by another canopy process", f.Path)
	}
	return nil
}

func (f *Folder) checkVersion() error {
	text, err := os.ReadFile(f.At(versionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f.writeFile(versionFile, []byte(strconv.Itoa(folderVersion)+"\n"))
	}
	if err != nil {
		return config.Problemf("the data folder %s cannot be read: %v", f.Path, cause(err))
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(text)))
	switch {
	case err != nil:
		return config.Problemf("%s does not hold a version; this is not a data folder of canopy", f.At(versionFile))
	case version > folderVersion:
		return config.Problemf("the data folder %s belongs to a newer canopy (version %d; this one knows %d)", f.Path, version, folderVersion)
	}
	return nil
}

func (f *Folder) loadSecrets() error {
	text, err := os.ReadFile(f.At(secretsFile))
	if errors.Is(err, fs.ErrNotExist) {
		f.Secrets = Secrets{App: Password(), System: Password(), Leaf: Password(), Setup: Password()}
		return f.saveSecrets(true)
	}
	if err != nil {
		return config.Problemf("the data folder %s cannot be read: %v", f.Path, cause(err))
	}
	if err := json.Unmarshal(text, &f.Secrets); err != nil {
		return config.Problemf("%s is damaged: %v", f.At(secretsFile), err)
	}
	return nil
}

// Save keeps the secrets as they are now.
func (f *Folder) Save() error { return f.saveSecrets(false) }

// saveSecrets writes them. first: another role that starts at the same moment may have been quicker; then its
// secrets count.
func (f *Folder) saveSecrets(first bool) error {
	text, err := json.MarshalIndent(f.Secrets, "", "  ")
	if err != nil {
		return fmt.Errorf("secrets: %w", err)
	}
	if !first {
		return f.writeFile(secretsFile, append(text, '\n'))
	}
	fresh := f.At(secretsFile + "." + Password())
	if err := os.WriteFile(fresh, append(text, '\n'), 0o600); err != nil {
		return config.Problemf("the data folder %s cannot be written: %v", f.Path, cause(err))
	}
	defer os.Remove(fresh)
	err = os.Link(fresh, f.At(secretsFile)) // unlike a rename, it fails where there is one
	if errors.Is(err, fs.ErrExist) {
		return f.loadSecrets()
	}
	if err != nil {
		return config.Problemf("the data folder %s cannot be written: %v", f.Path, cause(err))
	}
	return nil
}

// writeFile puts a file in place whole, readable by its owner only.
func (f *Folder) writeFile(name string, text []byte) error {
	fresh := f.At(name + "." + Password())
	err := os.WriteFile(fresh, text, 0o600)
	if err == nil {
		err = os.Rename(fresh, f.At(name))
	}
	if err != nil {
		_ = os.Remove(fresh) // the error that matters is why it could not be put in place
		return config.Problemf("the data folder %s cannot be written: %v", f.Path, cause(err))
	}
	return nil
}

// Close lets go of the folder.
func (f *Folder) Close() error {
	var errs []error
	for _, file := range f.locks {
		errs = append(errs, file.Close()) // gives the lock back
	}
	f.locks = nil
	return errors.Join(errs...)
}

// Password is 25 letters and digits, 128 bits of chance.
func Password() string { return strings.ToLower(rand.Text()) }

// cause is what the system said, without the path that the message names already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
