package cassandrajars

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/engines/child"
)

// java is a runtime that Cassandra 5.0 runs on.
type java struct {
	home string // what JAVA_HOME is for it
	path string // of the command
}

// goodJava are the versions that Cassandra 5.0 is released for.
var goodJava = map[string]bool{"11": true, "17": true}

const howToGetJava = "Cassandra 5.0 runs on Java 11 or 17 (Debian: apt-get install openjdk-17-jre-headless), found by JAVA_HOME, in the PATH or in /usr/lib/jvm"

// findJava looks where JAVA_HOME points and nowhere else when it is set; else in the PATH and where Debian has it.
func findJava(ctx context.Context, javaHome, jvms string) (java, error) {
	if javaHome != "" {
		found, version := javaAt(ctx, filepath.Join(javaHome, "bin/java"))
		if !goodJava[version] {
			return java{}, config.Problemf("JAVA_HOME is %s: %s; %s", javaHome, tellJava(version), howToGetJava)
		}
		return found, nil
	}
	var candidates []string
	if path, err := exec.LookPath("java"); err == nil {
		candidates = append(candidates, path)
	}
	more, err := filepath.Glob(filepath.Join(jvms, "*/bin/java"))
	if err != nil {
		return java{}, err
	}
	seen := ""
	for _, path := range append(candidates, more...) {
		found, version := javaAt(ctx, path)
		if goodJava[version] {
			return found, nil
		}
		if seen == "" {
			seen = version
		}
	}
	if err := ctx.Err(); err != nil {
		return java{}, err
	}
	return java{}, config.Problemf("%s; %s", tellJava(seen), howToGetJava)
}

func tellJava(version string) string {
	if version == "" {
		return "there is no Java"
	}
	return fmt.Sprintf("the Java there is version %s", version)
}

var javaVersion = regexp.MustCompile(`version "(?:1\.)?(\d+)`)

// javaAt asks a java for its version; empty when it is none.
func javaAt(ctx context.Context, path string) (java, string) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return java{}, ""
	}
	var out bytes.Buffer
	if err := child.RunTool(ctx, child.Command{Path: real, Args: []string{"-version"}, Env: os.Environ()}, nil, &out); err != nil {
		return java{}, ""
	}
	found := javaVersion.FindSubmatch(out.Bytes())
	if found == nil {
		return java{}, ""
	}
	return java{home: strings.TrimSuffix(real, "/bin/java"), path: real}, string(found[1])
}
