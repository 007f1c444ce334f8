package cassandrajars

import (
	"bytes"
	"context"
	_ "embed" // for pom.xml
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/engines/child"
)

const (
	cassandraVersion = "5.0.8"
	jarCount         = 100 // about: for who watches
	copyDependencies = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

	// Variable is the environment variable that names the folder of the jars when nothing else does.
	Variable = "CANOPY_CASSANDRA_JARS"
)

//go:embed pom.xml
var pom []byte

// Jars are Cassandra's, and what runs them.
type Jars struct {
	Java string // path of the command
	Dir  string

	java java
}

// Say is told each step in one line.
type Say func(format string, args ...any)

// Fetch makes sure that Cassandra's jars are in their folder, which is given or the one of Variable or in the user's
// cache, and that there is a Java for them; it fetches them from Maven Central when they are not. Several processes may
// ask at once; one of them fetches. What is missing is the user's to mend: a *config.Problem.
func Fetch(ctx context.Context, given string, say Say) (Jars, error) {
	dir, err := jarsFolder(given)
	if err != nil {
		return Jars{}, err
	}
	found, err := findJava(ctx, os.Getenv("JAVA_HOME"), "/usr/lib/jvm")
	if err != nil {
		return Jars{}, err
	}
	j := Jars{Java: found.path, Dir: dir, java: found}
	if whole, err := j.whole(); err != nil || whole {
		return j, err
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return Jars{}, config.Problemf("Cassandra's jars are not in %s, and mvn, which fetches them from Maven Central, is missing (Debian: apt-get install maven); a copy of that folder from another machine will do as well", dir)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return Jars{}, config.Problemf("the cache of Cassandra's jars: %w", err)
	}
	release, err := waitForLock(ctx, dir+".lock")
	if err != nil {
		return Jars{}, err
	}
	defer release()
	if whole, err := j.whole(); err != nil || whole {
		return j, err // another process has just fetched them
	}
	return j, j.fetch(ctx, mvn, say)
}

// jarsFolder is where the jars are kept. It is outside any data, so that they are fetched once.
func jarsFolder(given string) (string, error) {
	if given == "" {
		given = os.Getenv(Variable)
	}
	if given != "" {
		return filepath.Abs(given)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", config.Problemf("where shall Cassandra's jars be kept? %s may say it (%w)", Variable, err)
	}
	return filepath.Join(cache, "canopy", "cassandra-"+cassandraVersion), nil
}

// whole: the folder gets its name when all jars are in it, so it is there whole or not at all.
func (j Jars) whole() (bool, error) {
	if _, err := os.Stat(j.Dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if _, err := os.Stat(filepath.Join(j.Dir, "cassandra-all-"+cassandraVersion+".jar")); err != nil {
		return false, config.Problemf("%s does not hold the jars of Cassandra %s; take it away, and they are fetched", j.Dir, cassandraVersion)
	}
	_, err := j.Agent()
	return err == nil, err
}

// Agent is the jar that Cassandra measures its objects with.
func (j Jars) Agent() (string, error) {
	found, err := filepath.Glob(filepath.Join(j.Dir, "jamm-*.jar"))
	if err == nil && len(found) != 1 {
		err = config.Problemf("%s holds %d jars jamm-*.jar and must hold one; take it away, and they are fetched", j.Dir, len(found))
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

func (j Jars) fetch(ctx context.Context, mvn string, say Say) error {
	fresh := j.Dir + ".part"
	if err := os.RemoveAll(fresh); err != nil { // of a fetch that was interrupted
		return config.Problemf("the cache of Cassandra's jars: %w", err)
	}
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return config.Problemf("the cache of Cassandra's jars: %w", err)
	}
	defer os.RemoveAll(fresh) // what is whole has another name by then
	work, err := os.MkdirTemp("", "canopy-maven-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	file := filepath.Join(work, "pom.xml")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return err
	}
	say("cassandra: fetching %s from Maven Central, %d jars of 67 MB together, once", cassandraVersion, jarCount)
	watch := &mavenOutput{say: say}
	err = child.RunTool(ctx, child.Command{
		Path: mvn, Args: []string{"-B", "-f", file, copyDependencies, "-DincludeScope=runtime", "-DoutputDirectory=" + fresh},
		Env: child.Environ([]string{"JAVA_HOME=" + j.java.home}),
	}, nil, watch)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return config.Problemf("Cassandra's jars could not be fetched from Maven Central: %s; they are needed once, in %s: a network, a proxy or mirror in ~/.m2/settings.xml, or a copy of that folder from another machine", watch.problem(err), j.Dir)
	}
	if _, err := (Jars{Dir: fresh}).Agent(); err != nil {
		return err
	}
	if err := os.Rename(fresh, j.Dir); err != nil {
		return config.Problemf("the cache of Cassandra's jars: %w", err)
	}
	say("cassandra: its jars are in %s", j.Dir)
	return nil
}

// mavenOutput reads what mvn writes, and tells how far it is.
type mavenOutput struct {
	say   Say
	line  []byte
	wrong string // the first error
	jars  int
	bytes float64
	told  time.Time
}

var (
	downloaded = regexp.MustCompile(`Downloaded from .*\.jar \(([0-9.]+) ?([kMG]?)B`)
	transfer   = regexp.MustCompile(`Could not (?:transfer|find) artifact.*`)
)

// Write is of io.Writer.
func (m *mavenOutput) Write(b []byte) (int, error) {
	m.line = append(m.line, b...)
	for {
		line, rest, ok := bytes.Cut(m.line, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		m.noteLine(string(line))
		m.line = append(m.line[:0], rest...)
	}
}

func (m *mavenOutput) noteLine(line string) {
	if text, ok := strings.CutPrefix(line, "[ERROR] "); ok && m.wrong == "" {
		m.wrong = text
	}
	found := downloaded.FindStringSubmatch(line)
	if found == nil {
		return
	}
	m.jars++
	if size, err := strconv.ParseFloat(found[1], 64); err == nil {
		m.bytes += size * map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[found[2]]
	}
	if now := time.Now(); now.Sub(m.told) >= time.Second {
		m.told = now
		m.say("cassandra: %d jars, %.0f MB so far", m.jars, m.bytes/1e6)
	}
}

// problem is what went wrong, in a few words.
func (m *mavenOutput) problem(err error) string {
	text := m.wrong
	if text == "" {
		return fmt.Sprintf("mvn ended with %v", err)
	}
	if found := transfer.FindString(text); found != "" {
		text = found
	}
	text, _, _ = strings.Cut(text, " -> [Help")
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return text
}

// lockEvery is how often a lock that another process has is tried again.
const lockEvery = 200 * time.Millisecond

// waitForLock waits until no other process has the lock that the file is, and answers what gives it back.
func waitForLock(ctx context.Context, path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, config.Problemf("the cache of Cassandra's jars: %w", err)
	}
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for {
		mine, err := child.LockFile(f)
		if mine {
			return func() { _ = f.Close() }, nil // nothing was written to it
		}
		if err == nil {
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		_ = f.Close() // nothing was written to it
		return nil, err
	}
}
