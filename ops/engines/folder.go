package engines

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/engines/child"
)

// The names in the folder, besides a folder for each engine.
const (
	addressesFile = "engines.json"
	lockName      = "LOCK"
)

// Addresses say where the engines are. Their JSON form is engines.json.
type Addresses struct {
	Cassandra []CassandraNode  `json:"cassandra,omitempty"`
	Postgres  *PostgresAddress `json:"postgres,omitempty"`
	Hub       []HubNode        `json:"hub,omitempty"`
}

// CassandraNode is one node of the ring.
type CassandraNode struct {
	Host string `json:"host"`
	Port int    `json:"port"` // of CQL
	PID  int    `json:"pid"`
}

// PostgresAddress is of a user who may make databases.
type PostgresAddress struct {
	DSN string `json:"dsn"`
	PID int    `json:"pid"`
}

// HubNode is one node of the hub.
type HubNode struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

// ReadAddresses reads what a run that is ready has written into its folder.
func ReadAddresses(dir string) (Addresses, error) {
	text, err := os.ReadFile(filepath.Join(dir, addressesFile))
	if err != nil {
		return Addresses{}, err
	}
	var a Addresses
	return a, json.Unmarshal(text, &a)
}

// folder is where the data is, held by this process.
type folder struct {
	path string // absolute
	lock *os.File
}

func openFolder(path string) (*folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(path, "\n,:;") {
		return nil, config.Problemf("the folder %q has a character in its name that paths of Java and PostgreSQL are separated by", path)
	}
	// Others may pass, not look: PostgreSQL refuses root and runs as somebody else.
	if err := os.MkdirAll(path, 0o711); err != nil {
		return nil, config.Problemf("the folder %s: %w", path, plain(err))
	}
	f, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, config.Problemf("the folder %s: %w", path, plain(err))
	}
	mine, err := child.LockFile(f)
	if err == nil && !mine {
		err = config.Problemf("engines run in %s already: its %s says where", path, addressesFile)
	}
	if err != nil {
		_ = f.Close() // the error that matters is why it cannot be had
		return nil, err
	}
	d := &folder{path: path, lock: f}
	return d, d.retract() // a run that was killed has left its own
}

func (d *folder) at(name string) string { return filepath.Join(d.path, name) }

// publish says where the engines are, whole at once, to who may read the passwords in it.
func (d *folder) publish(a Addresses) error {
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	fresh := d.at(addressesFile + ".part")
	if err := os.WriteFile(fresh, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, d.at(addressesFile))
}

// retract takes back what publish has said.
func (d *folder) retract() error {
	err := os.Remove(d.at(addressesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// close lets go of the folder.
func (d *folder) close() error {
	lock := d.lock
	if d.lock = nil; lock == nil {
		return nil
	}
	return lock.Close()
}

// plain is what the system said, without the path that the message names already.
func plain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
