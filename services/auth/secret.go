package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

const (
	secretBytes  = 32 // of chance in a refresh token
	secretLength = 43 // of their base64
)

var (
	errNoRefreshToken = errors.New("not of the form of a refresh token")
	errNoTicket       = errors.New("not of the form of a ticket")
)

// secretBase64 has one spelling for each value, if it is of the right length: the decoder passes over line breaks.
var secretBase64 = base64.RawURLEncoding.Strict()

// newRefreshToken makes a refresh token of a sign-in, <sign_in_id>.<secret>, and what is kept of it.
func newRefreshToken(id token.SignInID) (string, store.Secret) {
	secret := make([]byte, secretBytes)
	rand.Read(secret) // crypto/rand ends the process rather than fail
	return string(id) + "." + secretBase64.EncodeToString(secret), sha256.Sum256(secret)
}

// parseRefreshToken is the inverse of newRefreshToken: it takes exactly what that makes. The error is
// errNoRefreshToken.
func parseRefreshToken(s string) (token.SignInID, store.Secret, error) {
	id, text, found := strings.Cut(s, ".")
	if !found || !chat.IsID(id) || len(text) != secretLength {
		return "", store.Secret{}, errNoRefreshToken
	}
	secret, err := secretBase64.DecodeString(text)
	if err != nil || len(secret) != secretBytes {
		return "", store.Secret{}, errNoRefreshToken
	}
	return token.SignInID(id), sha256.Sum256(secret), nil
}

// newTicket makes a ticket, 26 characters of 128 bits of chance, and what is kept of it.
func newTicket() (string, store.Secret) {
	text := newID()
	return text, sha256.Sum256([]byte(text))
}

// parseTicket is what is kept of a ticket. The error is errNoTicket.
func parseTicket(s string) (store.Secret, error) {
	if len(s) != chat.MaxIDLength || !chat.IsID(s) {
		return store.Secret{}, errNoTicket
	}
	return sha256.Sum256([]byte(s)), nil
}

// newID is an id that nobody can guess.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // crypto/rand ends the process rather than fail
	return chat.IDFromBytes(b)
}
