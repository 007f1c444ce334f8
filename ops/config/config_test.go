package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/ops/config"
)

func file(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "canopy.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, s config.Sources) config.Config {
	t.Helper()
	c, err := config.Load(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPrecedence(t *testing.T) {
	path := file(t, `
		edge { heartbeat: "10s", max_sockets: 7 }   # from the file
		region: eu1
		listen: 127.0.0.1:9000
	`)
	env := []string{"CANOPY_EDGE_HEARTBEAT=20s", "CANOPY_REGION=eu2", "CANOPY_LOG_LEVEL=", "CANOPY_PORT=tcp://10.0.0.1:80", "CANOPY_HUB_SYNC_ALWAYS=true"}
	c := load(t, config.Sources{File: path, Env: env, Flags: []config.Flag{{Name: "--region", Key: "region", Value: "eu3"}}})

	want := config.Default(config.Together)
	want.Region = "eu3"                    // flag > env > file
	want.Edge.Heartbeat = 20 * time.Second // env > file
	want.Edge.MaxSockets = 7               // file > default
	want.Listen = "127.0.0.1:9000"
	want.Hub.SyncAlways = true
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

func TestZeroValueIsUsable(t *testing.T) {
	if err := (config.Config{}).Check(); err != nil {
		t.Error(err)
	}
	for _, layout := range []config.Layout{config.Together, config.Apart} {
		if err := config.Default(layout).Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestPorts(t *testing.T) {
	together, apart := config.Default(config.Together), config.Default(config.Apart)
	for _, address := range []string{together.Hub.Listen, together.Hub.LeafListen, together.Leaf.Listen} {
		if address != "127.0.0.1:0" {
			t.Errorf("together, a server listens at %s", address)
		}
	}
	got := []string{apart.Hub.Listen, apart.Hub.LeafListen, apart.Hub.Monitor, apart.Leaf.Listen, apart.Hub.URL, apart.Leaf.HubURL, apart.Leaf.URL, apart.Listen, apart.Edge.Listen}
	want := []string{"127.0.0.1:4222", "127.0.0.1:7422", "127.0.0.1:8222", "127.0.0.1:4223",
		"nats://127.0.0.1:4222", "nats-leaf://127.0.0.1:7422", "nats://127.0.0.1:4223", "127.0.0.1:8080", "127.0.0.1:8081"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	moved := config.Config{Hub: config.Hub{Listen: "0.0.0.0:5222"}}.WithDefaults(config.Apart)
	if moved.Hub.URL != "nats://127.0.0.1:5222" {
		t.Errorf("a hub that listens elsewhere is looked for at %s", moved.Hub.URL)
	}
}

func TestFileSyntax(t *testing.T) {
	c := load(t, config.Sources{File: file(t, `
		// the syntax of NATS: comments, sizes, lists, variables
		ROOM = 2GB
		data = "/srv/canopy data"
		hub { max_store: 10GB, sync_always: yes }
		streams { max_bytes: $ROOM; max_age: "48h" }
		edge { allowed_origins: ["https://chat.example.org", "http://localhost:3000"], ring_bytes: 1mb }
		LOG_LEVEL: debug
	`)})
	got := []any{c.Data, c.Hub.MaxStore, c.Hub.SyncAlways, c.Streams.MaxBytes, c.Streams.MaxAge, c.Edge.AllowedOrigins, c.Edge.RingBytes, c.LogLevel}
	want := []any{"/srv/canopy data", int64(10 << 30), true, int64(2 << 30), 48 * time.Hour,
		[]string{"https://chat.example.org", "http://localhost:3000"}, 1 << 20, "debug"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What is wrong in a file is said in one line that begins with the file and, where the parser tells it, the line.
func TestFileProblems(t *testing.T) {
	for text, want := range map[string]string{
		"listen: \"127.0.0.1:80\"\nfoo: 1":              `FILE:2: there is no setting "foo"; canopy up --print-config shows them all`,
		"lisden: \"127.0.0.1:80\"":                      `FILE:1: there is no setting "lisden"; is it "listen"?`,
		"\nedge {\n  heartbeet: \"1s\"\n}":              `FILE:3: there is no setting "edge.heartbeet"; is it "edge.heartbeat"?`,
		"edge: 5":                                       `FILE:1: edge: it wants a section, edge { … }, not 5`,
		"hub { edge { listen: x } }":                    `FILE:1: there is no setting "hub.edge"; canopy up --print-config shows them all`,
		"listen: 8080":                                  `FILE:1: listen: it wants a text, not 8080`,
		"listen: localhost":                             `FILE:1: listen: "localhost" is not host:port, such as 127.0.0.1:8080`,
		"admin: \"127.0.0.1:99999\"":                    `FILE:1: admin: "127.0.0.1:99999" is not host:port, such as 127.0.0.1:8080`,
		"empty: maybe":                                  `FILE:1: empty: it wants true or false, not the text "maybe"`,
		"edge {\n\n heartbeat: 30 }":                    `FILE:3: edge.heartbeat: it wants a time with its unit, such as "30s" or "72h", not 30`,
		"edge { heartbeat: \"-1s\" }":                   `FILE:1: edge.heartbeat: it wants a time with its unit, such as "30s" or "72h", not "-1s"`,
		"edge { max_sockets: 1.5 }":                     `FILE:1: edge.max_sockets: it wants a whole number, not 1.5`,
		"edge { max_sockets: -1 }":                      `FILE:1: edge.max_sockets: it may not be negative`,
		"edge { allowed_origins: \"https://a\" }":       `FILE:1: edge.allowed_origins: it wants a list, such as ["a", "b"], not the text "https://a"`,
		"edge { allowed_origins: [\"https://a/b\"] }":   `FILE:1: edge.allowed_origins: "https://a/b" is not an origin: https://host or https://host:port, and nothing after it`,
		"region: hub":                                   `FILE:1: region: a region is 1 to 26 of the characters 0-9 and a-z, and not "hub"`,
		"region: \"eu.1\"":                              `FILE:1: region: a region is 1 to 26 of the characters 0-9 and a-z, and not "hub"`,
		"log_level: loud":                               `FILE:1: log_level: "loud" is none of debug, info, warn, error`,
		"hub { url: \"http://u:secret@h\" }":            `FILE:1: hub.url: it wants nats://host:port or tls://host:port, several with commas between`,
		"leaf { hub_url: \"nats://u:secret@\" }":        `FILE:1: leaf.hub_url: it wants nats-leaf://host:port or tls://host:port, several with commas between`,
		"streams { replicas: 6 }":                       `FILE:1: streams.replicas: it is 1 to 5; 3 is usual for a cluster`,
		"data: \"a\\x00b\"":                             `FILE:1: data: a path holds no NUL`,
		"edge { tls_cert: a.pem }":                      `edge.tls_cert and edge.tls_key: one needs the other`,
		"streams { max_age: \"1h\", dedup_window: 2h }": `streams.dedup_window: 2h0m0s is longer than streams.max_age, 1h0m0s`,
		"streams { dedup_window: 1ms }":                 `streams.dedup_window and streams.max_age: at least 100ms, says the NATS server`,
		"data: /":                                       `data: the root folder is not a folder for data`,
		"edge {":                                        `FILE:1: Unexpected EOF processing map`,
		"a: \"b":                                        ``, // whatever the parser says: one line, with the file
		"listen: [":                                     ``,
		"listen: $NOWHERE":                              `FILE: variable reference for 'NOWHERE' on line 1 can not be found`,
	} {
		path := file(t, text)
		_, err := config.Load(config.Sources{File: path})
		var problem *config.Problem
		if !errors.As(err, &problem) {
			t.Errorf("%q: not a problem: %v", text, err)
			continue
		}
		got := strings.ReplaceAll(err.Error(), filepath.ToSlash(path), "FILE")
		if want != "" && got != want || want == "" && !strings.HasPrefix(got, "FILE") {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
		if strings.ContainsAny(got, "\n\r") || strings.Contains(got, "secret") {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestOtherProblems(t *testing.T) {
	for want, s := range map[string]config.Sources{
		"config file nowhere.conf: no such file or directory":                                      {File: "nowhere.conf"},
		`CANOPY_EDGE_HEARTBEAT: it wants a time with its unit, such as "30s" or "72h", not "soon"`: {Env: []string{"CANOPY_EDGE_HEARTBEAT=soon"}},
		`CANOPY_HUB_MAX_STORE: "lots" is not a whole number, such as 1000 or 10GB`:                 {Env: []string{"CANOPY_HUB_MAX_STORE=lots"}},
		`CANOPY_EMPTY: "perhaps" is not true or false`:                                             {Env: []string{"CANOPY_EMPTY=perhaps"}},
		`--set: there is no setting "edge.hartbeat"; is it "edge.heartbeat"?`:                      {Flags: []config.Flag{{Name: "--set", Key: "edge.hartbeat", Value: "1s"}}},
		`--listen: "x" is not host:port, such as 127.0.0.1:8080`:                                   {Flags: []config.Flag{{Name: "--listen", Key: "listen", Value: "x"}}},
	} {
		_, err := config.Load(s)
		var problem *config.Problem
		if !errors.As(err, &problem) || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func TestSizesMeanTheSameEverywhere(t *testing.T) {
	for _, size := range []string{"1000", "1k", "1kb", "2KiB", "3m", "3MB", "1g", "2GiB", "1t"} {
		text := load(t, config.Sources{Env: []string{"CANOPY_HUB_MAX_STORE=" + size}}).Hub.MaxStore
		filed := load(t, config.Sources{File: file(t, "hub { max_store: "+size+" }")}).Hub.MaxStore
		if text != filed || text == 0 {
			t.Errorf("%s is %d in the environment and %d in a file", size, text, filed)
		}
	}
}

// What is printed is a file that says the same, without the passwords.
func TestPrint(t *testing.T) {
	c := config.Default(config.Apart)
	c.Data = `C:\data "x"`
	c.Edge.AllowedOrigins = []string{"https://a", "https://b:8443"}
	c.Streams.MaxBytes = 12345
	c.Auth.TokenLife = 90 * time.Minute
	var text strings.Builder
	if err := c.Print(&text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, load(t, config.Sources{File: file(t, text.String())})); diff != "" {
		t.Errorf("%s\n%s", text.String(), diff)
	}
	c.Hub.URL = "nats://user:secret@a:1, nats://secrettoken@b:2"
	c.Leaf.HubURL = "nats-leaf://user:secret@c:3"
	text.Reset()
	if err := c.Print(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "secret") {
		t.Errorf("a password is shown:\n%s", text.String())
	}
}

func FuzzFile(f *testing.F) {
	for _, seed := range []string{"", "listen: \"a:1\"", "edge { heartbeat: 1s }", "}", "{", "a: [1, {b: c}]", "include x", "$a: $b", "x: 2024-01-01T00:00:00Z", "edge { edge { } }"} {
		f.Add(seed)
	}
	path := filepath.Join(f.TempDir(), "canopy.conf")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "include") {
			t.Skip("it would read other files")
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(config.Sources{File: path})
		var problem *config.Problem
		if err != nil && (!errors.As(err, &problem) || strings.ContainsAny(err.Error(), "\n\r")) {
			t.Errorf("%q: %q", text, err)
		}
	})
}
