package migration

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
)

// File is one numbered file of statements.
type File struct {
	Number     int
	Name       string
	Sum        string   // SHA-256 of the file, in hexadecimal
	Statements []string // each may be run twice
}

var fileName = regexp.MustCompile(`^([0-9]{5})_[a-z0-9_]+\.cql$`)

// Read reads and checks the numbered files: 00001, 00002 and so on. Without files there is none.
func Read(files fs.FS) ([]File, error) {
	if files == nil {
		return nil, nil
	}
	entries, err := fs.ReadDir(files, ".") // sorted by name
	if err != nil {
		return nil, fmt.Errorf("cassandra: read the migrations: %w", err)
	}
	var all []File
	for _, e := range entries {
		m, err := read(files, e.Name())
		if err != nil {
			return nil, fmt.Errorf("cassandra: migration %s: %w", e.Name(), err)
		}
		if all = append(all, m); m.Number != len(all) {
			return nil, fmt.Errorf("cassandra: migration %s: it is file %d: a number is missing or used twice", e.Name(), len(all))
		}
	}
	return all, nil
}

func read(files fs.FS, name string) (m File, err error) {
	parts := fileName.FindStringSubmatch(name)
	if parts == nil {
		return m, errors.New("it is not named like 00001_words.cql")
	}
	if m.Number, err = strconv.Atoi(parts[1]); err != nil {
		return m, err
	}
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return m, err
	}
	sum := sha256.Sum256(text)
	m.Name, m.Sum = name, hex.EncodeToString(sum[:])
	if m.Statements, err = Split(string(text)); err != nil {
		return m, err
	}
	if len(m.Statements) == 0 {
		return m, errors.New("it has no statement")
	}
	for _, s := range m.Statements {
		if err := repeatable(s); err != nil {
			return m, err
		}
	}
	return m, nil
}

// again is what a statement must be like, so that a migration that died half-way can be run from its beginning.
var again = regexp.MustCompile(`(?i)^(` +
	`CREATE (TABLE|TYPE|(CUSTOM )?INDEX|MATERIALIZED VIEW) IF NOT EXISTS |` +
	`DROP (TABLE|TYPE|INDEX|MATERIALIZED VIEW) IF EXISTS |` +
	`ALTER TABLE (IF EXISTS )?\S+ (ADD IF NOT EXISTS|DROP IF EXISTS|WITH) |` +
	`ALTER TYPE (IF EXISTS )?\S+ ADD IF NOT EXISTS )`)

func repeatable(s string) error {
	if !again.MatchString(strings.Join(strings.Fields(s), " ")) {
		return fmt.Errorf("%q may not be run twice: a statement creates or adds IF NOT EXISTS, drops IF EXISTS or sets WITH", FirstWords(s))
	}
	return nil
}

// Applied is a file that a keyspace has.
type Applied struct {
	Number    int
	Name, Sum string
}

// NewerSchemaError says that a keyspace was made by a newer version of Canopy, which this one must not touch.
type NewerSchemaError struct {
	Keyspace string
	Have     int // the keyspace's schema
	Known    int // the newest that this program knows
}

// Error is one line for whoever starts the program.
func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("the keyspace %s belongs to a newer version of Canopy (its schema is %d, this program knows %d): start that version, or use another keyspace",
		e.Keyspace, e.Have, e.Known)
}

// Pending is which of the files are to be run in a keyspace that has some. The error is a *NewerSchemaError when it has
// more than there are, and says so when one was edited after it was applied.
func Pending(keyspace string, files []File, have []Applied) ([]File, error) {
	newest := 0
	byNumber := map[int]Applied{}
	for _, a := range have {
		newest = max(newest, a.Number)
		byNumber[a.Number] = a
	}
	if newest > len(files) {
		return nil, &NewerSchemaError{Keyspace: keyspace, Have: newest, Known: len(files)}
	}
	for _, m := range files[:newest] {
		switch a, ok := byNumber[m.Number]; {
		case !ok:
			return nil, fmt.Errorf("cassandra: keyspace %s: migration %s is not in it, and %d is: a row of schema_migrations is lost", keyspace, m.Name, newest)
		case a.Sum != m.Sum:
			return nil, fmt.Errorf("cassandra: keyspace %s: migration %s was edited after it was applied as %s (sha256 %.12s then, %.12s now): restore the file, and write the change as a new one",
				keyspace, m.Name, a.Name, a.Sum, m.Sum)
		}
	}
	return files[newest:], nil
}

// FirstWords is what a statement is about, for an error.
func FirstWords(s string) string {
	words := strings.Fields(s)
	return strings.Join(words[:min(len(words), 6)], " ")
}
