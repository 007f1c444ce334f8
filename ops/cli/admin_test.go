package cli_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/cli"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/accounts"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/rpc"
	"github.com/canopychat/canopy/streams/streamstest"
)

// plain keeps passwords as they are, signs nothing, and counts its keys in the store.
type plain struct{ db *sqlite.Directory }

func (plain) Hash(_ context.Context, password string) (string, error) {
	return "plain " + password, nil
}

func (plain) Issue(_ context.Context, user chat.UserID) (token.Issued, error) {
	return token.Issued{Token: "token-of-" + string(user)}, nil
}

func (p plain) Rotate(ctx context.Context) (string, error) {
	keys, err := p.db.SigningKeys(ctx)
	if err != nil {
		return "", err
	}
	key := store.SigningKey{ID: string(rune('1' + len(keys))), Seed: make([]byte, 32), CreatedAt: time.Unix(int64(len(keys)), 0)}
	return key.ID, p.db.AddKey(ctx, key)
}

// office is a deployment whose hub answers operators.
type office struct {
	t    *testing.T
	db   *sqlite.Directory
	data string
}

func openOffice(t *testing.T) *office {
	t.Helper()
	c := streamstest.StartWith(t, streamstest.Options{})
	db, err := sqlite.OpenDirectory(t.Context(), filepath.Join(t.TempDir(), "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	conn, err := bus.Dial(bus.DialConfig{URL: c.HubURL(), Role: "api", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	publisher := publish.New(conn, publish.Config{})
	relay := directory.NewRelay(directory.RelayConfig{
		Outbox: db, Log: directory.Hub{Publisher: publisher, Reader: bus.NewLog(conn)}, Poll: 5 * time.Millisecond, Logger: quiet,
	})
	dir, err := directory.New(directory.Config{Store: db, Shards: streams.Shards, Relay: relay})
	if err != nil {
		t.Fatal(err)
	}
	people, err := accounts.New(accounts.Config{Store: db, Directory: dir, Hasher: plain{}, PublicURL: "https://chat.example", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	admin := accounts.NewAdmin(people, plain{}, plain{db})
	service := rpc.Service{Name: streams.ServiceAdmin, Version: streams.AdminVersion, Methods: map[streams.Method]rpc.Handler{
		streams.AdminUsers: rpc.Answer(admin.Users), streams.AdminUser: rpc.Answer(admin.User),
		streams.AdminWorkspaces: rpc.Answer(admin.Workspaces), streams.AdminWorkspace: rpc.Answer(admin.Workspace),
		streams.AdminMember: rpc.Answer(admin.Member), streams.AdminInvite: rpc.Answer(admin.Invite),
		streams.AdminToken: rpc.Answer(admin.Token), streams.AdminKeys: rpc.Answer(admin.Keys),
	}}
	ctx, stop := context.WithCancel(context.Background())
	parts := []func(context.Context) error{publisher.Run, relay.Run, func(ctx context.Context) error {
		return rpc.Serve(ctx, conn.NATS(), service, quiet)
	}}
	ended := make(chan error, len(parts))
	for _, run := range parts {
		go func() { ended <- run(ctx) }()
	}
	t.Cleanup(func() {
		stop()
		for range parts {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		conn.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	o := &office{t: t, db: db, data: t.TempDir()}
	if err := (config.RunFile{NATS: config.RunNATS{Hub: c.HubURL()}}).Write(o.data); err != nil {
		t.Fatal(err)
	}
	answers := func() bool {
		_, err := o.db.ListUsers(ctx, "", 1)
		code, _, _ := command{}.run("user", "ls", "--data", o.data)
		return err == nil && code == 0
	}
	for i := 0; !answers(); i++ {
		if i == 100 {
			t.Fatal("nobody answers operators")
		}
	}
	return o
}

// run runs a command that must end with a code, and returns what it printed.
func (o *office) run(code int, args ...string) (stdout, stderr string) {
	o.t.Helper()
	got, stdout, stderr := command{}.run(append(args, "--data", o.data)...)
	if got != code {
		o.t.Fatalf("%v: %d, not %d\n%s%s", args, got, code, stdout, stderr)
	}
	return stdout, stderr
}

// object runs a command with --json and reads its one line.
func (o *office) object(args ...string) map[string]any {
	o.t.Helper()
	stdout, _ := o.run(0, append(args, "--json")...)
	var value map[string]any
	if err := json.Unmarshal([]byte(stdout), &value); err != nil || strings.Count(stdout, "\n") != 1 {
		o.t.Fatalf("%v: %v\n%s", args, err, stdout)
	}
	return value
}

func (o *office) password(login string) string {
	o.t.Helper()
	_, hash, err := o.db.Credentials(o.t.Context(), login)
	if err != nil {
		o.t.Fatal(err)
	}
	return strings.TrimPrefix(hash, "plain ")
}

func TestOperatorsLookAfterUsers(t *testing.T) {
	o := openOffice(t)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("correct horse\r\nand more\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ada := o.object("user", "add", "ada", "--name", "Ada Lovelace", "--password-file", file)
	if ada["display_name"] != "Ada Lovelace" || ada["password"] != nil || o.password("ada") != "correct horse" {
		t.Errorf("made %v with %q", ada, o.password("ada"))
	}
	stdout, _ := o.run(0, "user", "add", "grace", "--generate")
	made := regexp.MustCompile(`^grace  [0-9a-z]{26}\npassword  (\w{20,})\n$`).FindStringSubmatch(stdout)
	if made == nil || o.password("grace") != made[1] {
		t.Errorf("made %q with %q", stdout, o.password("grace"))
	}
	o.run(0, "user", "add", "bot", "--no-password")
	if got := o.password("bot"); got != "" {
		t.Errorf("the bot has the password %q", got)
	}
	id := ada["user_id"].(string)
	if again := o.object("user", "show", id); again["login"] != "ada" {
		t.Errorf("by its id it is %v", again)
	}
	stdout, _ = o.run(0, "user", "ls")
	if lines := strings.Split(stdout, "\n"); len(lines) != 5 || !regexp.MustCompile(`^LOGIN +NAME +ACCOUNT +MADE +ID$`).MatchString(lines[0]) ||
		!regexp.MustCompile(`^ada +Ada Lovelace +open +[-0-9]+ [0-9:]+ +`+id+`$`).MatchString(lines[1]) {
		t.Errorf("the list is\n%s", stdout)
	}
	for _, sid := range []token.SignInID{"s1", "s2"} {
		err := o.db.AddSignIn(t.Context(), store.SignIn{ID: sid, UserID: chat.UserID(id), Device: "phone", CreatedAt: time.Now(), UsedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}, store.Secret{sid[1]})
		if err != nil {
			t.Fatal(err)
		}
	}
	if stdout, _ = o.run(0, "user", "sessions", "ada"); strings.Count(stdout, "\n") != 3 || !strings.Contains(stdout, "phone") {
		t.Errorf("the sign-ins are\n%s", stdout)
	}
	if stdout, _ = o.run(0, "user", "revoke", "ada", "s1"); stdout != "1 sign-in of ada ended\n" {
		t.Error(stdout)
	}
	o.run(0, "user", "passwd", "ada", "--generate")
	if got := o.password("ada"); got == "correct horse" {
		t.Error("the password is what it was")
	}
	if closed := o.object("user", "deactivate", "ada"); closed["deactivated"] != true {
		t.Errorf("closed: %v", closed)
	}
	if stdout, _ = o.run(0, "user", "activate", "ada"); stdout != "ada is open\n" {
		t.Error(stdout)
	}
}

func TestOperatorsLookAfterWorkspaces(t *testing.T) {
	o := openOffice(t)
	for _, login := range []string{"ada", "grace"} {
		o.run(0, "user", "add", login, "--no-password")
	}
	ws := o.object("workspace", "add", "Oak", "--owner", "ada")["workspace_id"].(string)
	in := func(args ...string) []string { return append(append([]string{"workspace"}, args...), "-w", ws) }
	if renamed := o.object(in("rename", "Elm")...); renamed["name"] != "Elm" {
		t.Errorf("renamed: %v", renamed)
	}
	if stdout, _ := o.run(0, in("add-member", "grace", "--role", "admin")...); stdout != "grace is admin of "+ws+"\n" {
		t.Error(stdout)
	}
	if stdout, _ := o.run(0, in("members", "--json")...); strings.Count(stdout, "\n") != 2 || !strings.Contains(stdout, `"login":"grace","display_name":"grace","role":"admin"`) {
		t.Errorf("the members are\n%s", stdout)
	}
	if member := o.object(in("role", "grace", "guest")...); member["role"] != "guest" {
		t.Errorf("she is %v", member)
	}
	if stdout, _ := o.run(0, in("remove-member", "grace")...); stdout != "grace is no member of "+ws+"\n" {
		t.Error(stdout)
	}
	stdout, _ := o.run(0, in("invite", "--email", "alan@example.com", "--uses", "3", "--expires", "1h")...)
	if !regexp.MustCompile(`^https://chat.example/invites/[0-9a-z]{26}\n`).MatchString(stdout) || !strings.Contains(stdout, "hand the link over") {
		t.Errorf("the invite is\n%s", stdout)
	}
	if stdout, _ := o.run(0, "workspace", "ls"); strings.Count(stdout, "\n") != 2 || !strings.Contains(stdout, ws+"  Elm") {
		t.Errorf("the workspaces are\n%s", stdout)
	}
	ada := o.object("user", "show", "ada")
	if stdout, _ := o.run(0, "token", "issue", "ada"); stdout != "token-of-"+ada["user_id"].(string)+"\n" {
		t.Error(stdout)
	}
	o.run(0, "token", "rotate-keys")
	if stdout, _ := o.run(0, "token", "rotate-keys"); !regexp.MustCompile(`\n2 +sign, verify .*\n1 +verify .*\n$`).MatchString(stdout) {
		t.Errorf("the keys are\n%s", stdout)
	}
	if stdout, _ := o.run(0, "token", "keys", "--json"); !strings.HasPrefix(stdout, `{"kid":"2",`) || strings.Count(stdout, "\n") != 2 {
		t.Errorf("the keys are\n%s", stdout)
	}
}

func TestMistakesOfOperators(t *testing.T) {
	o := openOffice(t)
	o.run(0, "user", "add", "ada", "--no-password")
	ws := o.object("workspace", "add", "Oak", "--owner", "ada")["workspace_id"].(string)
	o.run(0, "workspace", "add", "Elm", "--owner", "ada") // with one workspace, that one is meant
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("1234567\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"user show nobody":                                 `there is no account "nobody"`,
		"user show 0123456789abcdefghjkmnpqrs":             "there is no account",
		"user show A/B":                                    "is neither a login nor the id",
		"user add ada --no-password":                       "this login is taken",
		"user add new":                                     "--password-file FILE, or --generate",
		"user add new --password-file " + short:            "a password is 8 to 128 bytes",
		"user add new --password-file /nowhere":            "/nowhere",
		"user add new --generate --password-file " + short: "--password-file and --generate",
		"user add new --no-password --generate":            "--no-password",
		"user passwd ada":                                  "--password-file FILE, or --generate",
		"user revoke ada":                                  "name one session, or give --all",
		"user revoke ada s1 --all":                         "name one session, or give --all",
		"user revoke ada s1":                               "has no sign-in",
		"user deactivate ada":                              "only owner",
		"workspace members":                                "which workspace?",
		"workspace members -w A":                           "--workspace: ",
		"workspace members -w n0where":                     "there is no workspace",
		"workspace role ada king -w " + ws:                 `"king" is not a role`,
		"workspace remove-member ada -w " + ws:             "a workspace keeps an owner",
		"workspace invite --role owner -w " + ws:           "administrators may invite",
		"workspace invite --uses 0 -w " + ws:               "--uses 1 or more",
		"workspace invite --channel A -w " + ws:            "--channel: ",
		"workspace add Oak":                                "--owner",
		"token issue nobody":                               "there is no account",
	} {
		_, stderr := o.run(2, strings.Fields(args)...)
		if !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %s", args, stderr)
		}
	}
	data := deployment(t, streamstest.Options{})
	if code, _, stderr := (command{}).run("user", "ls", "--data", data); code != 1 || !strings.Contains(stderr, "does not answer") {
		t.Errorf("where nobody answers: %d %s", code, stderr)
	}
}

func TestAPasswordComesFromStandardInput(t *testing.T) {
	o := openOffice(t)
	var out, problems output
	code := cli.Main([]string{"user", "add", "ada", "--password-file", "-", "--data", o.data}, cli.System{
		Stdin: strings.NewReader("correct horse\n"), Stdout: &out, Stderr: &problems,
	})
	if code != 0 || o.password("ada") != "correct horse" || strings.Contains(out.String()+problems.String(), "horse") {
		t.Errorf("%d %s%s, the password is %q", code, out.String(), problems.String(), o.password("ada"))
	}
}
