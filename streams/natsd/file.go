package natsd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/canopychat/canopy/streams"
)

// readFile makes options of a configuration file of nats-server. The file says everything about the server, so that
// the official binary runs it as well; what is changed here is only what a server inside another process needs: signals
// and log lines are the process's. What the file says about logs is therefore not followed. The error has one line.
func readFile(path, domain string) (opts *server.Options, err error) {
	defer func() {
		if broken := recover(); broken != nil { // the parser panics where it finds itself to be wrong
			opts, err = nil, fmt.Errorf("%s: %v", path, broken)
		}
	}()
	opts, err = server.ProcessConfigFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", path, strings.Join(strings.Fields(err.Error()), " "))
	}
	if err := fits(opts, domain); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	opts.NoSigs = true
	opts.DisableJetStreamBanner = true
	if opts.ReconnectErrorReports == 0 {
		opts.ReconnectErrorReports = reconnectReports
	}
	return opts, nil
}

// fits reports what Canopy could not work with.
func fits(opts *server.Options, domain string) error {
	switch {
	case !opts.JetStream:
		return errors.New("it has no jetstream { }")
	case opts.JetStreamDomain != domain:
		return fmt.Errorf("its jetstream domain is %q and must be %q", opts.JetStreamDomain, domain)
	case opts.StoreDir == "":
		return errors.New("its jetstream { } has no store_dir: streams would be in a folder that the system empties")
	case !slices.ContainsFunc(opts.Accounts, func(a *server.Account) bool { return a.Name == streams.AccountApp }):
		return fmt.Errorf("it has no account %s", streams.AccountApp)
	case opts.NoAuthUser != "":
		return errors.New("its no_auth_user lets everybody in")
	}
	return nil
}

func hubFits(opts *server.Options) error {
	if opts.LeafNode.Port == 0 {
		return errors.New("leaf nodes cannot connect: it has no leafnodes { listen }")
	}
	return nil
}

func leafFits(opts *server.Options) error {
	if !slices.ContainsFunc(opts.LeafNode.Remotes, func(r *server.RemoteLeafOpts) bool { return r.LocalAccount == streams.AccountApp }) {
		return fmt.Errorf("it has no link to the hub: no leafnodes { remotes } of the account %s", streams.AccountApp)
	}
	return nil
}

// firstLogin is the first user of an account in a file by whom this process can log in: not a key, not a password that
// is hashed, nobody who may come by another way only. An empty Login: there is none.
func firstLogin(opts *server.Options, account string) Login {
	for _, u := range opts.Users {
		standard := len(u.AllowedConnectionTypes) == 0
		if _, named := u.AllowedConnectionTypes["STANDARD"]; named {
			standard = true
		}
		hashed := strings.HasPrefix(u.Password, "$2") // bcrypt
		if standard && !hashed && u.Password != "" && u.Account != nil && u.Account.Name == account {
			return Login{User: u.Username, Password: u.Password}
		}
	}
	return Login{}
}

// How a member of a cluster stops.
const (
	handOver      = 10 * time.Second       // for giving its streams to others; then it stops all the same
	closeClients  = time.Second            // over which its clients are sent away
	beforeClients = 200 * time.Millisecond // between the word that it stops and the first who is sent away
)

// yield gives the streams that this server leads to other members, so that nobody waits for an election (nats.md §9).
// A server that is alone has nobody to give them to.
func yield(srv *server.Server) {
	if !srv.JetStreamIsClustered() {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.LameDuckShutdown()
	}()
	timer := time.NewTimer(handOver)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		srv.Shutdown() // it ends the other as well
		<-done
	}
}
