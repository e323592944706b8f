package identity

import (
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"maps"
	"math/big"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func with(fields map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(fields)
	changed[name] = value
	return changed
}

func TestKeysThatAreUsed(t *testing.T) {
	s := signers()
	ec, ed, rsaKey := jwkOf(t, s.ec, "k"), jwkOf(t, s.ed, "k"), jwkOf(t, s.rsa, "k")
	for name, test := range map[string]struct {
		key  map[string]any
		want string // algorithm
	}{
		"ES256":               {ec, "ES256"},
		"ES256 that says so":  {with(ec, "alg", "ES256"), "ES256"},
		"EdDSA":               {ed, "EdDSA"},
		"EdDSA that says so":  {with(ed, "alg", "EdDSA"), "EdDSA"},
		"EdDSA's newer name":  {with(ed, "alg", "Ed25519"), "EdDSA"},
		"RS256":               {rsaKey, "RS256"},
		"for signatures":      {with(rsaKey, "use", "sig"), "RS256"},
		"for verifying":       {with(rsaKey, "key_ops", []string{"verify"}), "RS256"},
		"with a certificate":  {with(rsaKey, "x5c", []string{"bm90IG9uZQ=="}), "RS256"},
		"with unknown fields": {with(rsaKey, "issuer", "me"), "RS256"},
	} {
		set, err := parseKeySet(jwksOf(t, test.key))
		if err != nil || len(set.keys) != 1 || set.keys[0].method.Alg() != test.want || set.keys[0].id != "k" {
			t.Errorf("%s: %+v, %v; want one key for %s", name, set, err, test.want)
		}
	}
}

func TestKeysThatAreNotUsed(t *testing.T) {
	s := signers()
	ec, ed, rsaKey := jwkOf(t, s.ec, "k"), jwkOf(t, s.ed, "k"), jwkOf(t, s.rsa, "k")
	huge := jwkOf(t, s.rsa, "k")
	huge["n"] = base64.RawURLEncoding.EncodeToString(new(big.Int).Lsh(big.NewInt(1), rsaMax).Bytes())
	for name, test := range map[string]struct {
		key  map[string]any
		want string
	}{
		"RSA of 1024 bits":       {jwkOf(t, s.rsaShort, "k"), "RSA of 1024 bits"},
		"RSA beyond all bounds":  {huge, "RSA of 8193 bits"},
		"RSA with an exponent 2": {with(rsaKey, "e", "Ag"), ""},
		"RSA with an exponent 1": {with(rsaKey, "e", "AQ"), ""},
		"RSA for RS512":          {with(rsaKey, "alg", "RS512"), `"RS512"`},
		"RSA for encryption":     {with(rsaKey, "use", "enc"), `"enc"`},
		"RSA called HS256":       {with(rsaKey, "alg", "HS256"), `"HS256"`},
		"EC called none":         {with(ec, "alg", "none"), `"none"`},
		"EC for signing alone":   {with(ec, "key_ops", []string{"sign"}), "not for verifying"},
		"EC on another curve":    {jwkOf(t, s.p384, "k"), "P-384"},
		"EC off the curve":       {with(ec, "x", ec["y"]), ""},
		"EdDSA cut short":        {with(ed, "x", "AAAA"), ""},
		"a secret":               {map[string]any{"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "kid": "k"}, ""},
		"no kind":                {map[string]any{"kid": "k"}, ""},
		"a kid that is too long": {with(ec, "kid", strings.Repeat("k", 256)), "256 bytes"},
	} {
		set, err := parseKeySet(jwksOf(t, test.key))
		if err == nil || !strings.Contains(err.Error(), "no usable key") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %+v, %v; want an error with %q", name, set, err, test.want)
		}
		// Beside a good key it does no harm, and is not used either.
		set, err = parseKeySet(jwksOf(t, test.key, with(ec, "kid", "good")))
		if err != nil || len(set.keys) != 1 || set.keys[0].id != "good" {
			t.Errorf("%s beside a good key: %+v, %v", name, set, err)
		}
	}
}

func TestDocumentsThatAreNoJWKS(t *testing.T) {
	many := make([]map[string]any, maxKeys+1)
	for i := range many {
		many[i] = jwkOf(t, signers().ec, "k")
	}
	for _, text := range []string{"", "[]", "<html>", `{"keys":{}}`, `{}`, `{"keys":[]}`, string(jwksOf(t, many...))} {
		if set, err := parseKeySet([]byte(text)); err == nil {
			t.Errorf("%.40q was read as %+v", text, set)
		}
	}
}

// Private parts in a JWKS are somebody's mistake; they must not come along.
func TestPrivatePartsAreLeftOut(t *testing.T) {
	set, err := parseKeySet(jwksOf(t, with(jwkOf(t, signers().rsa, "k"), "d", "AQAB")))
	if err != nil {
		t.Fatal(err)
	}
	if _, public := set.keys[0].material.(*rsa.PublicKey); !public {
		t.Errorf("the key is a %T", set.keys[0].material)
	}
}

func TestATokenWithoutKidMeansTheOnlyKey(t *testing.T) {
	s := signers()
	v := open(t, jwksIssuer(t, jwkOf(t, s.ec, "k")))
	tok := sign(t, jwt.SigningMethodES256, s.ec, "", goodClaims())
	if _, err := v.Verify(tok, testNow); err != nil {
		t.Errorf("with one key: %v", err)
	}
	two := open(t, jwksIssuer(t, jwkOf(t, s.ec, "k"), jwkOf(t, s.ec2, "l")))
	if _, err := two.Verify(tok, testNow); !errors.Is(err, errKey) {
		t.Errorf("with two keys: %v, want %v", err, errKey)
	}
}

func TestTwoKindsOfKeyMayShareAKid(t *testing.T) {
	s := signers()
	v := open(t, jwksIssuer(t, jwkOf(t, s.rsa, "k"), jwkOf(t, s.ec, "k")))
	for _, tok := range [][]byte{
		sign(t, jwt.SigningMethodES256, s.ec, "k", goodClaims()),
		sign(t, jwt.SigningMethodRS256, s.rsa, "k", goodClaims()),
	} {
		if _, err := v.Verify(tok, testNow); err != nil {
			t.Error(err)
		}
	}
}

func FuzzParseKeySet(f *testing.F) {
	s := signers()
	f.Add(jwksOf(f, jwkOf(f, s.ec, "a"), jwkOf(f, s.ed, "b"), jwkOf(f, s.rsa, "c")))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := parseKeySet(text)
		if err != nil {
			return
		}
		for _, key := range set.keys {
			if got, err := methodOf(key.material); err != nil || got != key.method {
				t.Fatalf("a %T pinned to %s: %v, %v", key.material, key.method.Alg(), got, err)
			}
		}
	})
}
