package auth

// These tests are inside the package because a PHC string has no face outside of it.

import (
	"strings"
	"testing"
)

func FuzzParsePHC(f *testing.F) {
	for _, seed := range []string{
		"", "$", "$$$$$", "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=+19456,t=02,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=19456,t=2,p=1$c29tZX\nNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		fresh(make([]byte, saltLength)).String(),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err != nil {
			if len(s) > 30 && strings.Contains(err.Error(), s) {
				t.Errorf("the error repeats the hash: %v", err)
			}
			return
		}
		if p.String() != s {
			t.Errorf("%q was read as %q", s, p.String())
		}
		if p.memory > maxMemory || p.time > maxTime || p.threads > maxThreads || len(p.key) > maxBytes || len(p.salt) < minSalt {
			t.Errorf("%q may cost too much: %+v", s, p)
		}
	})
}

func TestAnUnknownLoginCostsWhatAWrongPasswordCosts(t *testing.T) {
	p := NewPasswords(1)
	real := fresh([]byte("0123456789abcdef"))
	if d := p.dummy; d.memory != real.memory || d.time != real.time || d.threads != real.threads ||
		len(d.salt) != len(real.salt) || len(d.key) != len(real.key) {
		t.Errorf("the dummy is %+v, a real hash %+v", d, real)
	}
}
