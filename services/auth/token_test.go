package auth_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
)

const alice = chat.UserID("a11ce")

func directory(t *testing.T) *sqlite.Directory {
	t.Helper()
	db, err := sqlite.OpenDirectory(t.Context(), filepath.Join(t.TempDir(), "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func signer(t *testing.T, cfg auth.SignerConfig) *auth.Signer {
	t.Helper()
	if cfg.Keyring == nil {
		cfg.Keyring = &ring{}
	}
	s, err := auth.OpenSigner(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func issue(t *testing.T, s *auth.Signer) token.Issued {
	t.Helper()
	issued, err := s.Issue(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// ring is a Keyring in memory.
type ring struct {
	mu    sync.Mutex
	pairs []store.SigningKey
}

func (r *ring) AddKey(_ context.Context, k store.SigningKey) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, have := range r.pairs {
		if have.ID == k.ID {
			return nil
		}
	}
	r.pairs = append([]store.SigningKey{k}, r.pairs...)
	return nil
}

func (r *ring) SigningKeys(context.Context) ([]store.SigningKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]store.SigningKey(nil), r.pairs...), nil
}

// source is a KeySource that can be switched off, and counts.
type source struct {
	auth.KeySource
	mu    sync.Mutex
	down  bool
	asked int
}

func (s *source) Keys(ctx context.Context) ([]rpc.VerifyKey, error) {
	s.mu.Lock()
	s.asked++
	down := s.down
	s.mu.Unlock()
	if down {
		return nil, fault.New(fault.Unavailable, "the directory does not answer")
	}
	return s.KeySource.Keys(ctx)
}

func (s *source) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func TestATokenSaysWhoHoldsIt(t *testing.T) {
	s := signer(t, auth.SignerConfig{Keyring: directory(t), Lifetime: time.Hour})
	issued := issue(t, s)
	if issued.Lifetime() != time.Hour {
		t.Errorf("it lasts %v", issued.Lifetime())
	}
	got, err := auth.NewVerifier(auth.VerifierConfig{Source: s}).Verify(t.Context(), issued.Token)
	if err != nil || got != issued.Claims {
		t.Errorf("Verify = %+v, %v; want %+v", got, err, issued.Claims)
	}
	if other := issue(t, s); other.SignInID == issued.SignInID {
		t.Error("two sign-ins have one id")
	}
}

func TestTwoProcessesThatStartAtOnceEndWithOneKey(t *testing.T) {
	keyring := directory(t)
	signers := make([]*auth.Signer, 8)
	var all sync.WaitGroup
	for i := range signers {
		all.Go(func() {
			s, err := auth.OpenSigner(t.Context(), auth.SignerConfig{Keyring: keyring})
			if err != nil {
				t.Error(err)
			}
			signers[i] = s
		})
	}
	all.Wait()
	keys, err := signers[0].Keys(t.Context())
	if err != nil || len(keys) != 1 {
		t.Fatalf("the store has %d keys, %v", len(keys), err)
	}
	v := auth.NewVerifier(auth.VerifierConfig{Source: signers[0]})
	for _, s := range signers {
		if _, err := v.Verify(t.Context(), issue(t, s).Token); err != nil {
			t.Error(err)
		}
	}
}

func TestATokenEndsWhenItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := signer(t, auth.SignerConfig{})
		v := auth.NewVerifier(auth.VerifierConfig{Source: s})
		issued := issue(t, s)
		time.Sleep(auth.DefaultLifetime)
		if _, err := v.Verify(t.Context(), issued.Token); err != nil {
			t.Errorf("within the leeway for clocks: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := v.Verify(t.Context(), issued.Token); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("a minute later: %v", err)
		}
	})
}

func TestTokensAreVerifiedWhileTheDirectoryIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := signer(t, auth.SignerConfig{})
		keys := &source{KeySource: s}
		v := auth.NewVerifier(auth.VerifierConfig{Source: keys})
		issued := issue(t, s)

		keys.set(true)
		if err := v.Refresh(t.Context()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("Refresh without a directory: %v", err)
		}
		if _, err := v.Verify(t.Context(), issued.Token); !fault.Is(err, fault.Unavailable) {
			t.Errorf("no key yet, and none to get: %v", err)
		}
		keys.set(false)
		time.Sleep(time.Second) // a fetch that failed is tried again much sooner than one that brought keys
		if _, err := v.Verify(t.Context(), issued.Token); err != nil {
			t.Fatalf("the directory is there: %v", err)
		}
		keys.set(true)
		time.Sleep(auth.DefaultLifetime / 2)
		if _, err := v.Verify(t.Context(), issued.Token); err != nil {
			t.Errorf("the directory is down, the key is known: %v", err)
		}
		if _, err := v.Verify(t.Context(), forge(t, header{Kid: "another"}, nil)); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a key that nobody can be asked for: %v", err)
		}
		if _, err := v.Verify(t.Context(), issued.Token); err != nil {
			t.Errorf("after a fetch that failed: %v", err)
		}
	})
}

func TestMadeUpKeyNamesDoNotHammerTheDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := signer(t, auth.SignerConfig{})
		keys := &source{KeySource: s}
		v := auth.NewVerifier(auth.VerifierConfig{Source: keys, Pause: 5 * time.Second})
		for range 10 {
			var crowd sync.WaitGroup
			for range 100 {
				crowd.Go(func() {
					if _, err := v.Verify(t.Context(), forge(t, header{Kid: rand.Text()}, nil)); !fault.Is(err, fault.Unauthenticated) {
						t.Error(err)
					}
				})
			}
			crowd.Wait()
			time.Sleep(time.Second)
		}
		if n := keys.count(); n != 2 {
			t.Errorf("1,000 made-up names in 10 s made %d fetches; the pause allows 2", n)
		}
	})
}

func TestAKeyThatIsNewIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keyring := &ring{}
		keys := &source{KeySource: signer(t, auth.SignerConfig{Keyring: keyring})}
		v := auth.NewVerifier(auth.VerifierConfig{Source: keys})
		if err := v.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := keyring.AddKey(t.Context(), store.SigningKey{ID: "2", Seed: make([]byte, 32), CreatedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), issue(t, signer(t, auth.SignerConfig{Keyring: keyring})).Token); err != nil {
			t.Error(err)
		}
	})
}

func TestADeploymentThatWasMadeAnewIsNotLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := &source{KeySource: signer(t, auth.SignerConfig{})}
		v := auth.NewVerifier(auth.VerifierConfig{Source: keys})
		if err := v.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		anew := signer(t, auth.SignerConfig{}) // its first key has the same name as the old one's
		keys.KeySource = anew
		if _, err := v.Verify(t.Context(), issue(t, anew).Token); err != nil {
			t.Error(err)
		}
	})
}

// header is a token's header in an attacker's hands.
type header struct {
	Alg  string         `json:"alg,omitempty"`
	Typ  string         `json:"typ,omitempty"`
	Kid  any            `json:"kid,omitempty"`
	JWK  map[string]any `json:"jwk,omitempty"`
	JKU  string         `json:"jku,omitempty"`
	Crit []string       `json:"crit,omitempty"`
}

// forge makes a token of h and good claims, signed by sign, or by a key of the attacker's.
func forge(t *testing.T, h header, sign func(signed string) []byte) string {
	t.Helper()
	now := time.Now().Unix()
	return forgeClaims(t, h, map[string]any{
		"iss": token.Issuer, "aud": token.Audience, "sub": alice, "sid": "s1", "iat": now, "exp": now + 3600,
	}, sign)
}

func forgeClaims(t *testing.T, h header, claims map[string]any, sign func(signed string) []byte) string {
	t.Helper()
	if h.Alg == "" {
		h.Alg = token.Algorithm
	}
	if h.Typ == "" {
		h.Typ = token.Type
	}
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := part(h) + "." + part(claims)
	if sign == nil {
		sign = func(signed string) []byte { return ed25519.Sign(attacker, []byte(signed)) }
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sign(signed))
}

var attacker = ed25519.NewKeyFromSeed([]byte("the seed of the attacker, 32 b.."))

func TestForgedTokensAreRefused(t *testing.T) {
	seed := []byte("the seed of the server, 32 bytes")
	pair := ed25519.NewKeyFromSeed(seed)
	keyring := &ring{pairs: []store.SigningKey{{ID: "1", Seed: seed}}}
	v := auth.NewVerifier(auth.VerifierConfig{Source: signer(t, auth.SignerConfig{Keyring: keyring})})
	ours := func(signed string) []byte { return ed25519.Sign(pair, []byte(signed)) }
	withPublic := func(signed string) []byte {
		mac := hmac.New(sha256.New, pair.Public().(ed25519.PublicKey))
		mac.Write([]byte(signed))
		return mac.Sum(nil)
	}
	none := func(string) []byte { return nil }
	now := time.Now().Unix()
	good := func() map[string]any {
		return map[string]any{"iss": "canopy", "aud": token.Audience, "sub": alice, "sid": "s1", "iat": now, "exp": now + 60}
	}
	with := func(key string, value any) map[string]any {
		c := good()
		if c[key] = value; value == nil {
			delete(c, key)
		}
		return c
	}
	jwk := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(attacker[32:])}
	if _, err := v.Verify(t.Context(), forgeClaims(t, header{Kid: "1"}, good(), ours)); err != nil {
		t.Fatalf("the good one that the others differ from: %v", err)
	}
	for name, raw := range map[string]string{
		"empty": "", "dots": "..", "not base64": "!.!.!", "long": strings.Repeat("a.", 5000),
		"alg none":                  forge(t, header{Alg: "none", Kid: "1"}, none),
		"alg None":                  forge(t, header{Alg: "None", Kid: "1"}, none),
		"HS256 with the public key": forge(t, header{Alg: "HS256", Kid: "1"}, withPublic),
		"ES256":                     forge(t, header{Alg: "ES256", Kid: "1"}, ours),
		"another's signature":       forge(t, header{Kid: "1"}, nil),
		"no signature":              forge(t, header{Kid: "1"}, none),
		"its own key in jwk":        forge(t, header{Kid: "2", JWK: jwk}, nil),
		"jwk under our kid":         forge(t, header{Kid: "1", JWK: jwk}, nil),
		"jku":                       forge(t, header{Kid: "2", JKU: "https://example.com/keys"}, nil),
		"no kid":                    forge(t, header{}, ours),
		"a kid that is a number":    forge(t, header{Kid: 1}, ours),
		"a kid that is a path":      forge(t, header{Kid: "../../dev/null"}, ours),
		"crit":                      forge(t, header{Kid: "1", Crit: []string{"exp"}}, ours),
		"typ JWT":                   forge(t, header{Kid: "1", Typ: "JWT"}, ours),
		"another issuer":            forgeClaims(t, header{Kid: "1"}, with("iss", "other"), ours),
		"another audience":          forgeClaims(t, header{Kid: "1"}, with("aud", "refresh"), ours),
		"no audience":               forgeClaims(t, header{Kid: "1"}, with("aud", nil), ours),
		"no exp":                    forgeClaims(t, header{Kid: "1"}, with("exp", nil), ours),
		"no iat":                    forgeClaims(t, header{Kid: "1"}, with("iat", nil), ours),
		"iat in the future":         forgeClaims(t, header{Kid: "1"}, with("iat", now+50), ours),
		"expired":                   forgeClaims(t, header{Kid: "1"}, with("exp", now-60), ours),
		"exp is text":               forgeClaims(t, header{Kid: "1"}, with("exp", "never"), ours),
		"a sub that is a subject":   forgeClaims(t, header{Kid: "1"}, with("sub", "a.>"), ours),
		"no sub":                    forgeClaims(t, header{Kid: "1"}, with("sub", nil), ours),
		"no sid":                    forgeClaims(t, header{Kid: "1"}, with("sid", nil), ours),
		"nbf in the future":         forgeClaims(t, header{Kid: "1"}, with("nbf", now+3600), ours),
	} {
		_, err := v.Verify(t.Context(), raw)
		if !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := fault.Public(err).Message; got != "the token is not valid, or no longer" {
			t.Errorf("%s: a client is told why: %s", name, got)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.e30.")
	s, err := auth.OpenSigner(context.Background(), auth.SignerConfig{Keyring: &ring{}})
	if err != nil {
		f.Fatal(err)
	}
	issued, err := s.Issue(context.Background(), alice)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(issued.Token)
	v := auth.NewVerifier(auth.VerifierConfig{Source: s, Pause: time.Hour})
	f.Fuzz(func(t *testing.T, raw string) {
		_, err := v.Verify(context.Background(), raw)
		if raw != issued.Token && !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%q: %v", raw, err)
		}
	})
}
