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

// The algorithms, of which each key has one.
var (
	algHS256 = jwt.SigningMethodHS256.Alg()
	algEdDSA = jwt.SigningMethodEdDSA.Alg()
	algES256 = jwt.SigningMethodES256.Alg()
	algRS256 = jwt.SigningMethodRS256.Alg()

	algorithms = []string{algHS256, algEdDSA, algES256, algRS256}
)

// pinnedKey is a key with the one algorithm that it may be used by.
type pinnedKey struct {
	id        string // "kid"; "" where the key has none
	algorithm string
	material  any // as jwt.SigningMethod.Verify takes it: by its type, of that algorithm alone
}

// keySet is the keys of one issuer at one moment. It never changes.
type keySet struct {
	keys  []pinnedKey
	anyID bool // the issuer has one key for good: what a token calls it does not matter
}

// find returns the key of that id for that algorithm. The errors are errKey,
// where another read of the keys might help, and errAlgorithm.
func (s *keySet) find(id, algorithm string) (any, error) {
	err := error(errKey)
	for i := range s.keys {
		key := &s.keys[i]
		if !s.isMeant(key, id) {
			continue
		}
		if key.algorithm == algorithm {
			return key.material, nil
		}
		err = errAlgorithm
	}
	return nil, err
}

// isMeant tells whether a token with that "kid" means key. A token without one
// means the only key there is.
func (s *keySet) isMeant(key *pinnedKey, id string) bool {
	if id == "" || s.anyID {
		return len(s.keys) == 1
	}
	return key.id == id
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
	key := pinnedKey{id: m.KID, material: jwk.Key()}
	key.algorithm, err = algorithmOf(jwk.Key())
	if err != nil {
		return pinnedKey{}, err
	}
	if alg := m.ALG.String(); alg != "" && alg != key.algorithm && (key.algorithm != algEdDSA || alg != "Ed25519") {
		return pinnedKey{}, fmt.Errorf("of the algorithm %q, this kind of key is used for %s alone", alg, key.algorithm)
	}
	return key, nil
}

// algorithmOf returns the algorithm that a public key is used by.
func algorithmOf(key any) (string, error) {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return algEdDSA, nil
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return "", fmt.Errorf("on the curve %s, only P-256 is used", key.Curve.Params().Name)
		}
		return algES256, nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < rsaMin || bits > rsaMax {
			return "", fmt.Errorf("RSA of %d bits, it must have %d to %d", bits, rsaMin, rsaMax)
		}
		if key.E < 3 || key.E%2 == 0 {
			return "", fmt.Errorf("RSA with the exponent %d", key.E)
		}
		return algRS256, nil
	}
	return "", fmt.Errorf("%T is no key that identity tokens are verified by", key)
}
