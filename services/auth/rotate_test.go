package auth_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/store"
)

func rotate(t *testing.T, s *auth.Signer) string {
	t.Helper()
	id, err := s.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func keyIDs(t *testing.T, s *auth.Signer) (ids []string) {
	t.Helper()
	keys, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		ids = append(ids, k.ID)
	}
	return ids
}

// signedBy is which key signed a token, by how a Verifier that has no other one takes it.
func signedBy(t *testing.T, s *auth.Signer, issued token.Issued) string {
	t.Helper()
	keys, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		only := auth.NewVerifier(auth.VerifierConfig{Source: fixed{k}})
		if _, err := only.Verify(t.Context(), issued.Token); err == nil {
			return k.ID
		}
	}
	return ""
}

type fixed []rpc.VerifyKey

func (f fixed) Keys(context.Context) ([]rpc.VerifyKey, error) { return f, nil }

func TestARotatedKeyIsUsedWithoutARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keyring := &ring{}
		here, there := signer(t, auth.SignerConfig{Keyring: keyring}), signer(t, auth.SignerConfig{Keyring: keyring})
		v := auth.NewVerifier(auth.VerifierConfig{Source: here})
		before := issue(t, there)
		if _, err := v.Verify(t.Context(), before.Token); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		id := rotate(t, here)
		if got := signedBy(t, here, issue(t, here)); got != id {
			t.Errorf("who rotated signs with %s, not with %s", got, id)
		}
		for range 6 {
			time.Sleep(10 * time.Second)
			issue(t, there)
		}
		after := issue(t, there)
		if got := signedBy(t, here, after); got != id {
			t.Errorf("a minute later another process signs with %s, not with %s", got, id)
		}
		for _, issued := range []token.Issued{before, after} {
			if _, err := v.Verify(t.Context(), issued.Token); err != nil {
				t.Errorf("a verifier that did not know of it: %v", err)
			}
		}
	})
}

func TestAnOldKeyVerifiesUntilNoTokenOfItsCanLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keyring := &ring{}
		here, there := signer(t, auth.SignerConfig{Keyring: keyring}), signer(t, auth.SignerConfig{Keyring: keyring})
		first := keyIDs(t, here)[0]
		time.Sleep(time.Hour)
		issue(t, there) // so that it has just read the keyring
		id := rotate(t, here)
		time.Sleep(time.Minute - time.Second)
		last := issue(t, there)
		if signedBy(t, here, last) != first {
			t.Fatal("this test is about the last token of the old key")
		}
		v := auth.NewVerifier(auth.VerifierConfig{Source: here, Pause: time.Second})
		for time.Now().Before(last.ExpiresAt) {
			time.Sleep(10 * time.Second)
			if err := v.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(t.Context(), last.Token); err != nil {
				t.Fatalf("%v before it expires: %v", time.Until(last.ExpiresAt), err)
			}
		}
		time.Sleep(time.Minute)
		if got := keyIDs(t, here); !slices.Equal(got, []string{id}) {
			t.Errorf("keys are %v; the old one is of no use", got)
		}
	})
}

func TestKeysThatVerifyAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := signer(t, auth.SignerConfig{Keyring: directory(t)})
		var ids []string
		for range 20 { // all in one moment
			ids = append(ids, rotate(t, s))
		}
		if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 20 {
			t.Errorf("ids are not in the order of time: %v", ids)
		}
		slices.Reverse(ids)
		if got := keyIDs(t, s); !slices.Equal(got, ids[:8]) {
			t.Errorf("keys are %v, want the newest eight of %v", got, ids)
		}
	})
}

func TestAKeyringThatCannotBeReadSignsNothingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keyring := &failing{Keyring: &ring{}}
		s := signer(t, auth.SignerConfig{Keyring: keyring})
		keyring.err = errors.New("disk I/O error")
		issue(t, s) // within the minute nobody asks
		time.Sleep(time.Minute)
		if _, err := s.Issue(t.Context(), alice); !fault.Is(err, fault.Internal) {
			t.Errorf("Issue: %v", err)
		}
		if _, err := s.Rotate(t.Context()); err == nil {
			t.Error("Rotate says that it did")
		}
		keyring.err = nil
		issue(t, s)
		for _, bad := range [][]store.SigningKey{{}, {{ID: "1", Seed: []byte("short")}}, {{ID: "", Seed: make([]byte, 32)}}} {
			time.Sleep(time.Minute)
			keyring.Keyring = &ring{pairs: bad}
			if _, err := s.Issue(t.Context(), alice); err == nil || strings.Contains(err.Error(), "short") {
				t.Errorf("with %v: %v", bad, err)
			}
		}
	})
}

type failing struct {
	auth.Keyring
	err error
}

func (f *failing) AddKey(ctx context.Context, k store.SigningKey) error {
	if f.err != nil {
		return f.err
	}
	return f.Keyring.AddKey(ctx, k)
}

func (f *failing) SigningKeys(ctx context.Context) ([]store.SigningKey, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.Keyring.SigningKeys(ctx)
}
