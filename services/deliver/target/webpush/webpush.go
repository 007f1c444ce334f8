// Package webpush tells browsers of messages: Web Push (RFC 8030) with encrypted payloads (RFC 8291) and the name of this
// deployment (VAPID, RFC 8292).
//
// It owns the payload that a browser's service worker gets, and the key pair by which push services know us. That is made
// once, and kept by store.Secrets: browsers subscribe to its public half, so another pair would end all subscriptions. It does
// not know which subscriptions there are, nor when to try again.
package webpush

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	push "github.com/SherClockHolmes/webpush-go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/services/deliver/target/dial"
	"github.com/canopychat/canopy/services/store"
)

const (
	// DefaultTTL is how long a push service keeps what a device does not fetch.
	DefaultTTL = 24 * time.Hour
	// MaxPayload is the most bytes of a payload: with padding and what encrypting adds it stays below the 4,096 that every
	// push service takes (RFC 8030 §7.2).
	MaxPayload = 3 << 10

	secretName = "vapid"
	authBytes  = 16
	topicBytes = 24 // 32 characters of base64url, the longest that a topic may be (RFC 8030 §5.4)
)

// Payload is what a browser's service worker gets, as JSON.
type Payload struct {
	Type        string           `json:"type"` // message
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	Workspace   string           `json:"workspace,omitempty"` // its name
	ChannelID   chat.ChannelID   `json:"channel_id"`
	Channel     string           `json:"channel,omitempty"` // its name; absent: a direct message
	Seq         chat.Seq         `json:"seq"`
	ServerMsgID string           `json:"server_msg_id"`
	SenderID    chat.UserID      `json:"sender_id"`
	Sender      string           `json:"sender"` // their name
	UserID      chat.UserID      `json:"user_id"`
	Why         chat.Owed        `json:"why"`
	Body        string           `json:"body,omitempty"` // the first characters
	PostedAt    time.Time        `json:"posted_at"`
}

// Keys are the VAPID key pair of the deployment. They may be used by many goroutines at once.
type Keys struct {
	secrets store.Secrets

	mu   sync.Mutex       // guards what follows, and one question to secrets at a time
	pair *ecdh.PrivateKey // nil: not read yet
}

// NewKeys makes Keys. It reads nothing yet.
func NewKeys(secrets store.Secrets) *Keys { return &Keys{secrets: secrets} }

// Public is the public key as browsers want it: applicationServerKey in base64url. The error is that of the store.
func (k *Keys) Public(ctx context.Context) (string, error) {
	pair, err := k.read(ctx)
	if err != nil {
		return "", err
	}
	return encode(pair.PublicKey().Bytes()), nil
}

// read reads the pair, or makes it: two processes that do so at once end with one.
func (k *Keys) read(ctx context.Context) (*ecdh.PrivateKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pair != nil {
		return k.pair, nil
	}
	made, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a VAPID key: %w", err)
	}
	kept, err := k.secrets.KeepSecret(ctx, secretName, made.Bytes())
	if err != nil {
		return nil, fmt.Errorf("keep the VAPID key: %w", err)
	}
	pair, err := ecdh.P256().NewPrivateKey(kept)
	if err != nil {
		return nil, fmt.Errorf("the VAPID key that is kept is none: %w", err)
	}
	k.pair = pair
	return pair, nil
}

// Config is what a Sender is made of. Keys and Client are needed.
type Config struct {
	Keys    *Keys
	Client  *dial.Client
	Contact string        // whom a push service writes to about us: mailto:name@host, or an https URL
	TTL     time.Duration // 0: DefaultTTL
}

// Sender sends to subscriptions. It may be used by many goroutines at once.
type Sender struct{ cfg Config }

// NewSender makes a Sender. It starts nothing.
func NewSender(cfg Config) *Sender {
	if cfg.TTL <= 0 {
		cfg.TTL = DefaultTTL
	}
	cfg.Contact = strings.TrimPrefix(cfg.Contact, "mailto:") // the library puts it in front of all but https
	return &Sender{cfg: cfg}
}

// Send hands a Notice to a subscription's push service. A repetition replaces what the device did not fetch yet: its topic is
// made of the Notice's ID. The errors are those of dial.Client.Do, where NotFound means that the subscription has ended;
// Invalid when it never was one; and those of the store that keeps our keys.
func (s *Sender) Send(ctx context.Context, sub store.Subscription, n notice.Notice) error {
	if _, err := dial.Parse(sub.Endpoint); err != nil {
		return err
	}
	if _, err := ecdh.P256().NewPublicKey(sub.P256dh); err != nil || len(sub.Auth) != authBytes {
		return fault.New(fault.Invalid, "the subscription's keys are none")
	}
	pair, err := s.cfg.Keys.read(ctx)
	if err != nil {
		return err
	}
	payload, err := payloadOf(n)
	if err != nil {
		return err
	}
	call := &call{client: s.cfg.Client}
	_, err = push.SendNotificationWithContext(ctx, payload, &push.Subscription{
		Endpoint: sub.Endpoint, Keys: push.Keys{Auth: encode(sub.Auth), P256dh: encode(sub.P256dh)},
	}, &push.Options{
		HTTPClient: call, Subscriber: s.cfg.Contact, TTL: int(s.cfg.TTL / time.Second),
		Topic: topicOf(n.ID), Urgency: urgencyOf(n.Why),
		VAPIDPublicKey: encode(pair.PublicKey().Bytes()), VAPIDPrivateKey: encode(pair.Bytes()),
	})
	if call.asked {
		return call.err
	}
	return fmt.Errorf("encrypt a push message: %w", err)
}

// call is the HTTP client of one message, so that what the library makes of its error does not matter.
type call struct {
	client *dial.Client
	asked  bool
	err    error
}

// Do implements the library's HTTPClient.
func (c *call) Do(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", "Canopy")
	c.asked, c.err = true, c.client.Do(req)
	return nil, c.err
}

// payloadOf is what a browser gets, of at most MaxPayload bytes: the text gives way.
func payloadOf(n notice.Notice) ([]byte, error) {
	p := Payload{
		Type: "message", WorkspaceID: n.WorkspaceID, Workspace: n.Workspace, ChannelID: n.ChannelID, Channel: n.Channel,
		Seq: n.Seq, ServerMsgID: chat.Cursor{Epoch: n.Epoch, Seq: n.Seq}.String(), SenderID: n.SenderID, Sender: n.Sender,
		UserID: n.UserID, Why: n.Why, Body: n.Body, PostedAt: n.PostedAt.UTC(),
	}
	for {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(p); err != nil {
			return nil, fmt.Errorf("encode a push message: %w", err)
		}
		payload := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
		if len(payload) <= MaxPayload {
			return payload, nil
		}
		if p.Body == "" && p.Workspace == "" && p.Channel == "" && p.Sender == "" {
			return nil, fault.New(fault.TooLarge, "the message's names are too long for a push message")
		}
		p.Body = half(p.Body)
		if p.Body == "" { // names may be long in theory
			p.Workspace, p.Channel, p.Sender = half(p.Workspace), half(p.Channel), half(p.Sender)
		}
	}
}

func half(s string) string {
	r := []rune(s)
	return string(r[:len(r)/2])
}

func topicOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return encode(sum[:topicBytes])
}

// urgencyOf says what is worth a device's battery (RFC 8030 §5.3).
func urgencyOf(why chat.Owed) push.Urgency {
	if why == chat.OwedDirect || why == chat.OwedMention {
		return push.UrgencyHigh
	}
	return push.UrgencyNormal
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
