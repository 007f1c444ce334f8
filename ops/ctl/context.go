package ctl

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/canopychat/canopy/ops/config"
)

// natsContext is a file of the nats command, as far as we know how to follow it.
type natsContext struct {
	login

	// Ways to be let in that need the nats command's own libraries.
	NSC        string `json:"nsc"`
	UserJWT    string `json:"user_jwt"`
	SocksProxy string `json:"socks_proxy"`
}

// fromContext reads <config>/nats/context/<name>.json, as `nats context add` writes it. Its JetStream domain is
// not looked at: streams of ours are always asked for in the hub's.
func fromContext(name string, env func(string) string) (Deployment, error) {
	if name != filepath.Base(name) || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
		return Deployment{}, config.Problemf("%.60q is not the name of a nats context", name)
	}
	path := filepath.Join(configHome(env), "nats", "context", name+".json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Deployment{}, config.Problemf("there is no nats context %q: %s does not exist; nats context ls shows what there is", name, path)
	}
	if err != nil {
		return Deployment{}, config.Problemf("nats context %q: %w", name, err)
	}
	var c natsContext
	if err := json.Unmarshal(text, &c); err != nil {
		return Deployment{}, config.Problemf("%s is not a nats context: %w", path, err)
	}
	switch {
	case c.URL == "":
		return Deployment{}, config.Problemf("the nats context %q has no url", name)
	case c.NSC != "", c.UserJWT != "", c.SocksProxy != "":
		return Deployment{}, config.Problemf("the nats context %q logs in by nsc, user_jwt or socks_proxy, which canopy cannot do; use creds", name)
	}
	for _, file := range []*string{&c.Creds, &c.NKey, &c.Cert, &c.Key, &c.CA} {
		*file = expandHome(*file, env)
	}
	return Deployment{From: "nats context " + name, login: c.login}, nil
}

// configHome is where programs keep their configuration (XDG Base Directory Specification).
func configHome(env func(string) string) string {
	if home := env("XDG_CONFIG_HOME"); home != "" {
		return home
	}
	return filepath.Join(env("HOME"), ".config")
}

// expandHome reads ~ as the nats command does.
func expandHome(path string, env func(string) string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(env("HOME"), rest)
	}
	return path
}

// readable says what is wrong with a file before a server's refusal would have to.
func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}
