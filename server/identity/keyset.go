package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// Limits on keys.
const (
	maxKeys = 64   // keys of one JWKS
	rsaMin  = 2048 // bits
	rsaMax  = 8192 // bits: beyond it one verification costs milliseconds
)

// pinnedKey is a key with the one algorithm that it may be used by.
type pinnedKey struct {
	id       string // "kid"; "" where the key has none
	method   jwt.SigningMethod
	material any // as method.Verify takes it; of HS256 *macs
}

// verify tells whether signature is the key's over signed.
func (k *pinnedKey) verify(signed, signature []byte) bool {
	if macs, ok := k.material.(*macs); ok {
		return macs.verify(signed, signature)
	}
	return k.method.Verify(string(signed), signature, k.material) == nil
}

// keySet is the keys of one issuer at one moment. It never changes.
type keySet struct {
	keys  []pinnedKey
	anyID bool // the issuer has one key for good: what a token calls it does not matter
}

// find returns the key of that id for that algorithm. The errors are errKey,
// where another read of the keys might help, and errAlgorithm.
func (s *keySet) find(id, algorithm []byte) (*pinnedKey, error) {
	err := error(errKey)
	for i := range s.keys {
		key := &s.keys[i]
		if !s.isMeant(key, id) {
			continue
		}
		if key.method.Alg() == string(algorithm) {
			return key, nil
		}
		err = errAlgorithm
	}
	return nil, err
}

// isMeant tells whether a token with that "kid" means key. A token without one
// means the only key there is.
func (s *keySet) isMeant(key *pinnedKey, id []byte) bool {
	if len(id) == 0 || s.anyID {
		return len(s.keys) == 1
	}
	return key.id == string(id)
}

// parseKeySet reads a JWKS (RFC 7517). Keys for other uses and of other
// algorithms are passed over, as issuers publish such beside their own; an
// error is returned where no usable key is left, and says why for each.
func parseKeySet(text []byte) (*keySet, error) {
	var document struct {
		Keys []jwkset.JWKMarshal `json:"keys"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("parse JWKS: %w", err)
	}
	if len(document.Keys) > maxKeys {
		return nil, fmt.Errorf("parse JWKS: %d keys, at most %d are allowed", len(document.Keys), maxKeys)
	}
	set := new(keySet)
	var unused []error
	for i := range document.Keys {
		key, err := pin(&document.Keys[i])
		if err != nil {
			unused = append(unused, fmt.Errorf("key %d (kid %.40q): %w", i, document.Keys[i].KID, err))
			continue
		}
		set.keys = append(set.keys, key)
	}
	if len(set.keys) == 0 {
		return nil, fmt.Errorf("parse JWKS: no usable key: %w", errors.Join(unused...))
	}
	return set, nil
}

// pin reads one key of a JWKS and settles its algorithm.
func pin(m *jwkset.JWKMarshal) (pinnedKey, error) {
	if m.USE != "" && m.USE != jwkset.UseSig {
		return pinnedKey{}, fmt.Errorf("for the use %q, not for signatures", m.USE)
	}
	if len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return pinnedKey{}, errors.New("not for verifying")
	}
	if len(m.KID) > maxKeyID {
		return pinnedKey{}, fmt.Errorf("a kid of %d bytes, at most %d are allowed", len(m.KID), maxKeyID)
	}
	bare := jwkset.JWKMarshal{KTY: m.KTY, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E}
	if bare.KTY == jwkset.KtyOKP {
		bare.ALG = jwkset.AlgEdDSA // the library asks for it
	}
	// Certificates and private parts are left out: only the public key counts.
	jwk, err := jwkset.NewJWKFromMarshal(bare, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return pinnedKey{}, err
	}
	method, err := methodOf(jwk.Key())
	if err != nil {
		return pinnedKey{}, err
	}
	if alg := m.ALG.String(); alg != "" && alg != method.Alg() && (method != jwt.SigningMethodEdDSA || alg != "Ed25519") {
		return pinnedKey{}, fmt.Errorf("of the algorithm %q, this kind of key is used for %s alone", alg, method.Alg())
	}
	return pinnedKey{id: m.KID, method: method, material: jwk.Key()}, nil
}

// methodOf returns the algorithm that a public key is used by.
func methodOf(key any) (jwt.SigningMethod, error) {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return jwt.SigningMethodEdDSA, nil
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return nil, fmt.Errorf("on the curve %s, only P-256 is used", key.Curve.Params().Name)
		}
		return jwt.SigningMethodES256, nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < rsaMin || bits > rsaMax {
			return nil, fmt.Errorf("RSA of %d bits, it must have %d to %d", bits, rsaMin, rsaMax)
		}
		if key.E < 3 || key.E%2 == 0 {
			return nil, fmt.Errorf("RSA with the exponent %d", key.E)
		}
		return jwt.SigningMethodRS256, nil
	}
	return nil, fmt.Errorf("%T is no key that identity tokens are verified by", key)
}
