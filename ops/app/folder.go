package app

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
	versionFile   = "VERSION"
	secretsFile   = "secrets.json"
	lockFile      = "LOCK"
	directoryFile = "directory.db"
	messagesFile  = "messages.db"
	hubFolder     = "hub"
	leafFolder    = "leaf"
)

// folder is the data folder, held by this process.
type folder struct {
	path    string
	secrets secrets
	locks   []*os.File
}

// secrets are the passwords that the parts of a deployment use among themselves, and those of the demo's people.
// They are made when the folder is, and shared by the roles that share it.
type secrets struct {
	App    string `json:"nats_app"`    // of the account that everything of ours lives in
	System string `json:"nats_system"` // of the NATS server's own account
	Leaf   string `json:"nats_leaf"`   // of leaf nodes
	Demo   demo   `json:"demo"`
}

// demo is what the first start made.
type demo struct {
	WorkspaceID string  `json:"workspace_id,omitempty"`
	Name        string  `json:"name,omitempty"`
	Logins      []login `json:"logins,omitempty"`
	Done        bool    `json:"done,omitempty"` // everything of it is there
}

type login struct {
	Login    string `json:"login"`
	UserID   string `json:"user_id"`
	Password string `json:"password"`
}

// openFolder takes hold of the data folder for some roles. All roles in one process hold it alone; single roles
// share it, one process a role. What is wrong with it is the user's to mend: a *config.Problem.
func openFolder(path string, roles []Role) (*folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, config.Problemf("the data folder %s: %v", path, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, config.Problemf("the data folder %s cannot be made: %v", path, cause(err))
	}
	f := &folder{path: path}
	if err := f.lock(roles); err != nil {
		_ = f.close() // the error that matters is why it cannot be used
		return nil, err
	}
	err = f.checkVersion()
	if err == nil {
		err = f.loadSecrets()
	}
	if err != nil {
		_ = f.close() // the error that matters is why it cannot be used
		return nil, err
	}
	return f, nil
}

// at is the path of something in the folder.
func (f *folder) at(name string) string { return filepath.Join(f.path, name) }

// lock keeps others out. The files stay: a lock is held by the process, so nothing is left to clean up after a kill.
func (f *folder) lock(roles []Role) error {
	if len(roles) == len(AllRoles) {
		return f.lockOne(lockFile, true)
	}
	if err := f.lockOne(lockFile, false); err != nil {
		return err
	}
	for _, role := range roles {
		if err := f.lockOne(lockFile+"."+string(role), true); err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) lockOne(name string, alone bool) error {
	file, err := os.OpenFile(f.at(name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return config.Problemf("the data folder %s cannot be written: %v", f.path, cause(err))
	}
	f.locks = append(f.locks, file)
	if err := lockHandle(file, alone); err != nil {
		return config.Problemf("the data folder %s is in use by another canopy process", f.path)
	}
	return nil
}

func (f *folder) checkVersion() error {
	text, err := os.ReadFile(f.at(versionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f.writeFile(versionFile, []byte(strconv.Itoa(folderVersion)+"\n"))
	}
	if err != nil {
		return config.Problemf("the data folder %s cannot be read: %v", f.path, cause(err))
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(text)))
	switch {
	case err != nil:
		return config.Problemf("%s does not hold a version; this is not a data folder of canopy", f.at(versionFile))
	case version > folderVersion:
		return config.Problemf("the data folder %s belongs to a newer canopy (version %d; this one knows %d)", f.path, version, folderVersion)
	}
	return nil
}

func (f *folder) loadSecrets() error {
	text, err := os.ReadFile(f.at(secretsFile))
	if errors.Is(err, fs.ErrNotExist) {
		f.secrets = secrets{App: password(), System: password(), Leaf: password()}
		return f.saveSecrets(true)
	}
	if err != nil {
		return config.Problemf("the data folder %s cannot be read: %v", f.path, cause(err))
	}
	if err := json.Unmarshal(text, &f.secrets); err != nil {
		return config.Problemf("%s is damaged: %v", f.at(secretsFile), err)
	}
	return nil
}

// saveSecrets writes them. first: another role that starts at the same moment may have been quicker; then its
// secrets count.
func (f *folder) saveSecrets(first bool) error {
	text, err := json.MarshalIndent(f.secrets, "", "  ")
	if err != nil {
		return fmt.Errorf("secrets: %w", err)
	}
	if !first {
		return f.writeFile(secretsFile, append(text, '\n'))
	}
	fresh := f.at(secretsFile + "." + password())
	if err := os.WriteFile(fresh, append(text, '\n'), 0o600); err != nil {
		return config.Problemf("the data folder %s cannot be written: %v", f.path, cause(err))
	}
	defer os.Remove(fresh)
	err = os.Link(fresh, f.at(secretsFile)) // unlike a rename, it fails where there is one
	if errors.Is(err, fs.ErrExist) {
		return f.loadSecrets()
	}
	if err != nil {
		return config.Problemf("the data folder %s cannot be written: %v", f.path, cause(err))
	}
	return nil
}

// writeFile puts a file in place whole, readable by its owner only.
func (f *folder) writeFile(name string, text []byte) error {
	fresh := f.at(name + "." + password())
	err := os.WriteFile(fresh, text, 0o600)
	if err == nil {
		err = os.Rename(fresh, f.at(name))
	}
	if err != nil {
		_ = os.Remove(fresh) // the error that matters is why it could not be put in place
		return config.Problemf("the data folder %s cannot be written: %v", f.path, cause(err))
	}
	return nil
}

func (f *folder) close() error {
	var errs []error
	for _, file := range f.locks {
		errs = append(errs, file.Close()) // gives the lock back
	}
	f.locks = nil
	return errors.Join(errs...)
}

// password is 25 letters and digits, 128 bits of chance.
func password() string { return strings.ToLower(rand.Text()) }

// cause is what the system said, without the path that the message names already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
