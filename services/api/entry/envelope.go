package entry

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/canopychat/canopy/services/store"
)

// envelope hides a kept answer from who reads the database: an answer may hold a ticket or the code of an invite, which
// are kept nowhere else but as hashes. Who has the Idempotency-Key can open it, and nobody knows that but the client.
type envelope struct {
	key  [sha256.Size]byte
	what []byte // the request that the answer belongs to
}

func sealedBy(key string, k store.IdempotencyKey) envelope {
	return envelope{key: sha256.Sum256([]byte("seal\x00" + string(k.UserID) + "\x00" + key)), what: k.Request[:]}
}

func (e envelope) cipher() (cipher.AEAD, error) {
	block, err := aes.NewCipher(e.key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal writes a nonce and then what is hidden. Nothing stays nothing.
func (e envelope) seal(plain []byte) ([]byte, error) {
	if len(plain) == 0 {
		return nil, nil
	}
	aead, err := e.cipher()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("a nonce: %w", err)
	}
	return aead.Seal(nonce, nonce, plain, e.what), nil
}

func (e envelope) open(sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	aead, err := e.cipher()
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("it is too short")
	}
	return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], e.what)
}
