package ctl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams/bus"
)

// Query is what the user said about where the deployment is.
type Query struct {
	Context string              // name of a nats context; empty: none was named
	Data    string              // the data folder
	Named   bool                // the user named the folder; else it is the default one
	Env     func(string) string // os.Getenv
}

// Deployment is where the servers of a deployment are, and how they let one in.
type Deployment struct {
	From      string           // where that is written, for messages
	Workspace chat.WorkspaceID // of the first start; empty: not known

	login login
	stale bool // it may have been written by a process that has been killed since
}

// login is what a server wants to know, in the words of a nats context.
type login struct {
	URL      string `json:"url"`
	User     string `json:"user"`
	Password string `json:"password"`
	Token    string `json:"token"`
	Creds    string `json:"creds"`
	NKey     string `json:"nkey"`
	Cert     string `json:"cert"`
	Key      string `json:"key"`
	CA       string `json:"ca"`
}

// Find looks, in this order, at the nats context that was named; at run.json of the data folder that was named;
// at NATS_CONTEXT; at NATS_URL with NATS_CREDS, NATS_NKEY, NATS_USER, NATS_PASSWORD, NATS_CA, NATS_CERT and NATS_KEY;
// at run.json of the default data folder. The first that says something counts. The error is a *config.Problem.
func Find(q Query) (Deployment, error) {
	switch {
	case q.Context != "":
		return fromContext(q.Context, q.Env)
	case q.Named:
		return fromData(q.Data)
	case q.Env("NATS_CONTEXT") != "":
		return fromContext(q.Env("NATS_CONTEXT"), q.Env)
	case q.Env("NATS_URL") != "":
		return fromEnv(q.Env), nil
	}
	return fromData(q.Data)
}

func fromData(data string) (Deployment, error) {
	path := config.RunFilePath(data)
	run, err := config.ReadRunFile(data)
	if errors.Is(err, fs.ErrNotExist) {
		return Deployment{}, config.Problemf("no deployment runs here: there is no %s. Start one with canopy up, or name one with --data, --context or NATS_URL", path)
	}
	if err != nil {
		return Deployment{}, config.Problemf("%w", err)
	}
	d := Deployment{From: path, login: login{URL: run.NATS.Hub}, stale: true}
	if run.Workspace.ID != "" {
		if d.Workspace, err = chat.ParseWorkspaceID(run.Workspace.ID); err != nil {
			return Deployment{}, config.Problemf("%s is damaged: %w", path, err)
		}
	}
	return d, nil
}

func fromEnv(env func(string) string) Deployment {
	return Deployment{From: "NATS_URL", login: login{
		URL: env("NATS_URL"), User: env("NATS_USER"), Password: env("NATS_PASSWORD"), Creds: env("NATS_CREDS"),
		NKey: env("NATS_NKEY"), CA: env("NATS_CA"), Cert: env("NATS_CERT"), Key: env("NATS_KEY"),
	}}
}

// connectBudget is how long a deployment may take to let one in.
const connectBudget = 3 * time.Second

// Connect reaches the deployment. The caller closes the connection. The error says in one line what to do; it is a
// *config.Problem when the credentials are refused or cannot be read, and ctx's own when that ended.
func (d Deployment) Connect(ctx context.Context, log *slog.Logger) (*bus.Conn, error) {
	options, err := d.login.options()
	if err != nil {
		return nil, config.Problemf("%s: %w", d.From, err)
	}
	// A connection of bus goes on trying for ever and keeps to itself why. So the first attempt is a plain one.
	first, err := nats.Connect(d.login.URL, append(options, nats.Name("canopy ctl"), nats.Timeout(connectBudget), nats.NoReconnect())...)
	if err != nil {
		return nil, d.unreachable(err)
	}
	first.Close()
	conn, err := bus.Dial(bus.DialConfig{URL: d.login.URL, Role: "ctl", Logger: log, Login: options})
	if err != nil {
		return nil, d.unreachable(err)
	}
	waiting, cancel := context.WithTimeout(ctx, connectBudget)
	defer cancel()
	if err := conn.Ready(waiting); err != nil {
		conn.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, d.unreachable(err)
	}
	return conn, nil
}

func (d Deployment) unreachable(err error) error {
	where := d.Where()
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return config.Problemf("%s refuses the credentials of %s", where, d.From)
	case d.stale:
		return fmt.Errorf("%s is stale: nobody answers at %s. Start the deployment again with canopy up", d.From, where)
	}
	return fmt.Errorf("nobody answers at %s, which %s names: %w", where, d.From, err)
}

// Where is the deployment's address, without a password.
func (d Deployment) Where() string {
	parts := strings.Split(d.login.URL, ",")
	for i, part := range parts {
		if part = strings.TrimSpace(part); !strings.Contains(part, "://") {
			part = "nats://" + part // as nats.go reads it
		}
		parts[i] = config.Redact(part)
	}
	return strings.Join(parts, ",")
}

func (l login) options() ([]nats.Option, error) {
	var options []nats.Option
	if l.User != "" {
		options = append(options, nats.UserInfo(l.User, l.Password))
	}
	if l.Token != "" {
		options = append(options, nats.Token(l.Token))
	}
	if l.Creds != "" {
		if err := readable(l.Creds); err != nil {
			return nil, err
		}
		options = append(options, nats.UserCredentials(l.Creds))
	}
	if l.NKey != "" {
		option, err := nats.NkeyOptionFromSeed(l.NKey)
		if err != nil {
			return nil, fmt.Errorf("nkey: %w", err)
		}
		options = append(options, option)
	}
	if l.Cert != "" || l.Key != "" {
		options = append(options, nats.ClientCert(l.Cert, l.Key))
	}
	if l.CA != "" {
		options = append(options, nats.RootCAs(l.CA))
	}
	return options, nil
}
