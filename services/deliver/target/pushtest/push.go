package pushtest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// Push is a push service and its browsers.
type Push struct {
	server
	browsers map[string]*browser // by path; guarded by mu
}

// browser is one subscription, as its browser knows it.
type browser struct {
	private *ecdh.PrivateKey
	auth    []byte
	vapid   string // the key it subscribed with
	gone    bool
	taken   []Message
}

// Message is what a browser decrypted.
type Message struct {
	Topic   string
	Urgency string
	TTL     time.Duration
	Payload []byte
}

// StartPush starts a push service that ends with the test. What is wrong with a request fails the test.
func StartPush(t testing.TB) *Push {
	t.Helper()
	p := &Push{browsers: make(map[string]*browser)}
	p.start(t, p.take)
	return p
}

// Subscribe is a new browser of a user, subscribed with a VAPID key.
func (p *Push) Subscribe(user chat.UserID, vapidKey string) store.Subscription {
	p.t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	b := &browser{private: private, auth: random(16), vapid: vapidKey}
	path := "/push/" + base64.RawURLEncoding.EncodeToString(random(24))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.browsers[path] = b
	return store.Subscription{
		ID: chat.IDFromBytes([16]byte(random(16))), UserID: user, Endpoint: p.URL() + path,
		P256dh: private.PublicKey().Bytes(), Auth: b.auth, CreatedAt: time.Now().UTC(),
	}
}

// End ends a subscription, as a browser does that is removed: from now on it is gone.
func (p *Push) End(sub store.Subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.browsers[strings.TrimPrefix(sub.Endpoint, p.URL())].gone = true
}

// Taken is every message that was taken for a browser, in order.
func (p *Push) Taken(sub store.Subscription) []Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.browsers[strings.TrimPrefix(sub.Endpoint, p.URL())].taken)
}

// Shown is what a browser shows that was off until now: of the messages with the same topic the last (RFC 8030 §5.4).
func (p *Push) Shown(sub store.Subscription) []Message {
	var shown []Message
	for _, m := range p.Taken(sub) {
		shown = slices.DeleteFunc(shown, func(o Message) bool { return o.Topic != "" && o.Topic == m.Topic })
		shown = append(shown, m)
	}
	return shown
}

func (p *Push) take(path string, r *http.Request, body []byte) (status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.browsers[path]
	switch {
	case b == nil:
		return fault.NotFound.Status()
	case b.gone:
		return 410
	}
	m, err := b.read(r.Header, body)
	if err == nil {
		err = checkVAPID(r.Header.Get("Authorization"), p.URL(), b.vapid)
	}
	if err != nil {
		p.t.Errorf("a push message is wrong: %v", err)
		return fault.Invalid.Status()
	}
	b.taken = append(b.taken, m)
	return created
}

var (
	topicShape = regexp.MustCompile(`^[A-Za-z0-9_-]{0,32}$`)
	urgencies  = []string{"", "very-low", "low", "normal", "high"}
)

// read checks the headers of RFC 8030 and decrypts the body.
func (b *browser) read(h http.Header, body []byte) (m Message, err error) {
	ttl, err := strconv.ParseUint(h.Get("TTL"), 10, 31)
	switch {
	case err != nil:
		return m, fmt.Errorf("TTL: %w", err)
	case h.Get("Content-Encoding") != "aes128gcm":
		return m, fmt.Errorf("content encoding %q", h.Get("Content-Encoding"))
	case !topicShape.MatchString(h.Get("Topic")):
		return m, fmt.Errorf("topic %q", h.Get("Topic"))
	case !slices.Contains(urgencies, h.Get("Urgency")):
		return m, fmt.Errorf("urgency %q", h.Get("Urgency"))
	case len(body) > 4096:
		return m, fmt.Errorf("%d bytes", len(body))
	}
	m = Message{Topic: h.Get("Topic"), Urgency: h.Get("Urgency"), TTL: time.Duration(ttl) * time.Second}
	m.Payload, err = b.decrypt(body)
	return m, err
}

// decrypt is RFC 8291 §3.4 and RFC 8188 §2, of one record.
func (b *browser) decrypt(body []byte) ([]byte, error) {
	const head = 16 + 4 + 1
	if len(body) < head || len(body) < head+int(body[20]) {
		return nil, errors.New("the header is cut")
	}
	salt, size, rest := body[:16], binary.BigEndian.Uint32(body[16:20]), body[head+int(body[20]):]
	if len(rest) > int(size) || size < 18 {
		return nil, fmt.Errorf("a record of %d bytes, where %d are said", len(rest), size)
	}
	sender, err := ecdh.P256().NewPublicKey(body[head : head+int(body[20])])
	if err != nil {
		return nil, fmt.Errorf("keyid: %w", err)
	}
	secret, err := b.private.ECDH(sender)
	if err != nil {
		return nil, err
	}
	info := "WebPush: info\x00" + string(b.private.PublicKey().Bytes()) + string(sender.Bytes())
	ikm, err1 := hkdf.Key(sha256.New, secret, b.auth, info, 32)
	key, err2 := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	nonce, err3 := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	padded, err := gcm.Open(nil, nonce, rest, nil)
	if err != nil {
		return nil, err
	}
	text := strings.TrimRight(string(padded), "\x00")
	text, ok := strings.CutSuffix(text, "\x02")
	if !ok {
		return nil, errors.New("the padding does not end the last record")
	}
	return []byte(text), nil
}

// checkVAPID is RFC 8292 §2 to §4: a JWT, signed by the key that the browser subscribed with, for this push service.
func checkVAPID(authorization, origin, want string) error {
	fields, ok := strings.CutPrefix(authorization, "vapid ")
	if !ok {
		return fmt.Errorf("authorization %.20q", authorization)
	}
	said := map[string]string{}
	for _, f := range strings.Split(fields, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
		said[k] = v
	}
	if said["k"] != want {
		return fmt.Errorf("the key is %q, and the browser subscribed with %q", said["k"], want)
	}
	parts := strings.Split(said["t"], ".")
	if len(parts) != 3 {
		return errors.New("t is no JWT")
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return fmt.Errorf("t: %w", err)
		}
	}
	point, err := base64.RawURLEncoding.DecodeString(said["k"])
	if err != nil || len(raw[2]) != 64 {
		return errors.New("k is no key, or the signature no signature")
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(raw[2][:32]), new(big.Int).SetBytes(raw[2][32:])) {
		return errors.New("the signature is wrong")
	}
	var head struct{ Typ, Alg string }
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := errors.Join(json.Unmarshal(raw[0], &head), json.Unmarshal(raw[1], &claims)); err != nil {
		return err
	}
	left := time.Until(time.Unix(claims.Exp, 0))
	if head.Alg != "ES256" || claims.Aud != origin || left <= 0 || left > 24*time.Hour ||
		!(strings.HasPrefix(claims.Sub, "mailto:") && !strings.HasPrefix(claims.Sub, "mailto:mailto:") || strings.HasPrefix(claims.Sub, "https://")) {
		return fmt.Errorf("the JWT says %+v %+v", head, claims)
	}
	return nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // it never fails
	return b
}
