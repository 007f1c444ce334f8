package plants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	module  = "github.com/canopychat/canopy"
	program = module + "/ops/cmd/canopy"
)

// ErrNoSource says that there is nothing to plant a bug in: a plant is an edit of the source, which a deployed program does not have.
var ErrNoSource = errors.New("a plant needs Canopy's source, and neither the working directory nor one above it is in it")

// SourceRoot is the folder of the module's go.mod, looked for from the working directory upwards. The error is ErrNoSource when there
// is none.
func SourceRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the source: %w", err)
	}
	for {
		is, err := isRoot(dir)
		if err != nil {
			return "", err
		}
		if is {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", ErrNoSource
		}
		dir = above
	}
}

func isRoot(dir string) (bool, error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find the source: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(first) == "module "+module, nil
}

// Build makes the program canopy with the bug in it and writes it to output. source is the root of the module, which is only read. The
// error says when there is no Go toolchain, when the source is not there (ErrNoSource), or that the plant no longer fits the code.
func Build(ctx context.Context, p Plant, source, output string, tags ...string) error {
	is, err := isRoot(source)
	if err == nil && !is {
		err = ErrNoSource
	}
	if err == nil {
		output, err = filepath.Abs(output)
	}
	if err != nil {
		return fmt.Errorf("build with the plant %s: %w", p.Name, err)
	}
	args := []string{"build", "-ldflags", "-s -w", "-o", output} // nobody debugs it: it is linked sooner without what that takes
	if len(tags) > 0 {
		args = append(args, "-tags", strings.Join(tags, ","))
	}
	if err := run(ctx, source, []Plant{p}, append(args, program)); err != nil {
		return fmt.Errorf("build with the plant %s: %w", p.Name, err)
	}
	return nil
}

// run runs the go command in the source as plants make it. Its last arguments are what it works on.
func run(ctx context.Context, source string, of []Plant, args []string) (err error) {
	compiler, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("a plant is built from the source, with the Go toolchain: %w", err)
	}
	dir, err := os.MkdirTemp("", "canopy-plant-")
	if err != nil {
		return fmt.Errorf("a folder for edited files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	overlay, err := lay(source, dir, of)
	if err != nil {
		return err
	}
	args = slices.Insert(slices.Clone(args), 1, "-overlay", overlay)
	command := exec.CommandContext(ctx, compiler, args...)
	command.Dir = source
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// lay writes the files that plants edit into dir, and what the go command has to know of them; it returns the name of the latter.
func lay(source, dir string, of []Plant) (string, error) {
	edited := make(map[string]string)
	for _, p := range of {
		if err := p.edit(source, edited); err != nil {
			return "", err
		}
	}
	var overlay struct{ Replace map[string]string }
	overlay.Replace = make(map[string]string, len(edited))
	for name, text := range edited {
		at := filepath.Join(dir, strconv.Itoa(len(overlay.Replace))+".go")
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write an edited file: %w", err)
		}
		overlay.Replace[filepath.Join(source, filepath.FromSlash(name))] = at
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	at := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(at, text, 0o600); err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	return at, nil
}

// edit makes the plant's edits on the texts of files, by name; those that are not there yet are read.
func (p Plant) edit(source string, files map[string]string) error {
	for _, e := range p.Edits {
		if !filepath.IsLocal(filepath.FromSlash(e.File)) {
			return fmt.Errorf("the plant %s edits %s, which is no file of the source", p.Name, e.File)
		}
		text, read := files[e.File]
		if !read {
			bytes, err := os.ReadFile(filepath.Join(source, filepath.FromSlash(e.File)))
			if err != nil {
				return fmt.Errorf("the plant %s no longer fits the code: %w", p.Name, err)
			}
			text = string(bytes)
		}
		if n := strings.Count(text, e.Old); n != 1 || e.Old == "" {
			return fmt.Errorf("the plant %s no longer fits the code: %s holds the text that it replaces %d times, and not once:\n%s", p.Name, e.File, n, e.Old)
		}
		files[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return nil
}
