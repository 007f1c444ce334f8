package health

import (
	"errors"
	"fmt"
)

// Unless is the problem, or nil when all is fine.
func Unless(fine bool, problem string) error {
	if fine {
		return nil
	}
	return errors.New(problem)
}

// Answers says which part failed, and not how: that may hold addresses.
func Answers(err error, part string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s does not answer", part)
}
