package config

import (
	"fmt"
	"strings"
)

// A Problem is a mistake of the user: a setting, a port that is taken, a folder that cannot be used. It is
// told in one line, without a stack of causes, and the process ends with exit code 2. Find it by errors.As.
type Problem struct {
	Err error // what is wrong; it names the thing that has to change
}

// Problemf makes a *Problem as fmt.Errorf makes an error: %w keeps the cause.
func Problemf(format string, args ...any) error { return &Problem{fmt.Errorf(format, args...)} }

// Error is one line, whatever the cause says.
func (p *Problem) Error() string { return strings.Join(strings.Fields(p.Err.Error()), " ") }

// Unwrap is the cause.
func (p *Problem) Unwrap() error { return p.Err }
