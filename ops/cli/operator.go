package cli

import (
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/streams/bus"
)

// operator is the session as the commands of operators know it.
func (s *session) operator() *operator.Session {
	return &operator.Session{Context: s.ctx, Stdin: s.Stdin, Stdout: s.Stdout, Ask: s.askOperator, Reach: func(w operator.Where) (*bus.Conn, ctl.Deployment, error) {
		conn, d, _, err := target{w}.reach(s)
		return conn, d, err
	}}
}

// askOperator asks for a password on a terminal that does not show it.
func (s *session) askOperator(question string) (string, error) {
	if !s.asks() {
		return "", config.Problemf("say where the password comes from: --password-file FILE, or --generate")
	}
	return s.askHidden(question)
}
