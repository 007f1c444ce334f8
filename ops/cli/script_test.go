package cli_test

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/canopychat/canopy/ops/cli"
	"github.com/canopychat/canopy/ops/config"
)

// TestMain makes canopy a command of the scripts: this test binary under another name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"canopy": func() {
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		os.Exit(cli.Main(os.Args[1:], cli.System{
			Program: os.Args[0], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Signals: signals, Exit: os.Exit,
		}))
	}})
}

// TestScripts plays what people type into terminals, and looks at what they see. Besides the commands of testscript there are
// those about terminals:
//
//	terminal NAME COMMAND...    NAME runs a command in a terminal of their own; it goes on in the background
//	types NAME LINE             NAME types a line there
//	sees NAME PATTERN [VAR...]  it shows, now or soon and after what was seen last, a match; its groups become variables
//	interrupts NAME             NAME presses Ctrl-C there
//	leaves NAME                 NAME types nothing more (Ctrl-D)
//	ends NAME [CODE]            the command there ends, now or soon, with this exit code (0)
//
// and about a deployment in the folder of the script:
//
//	until PATTERN COMMAND...    runs a command again and again, until its stdout has a match, which stands as that of exec
//	publishes SUBJECT TEXT      somebody publishes by hand
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			// The race detector would have each of the many commands wait for a second at its end.
			e.Vars = append(e.Vars, "TZ=UTC", "GORACE=atexit_sleep_ms=10")
			e.Values[terminals{}] = map[string]*terminal{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"terminal": open, "types": at((*terminal).types), "sees": at((*terminal).sees),
			"until": until, "publishes": publishes,
			"interrupts": at((*terminal).interrupts), "leaves": at((*terminal).leaves), "ends": at((*terminal).ends),
		},
	})
}

// patience is how long a slow machine may take for what is to be seen. Nothing that goes well waits for it.
const patience = time.Minute

// terminals is under what a script keeps its terminals, by who sits there.
type terminals struct{}

// terminal is where one command runs.
type terminal struct {
	ts    *testscript.TestScript
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   output
	seen  int           // bytes of out
	more  chan struct{} // holds one token
	ended chan struct{} // closed when the command has ended
}

// Write shows more.
func (w *terminal) Write(b []byte) (int, error) {
	n, err := w.out.Write(b)
	select {
	case w.more <- struct{}{}:
	default: // a token is there
	}
	return n, err
}

// open runs a command in a new terminal. The command ends with the script at the latest.
func open(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: terminal NAME COMMAND...")
	}
	all := ts.Value(terminals{}).(map[string]*terminal)
	w := &terminal{ts: ts, cmd: exec.Command(args[1], args[2:]...), more: make(chan struct{}, 1), ended: make(chan struct{})}
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	w.cmd.Path, w.cmd.Err, w.cmd.Dir = path, nil, ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "GORACE", "CANOPY_PASSWORD"} {
		w.cmd.Env = append(w.cmd.Env, name+"="+ts.Getenv(name))
	}
	w.cmd.Stdout, w.cmd.Stderr = w, w
	w.in, err = w.cmd.StdinPipe()
	ts.Check(err)
	ts.Check(w.cmd.Start())
	go func() {
		defer close(w.ended)
		_ = w.cmd.Wait() // ProcessState says how it ended
	}()
	ts.Defer(func() {
		_ = w.cmd.Process.Kill() // it may have ended
		<-w.ended
	})
	all[args[0]] = w
}

// at finds the terminal that a command is about.
func at(do func(*terminal, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, not bool, args []string) {
		all := ts.Value(terminals{}).(map[string]*terminal)
		if not || len(args) == 0 || all[args[0]] == nil {
			ts.Fatalf("whose terminal?")
		}
		do(all[args[0]], args[1:])
	}
}

func (w *terminal) types(words []string) {
	_, err := io.WriteString(w.in, strings.Join(words, " ")+"\n")
	w.ts.Check(err)
}

func (w *terminal) sees(args []string) {
	if len(args) == 0 {
		w.ts.Fatalf("usage: sees NAME PATTERN [VAR...]")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	w.ts.Check(err)
	var found []int
	shows := func() bool {
		found = pattern.FindStringSubmatchIndex(w.out.String()[w.seen:])
		return found != nil
	}
	w.until(shows)
	if found == nil && !shows() { // it may have ended with it
		w.ts.Fatalf("%s is not on the screen:\n%s\n-- seen until here --\n%s", args[0], w.out.String()[:w.seen], w.out.String()[w.seen:])
	}
	rest := w.out.String()[w.seen:]
	for i, name := range args[1:] {
		w.ts.Setenv(name, rest[found[2*i+2]:found[2*i+3]])
	}
	w.seen += found[1]
}

// until waits for something on the screen, or for the end of the command.
func (w *terminal) until(shows func() bool) {
	deadline := time.After(patience)
	for !shows() {
		select {
		case <-w.more:
		case <-w.ended:
			return
		case <-deadline:
			return
		}
	}
}

func (w *terminal) interrupts([]string) { w.ts.Check(w.cmd.Process.Signal(os.Interrupt)) }

func (w *terminal) leaves([]string) { w.ts.Check(w.in.Close()) }

func (w *terminal) ends(args []string) {
	want := 0
	if len(args) > 0 {
		code, err := strconv.Atoi(args[0])
		w.ts.Check(err)
		want = code
	}
	w.until(func() bool { return false })
	select {
	case <-w.ended:
	default:
		w.ts.Fatalf("it does not end:\n%s", w.out.String())
	}
	if code := w.cmd.ProcessState.ExitCode(); code != want {
		w.ts.Fatalf("it ended with %d:\n%s", code, w.out.String())
	}
}

// until runs a command until it says what is wanted.
func until(ts *testscript.TestScript, not bool, args []string) {
	if not || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND...")
	}
	wanted, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if out := ts.ReadFile("stdout"); wanted.MatchString(out) {
			return
		} else if time.Now().After(deadline) {
			ts.Fatalf("%v: %v\n%s%s", args, err, out, ts.ReadFile("stderr"))
		}
	}
}

// publishes puts something into the hub, and waits until that has it.
func publishes(ts *testscript.TestScript, not bool, args []string) {
	if not || len(args) != 2 {
		ts.Fatalf("usage: publishes SUBJECT TEXT")
	}
	r, err := config.ReadRunFile(ts.MkAbs("canopy-data"))
	ts.Check(err)
	nc, err := nats.Connect(r.NATS.Hub)
	ts.Check(err)
	defer nc.Close()
	_, err = nc.Request(args[0], []byte(args[1]), patience) // the stream's answer
	ts.Check(err)
}
