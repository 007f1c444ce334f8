//go:build linux

package cassandrajars_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/engines/cassandrajars"
)

// script makes a command of a name.
func script(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

const javaHint = "; Cassandra 5.0 runs on Java 11 or 17 (Debian: apt-get install openjdk-17-jre-headless), found by JAVA_HOME, in the PATH or in /usr/lib/jvm"

func TestWhichJava(t *testing.T) {
	dir := t.TempDir()
	new, old := filepath.Join(dir, "jvm/new"), filepath.Join(dir, "jvm/old")
	script(t, new+"/bin/java", `echo 'openjdk version "25.0.1" 2025-10-21' >&2`)
	script(t, old+"/bin/java", `echo 'openjdk version "11.0.22" 2024-01-16' >&2`)
	ancient := script(t, filepath.Join(dir, "bin/java"), `echo 'java version "1.8.0_392"' >&2`)
	for _, c := range []struct {
		name, path, home, jvms string
		want, problem          string
	}{
		{"the first that fits", filepath.Dir(ancient), "", dir + "/jvm", old + "/bin/java", ""},
		{"JAVA_HOME counts alone", filepath.Dir(ancient), new, dir + "/jvm", "", "JAVA_HOME is " + new + ": the Java there is version 25" + javaHint},
		{"JAVA_HOME is nowhere", "", dir + "/x", dir + "/jvm", "", "JAVA_HOME is " + dir + "/x: there is no Java" + javaHint},
		{"too old", filepath.Dir(ancient), "", dir + "/x", "", "the Java there is version 8" + javaHint},
		{"none", "", "", dir + "/x", "", "there is no Java" + javaHint},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("PATH", c.path)
			got, err := cassandrajars.FindJava(t.Context(), c.home, c.jvms)
			if got != c.want || asProblem(err) != c.problem {
				t.Errorf("%s %v", got, err)
			}
		})
	}
}

// fakeJava is a Java by its name, so that what comes after it can be tested where there is none.
func fakeJava(t *testing.T) {
	t.Helper()
	home := filepath.Join(t.TempDir(), "java")
	script(t, home+"/bin/java", `echo 'openjdk version "17.0.15" 2025-04-15' >&2`)
	t.Setenv("JAVA_HOME", home)
}

func TestWithoutMaven(t *testing.T) {
	fakeJava(t)
	jars := filepath.Join(t.TempDir(), "jars")
	t.Setenv("PATH", "")
	err := fetch(t.Context(), jars, nil)
	want := "Cassandra's jars are not in " + jars + ", and mvn, which fetches them from Maven Central, is missing (Debian: apt-get install maven); a copy of that folder from another machine will do as well"
	if got := asProblem(err); got != want {
		t.Errorf("%v", err)
	}
}

// A fetch is whole or leaves nothing behind, and what is there is not fetched.
func TestFetch(t *testing.T) {
	fakeJava(t)
	dir := t.TempDir()
	jars := filepath.Join(dir, "cache/jars")
	t.Setenv("PATH", dir+"/bin:"+os.Getenv("PATH"))
	t.Setenv(cassandrajars.Variable, jars)

	script(t, dir+"/bin/mvn", `echo '[ERROR] Plugin x or one of its dependencies could not be resolved: Could not transfer artifact a:b:1 from/to central (https://repo.example): Connection refused -> [Help 1]'; exit 1`)
	err := fetch(t.Context(), "", nil)
	want := "Cassandra's jars could not be fetched from Maven Central: Could not transfer artifact a:b:1 from/to central (https://repo.example): Connection refused; they are needed once, in " + jars
	if got := asProblem(err); !strings.HasPrefix(got, want) {
		t.Errorf("%v", err)
	}

	// It takes some jars, and is interrupted.
	fetching := `for a; do case $a in -DoutputDirectory=*) out=${a#*=};; esac; done; echo jar >"$out/cassandra-all-` + cassandrajars.Version + `.jar"; echo jar >"$out/jamm-0.4.0.jar"`
	script(t, dir+"/bin/mvn", fetching+`; echo '[INFO] Downloaded from central: https://repo.example/x.jar (67 MB at 1 MB/s)'; sleep 600`)
	ctx, cancel := context.WithCancel(t.Context())
	err = fetch(ctx, "", func(text string) {
		if strings.Contains(text, "1 jars, 67 MB so far") {
			cancel()
		}
	})
	if err != context.Canceled {
		t.Errorf("interrupted: %v", err)
	}
	if left := names(t, filepath.Dir(jars)); !cmp.Equal(left, []string{"jars.lock"}) {
		t.Errorf("an interrupted fetch leaves %v", left)
	}

	script(t, dir+"/bin/mvn", fetching+`; echo 'what was fetched' >"$out/mark"`)
	if err := fetch(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	script(t, dir+"/bin/mvn", "exit 1")
	if err := fetch(t.Context(), "", nil); err != nil {
		t.Errorf("it fetches again: %v", err)
	}
	if got := names(t, jars); len(got) != 3 {
		t.Errorf("the cache holds %v", got)
	}
	if err := os.Remove(filepath.Join(jars, "jamm-0.4.0.jar")); err != nil {
		t.Fatal(err)
	}
	if err := fetch(t.Context(), "", nil); !strings.HasSuffix(asProblem(err), "take it away, and they are fetched") {
		t.Errorf("a cache that is not whole: %v", err)
	}
}

func TestMavenWithoutItsMirror(t *testing.T) {
	if os.Getenv("CANOPY_ENGINES") != "required" && !available("mvn") {
		t.Skip("mvn is missing (Debian: apt-get install maven)")
	}
	home := t.TempDir()
	if err := os.MkdirAll(home+"/.m2", 0o755); err != nil {
		t.Fatal(err)
	}
	dead := `<settings><localRepository>` + home + `/repository</localRepository><mirrors><mirror><id>dead</id><mirrorOf>*</mirrorOf><url>http://127.0.0.1:1/</url></mirror></mirrors></settings>`
	if err := os.WriteFile(home+"/.m2/settings.xml", []byte(dead), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MAVEN_OPTS", "-Duser.home="+home)
	jars := filepath.Join(home, "jars")
	err := fetch(t.Context(), jars, nil)
	text := asProblem(err)
	if strings.Contains(text, "there is no Java") {
		if os.Getenv("CANOPY_ENGINES") != "required" {
			t.Skip(err)
		}
	}
	for _, part := range []string{"Cassandra's jars could not be fetched from Maven Central: Could not transfer artifact ", "127.0.0.1:1", "; they are needed once, in " + jars + ": a network, "} {
		if !strings.Contains(text, part) {
			t.Errorf("%v: it does not say %q", err, part)
		}
	}
}

func available(name string) bool {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func fetch(ctx context.Context, dir string, say func(string)) error {
	_, err := cassandrajars.Fetch(ctx, dir, func(format string, args ...any) {
		if say != nil {
			say(fmt.Sprintf(format, args...))
		}
	})
	return err
}

// asProblem is what the user is told who can mend it; empty for another error.
func asProblem(err error) string {
	var p *config.Problem
	if errors.As(err, &p) {
		return p.Error()
	}
	return ""
}

func TestPomSaysTheVersionOfTheCache(t *testing.T) {
	if !bytes.Contains(cassandrajars.Pom, []byte("<artifactId>cassandra-all</artifactId>\n      <version>"+cassandrajars.Version+"</version>")) {
		t.Errorf("the jars are kept as those of %s, and pom.xml asks for others:\n%s", cassandrajars.Version, cassandrajars.Pom)
	}
}
