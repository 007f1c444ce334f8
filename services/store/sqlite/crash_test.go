package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store/sqlite"
)

// childFile is the environment variable that makes the test binary a child of TestKill: the file to write.
const childFile = "CANOPY_SQLITE_TEST_FILE"

// perBatch is how many posts and progress notes the child makes at once.
const perBatch = 7

// applyForever applies posts 1, 2, 3 … after those that are there, and prints the last seq of each batch once it
// is applied. It ends by being killed.
func applyForever(path string) {
	ctx := context.Background()
	m, err := sqlite.OpenMessages(ctx, path)
	if err != nil {
		die(err)
	}
	seq, err := m.Progress(ctx, 0)
	if err != nil {
		die(err)
	}
	for {
		batch := make([]event.Stored, 0, perBatch)
		for range perBatch {
			seq++
			batch = append(batch, aPost("c", seq, bodyOf(seq)))
		}
		if err := m.Apply(ctx, batch); err != nil {
			die(err)
		}
		if err := m.NoteProgress(ctx, 0, seq); err != nil {
			die(err)
		}
		fmt.Println(seq)
	}
}

func die(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// bodyOf is long enough that a batch fills some pages.
func bodyOf(seq chat.Seq) string {
	return strings.Repeat(fmt.Sprintf("message %d ", seq), 1+int(seq%50))
}

// TestKill kills a writer with SIGKILL at any moment of its work, and expects everything that it reported.
func TestKill(t *testing.T) {
	path := newPath(t)
	for round := range 5 {
		reported := runAndKill(t, path, 3+round*5)
		ctx := context.Background()
		m, err := sqlite.OpenMessages(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		noted, err := m.Progress(ctx, 0)
		if err != nil || noted < reported {
			t.Errorf("progress is %d, %v; %d was reported", noted, err, reported)
		}
		for seq := chat.Seq(1); seq <= max(noted, reported); seq++ {
			if got, err := m.Message(ctx, "c", seq); err != nil || got.Body != bodyOf(seq) {
				t.Fatalf("message %d of %d after the kill: %q, %v", seq, reported, got.Body, err)
			}
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSeveralProcessesShareAFile lets processes make one new file at once, write to it at once, and die.
func TestSeveralProcessesShareAFile(t *testing.T) {
	path := newPath(t)
	var reported [3]chat.Seq
	var wg sync.WaitGroup
	for i := range reported {
		wg.Go(func() { reported[i] = runAndKill(t, path, 10) })
	}
	wg.Wait()
	m := openMessages(t, path)
	for seq := chat.Seq(1); seq <= slices.Max(reported[:]); seq++ {
		if got, err := m.Message(context.Background(), "c", seq); err != nil || got.Body != bodyOf(seq) {
			t.Fatalf("message %d of %v: %q, %v", seq, reported, got.Body, err)
		}
	}
}

// runAndKill kills a child after it has reported some batches, and returns the last seq that it reported.
func runAndKill(t *testing.T, path string, batches int) chat.Seq {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childFile+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Error(err)
		return 0
	}
	if err := child.Start(); err != nil {
		t.Error(err)
		return 0
	}
	var last uint64
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if last, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Error(err)
		}
		if n == batches {
			if err := child.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := child.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
	if last == 0 {
		t.Error("the child reported nothing")
	}
	return chat.Seq(last)
}
