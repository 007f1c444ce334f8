package child

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Supported tells whether all of this works on this system.
const Supported = true

// Account is a user of the system.
type Account struct {
	Name     string
	uid, gid int
}

// Unprivileged is who runs a server that refuses to be run by root; nil when this process is not root's.
func Unprivileged() (*Account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			return nil, err
		}
		return &Account{name, uid, gid}, nil
	}
	return nil, fmt.Errorf("there is neither a user postgres nor nobody")
}

// Own gives a folder, and who is in it, to the account.
func (a *Account) Own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// Barred is the first folder on the way to path that the account may not pass; empty when it may pass all.
func (a *Account) Barred(path string) string {
	if a == nil {
		return ""
	}
	way := ""
	for _, name := range strings.Split(path, "/") {
		way = filepath.Join("/", way, name)
		info, err := os.Stat(way)
		if err != nil {
			return way
		}
		mode := info.Mode().Perm()
		st, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case ok && int(st.Uid) == a.uid:
			ok = mode&0o100 != 0
		case ok && int(st.Gid) == a.gid:
			ok = mode&0o010 != 0
		default:
			ok = mode&0o001 != 0
		}
		if !ok {
			return way
		}
	}
	return ""
}

// attributes are of a child: it has a process group of its own, so that a Ctrl-C in the terminal is not for it, and
// gets a signal when this process dies. The kernel forgets that signal when a process changes its user; here the user
// is changed first.
func attributes(as *Account, orphan syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: orphan}
	if as != nil {
		attr.Credential = &syscall.Credential{Uid: uint32(as.uid), Gid: uint32(as.gid)}
	}
	return attr
}

// family are the process and all that it has started, itself first. PostgreSQL's are no process group.
func family(pid int) []int {
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		if err != nil {
			return all // the pattern is a good one
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // that thread has just ended
			}
			for _, word := range strings.Fields(string(text)) {
				if child, err := strconv.Atoi(word); err == nil {
					all = append(all, child)
				}
			}
		}
	}
	return all
}

// send sends a signal to the whole family, the eldest first: what is stopped or dead starts nobody new.
func send(pid int, signal syscall.Signal) {
	for _, p := range family(pid) {
		_ = syscall.Kill(p, signal) // it may have ended
	}
}

func pause(pid int)  { send(pid, syscall.SIGSTOP) }
func resume(pid int) { send(pid, syscall.SIGCONT) }
func slay(pid int)   { send(pid, syscall.SIGKILL) }

// LockFile takes a lock that ends with the process, however it ends. It answers false when another process has it.
func LockFile(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}
