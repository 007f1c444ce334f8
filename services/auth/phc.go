package auth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What hashes are made with: the least of OWASP's password storage cheat sheet for argon2id.
const (
	hashMemory  = 19 << 10 // KiB
	hashTime    = 2
	hashThreads = 1
	saltLength  = 16
	keyLength   = 32
)

// What a stored hash may ask for. It comes from our database, but an import may have written it,
// and one line must not cost the process its memory or a minute of CPU.
const (
	maxMemory  = 256 << 10 // KiB
	maxTime    = 16
	maxThreads = 16
	minSalt    = 8
	minKey     = 16
	maxBytes   = 64 // of salt and key each
	maxPHC     = 512
)

var errBadPHC = errors.New("not a PHC string of argon2id that is fit to verify")

// phc is a parsed PHC string: $argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<key>, both in
// base64 without padding.
type phc struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

// strictBase64 has one spelling for each value.
var strictBase64 = base64.RawStdEncoding.Strict()

// parsePHC reads s. It takes exactly what String writes. The error wraps errBadPHC and does not hold s.
func parsePHC(s string) (phc, error) {
	if len(s) > maxPHC {
		return phc{}, errBadPHC
	}
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, fmt.Errorf("%w: it does not begin with $argon2id$v=%d$", errBadPHC, argon2.Version)
	}
	param := strings.Split(part[3], ",")
	if len(param) != 3 {
		return phc{}, fmt.Errorf("%w: its parameters are not m, t and p", errBadPHC)
	}
	memory, ok1 := parseParam(param[0], "m=", maxMemory)
	passes, ok2 := parseParam(param[1], "t=", maxTime)
	threads, ok3 := parseParam(param[2], "p=", maxThreads)
	if !ok1 || !ok2 || !ok3 || memory < 8*threads { // RFC 9106 §3.1
		return phc{}, fmt.Errorf("%w: its parameters are out of range", errBadPHC)
	}
	salt, err1 := strictBase64.DecodeString(part[4])
	key, err2 := strictBase64.DecodeString(part[5])
	if err1 != nil || err2 != nil || len(salt) < minSalt || len(salt) > maxBytes || len(key) < minKey || len(key) > maxBytes {
		return phc{}, fmt.Errorf("%w: its salt or key is", errBadPHC)
	}
	out := phc{memory: memory, time: passes, threads: uint8(threads), salt: salt, key: key}
	if out.String() != s { // the decoder passes over line breaks
		return phc{}, errBadPHC
	}
	return out, nil
}

func parseParam(s, name string, limit uint64) (uint32, bool) {
	digits, ok := strings.CutPrefix(s, name)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), err == nil && n >= 1 && n <= limit
}

// String is the PHC string.
func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		strictBase64.EncodeToString(p.salt), strictBase64.EncodeToString(p.key))
}

// derive is the key of a password under p's parameters and salt.
func (p phc) derive(password string) []byte {
	return argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, uint32(len(p.key)))
}
