package identity

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"weir/core/campaign"
)

// Bounds of an HS256 secret in bytes. RFC 7518 asks for the length of the hash
// at least.
const (
	minSecret = 32
	maxSecret = 4 << 10
)

// ReadSecret reads the HS256 secret in the file at path, 32 to 4096 bytes. In
// a file of text (printable ASCII) the line's end is not part of the secret;
// a file of anything else is the secret as it is.
func ReadSecret(path string) ([]byte, error) {
	secret, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read HS256 secret: %w", err)
	}
	if line := bytes.TrimRight(secret, "\r\n"); isText(line) {
		secret = line
	}
	if len(secret) < minSecret || len(secret) > maxSecret {
		return nil, fmt.Errorf("read HS256 secret: %s has %d bytes, it must have %d to %d (make one with: openssl rand -hex 32 > %s)",
			path, len(secret), minSecret, maxSecret, path)
	}
	return secret, nil
}

func isText(line []byte) bool {
	for _, c := range line {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func readSecretKeys(path string) (*keySet, error) {
	secret, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	return &keySet{keys: []pinnedKey{{method: jwt.SigningMethodHS256, material: newMACs(secret)}}, anyID: true}, nil
}

// Mint signs an HS256 identity token, for rehearsals and tests: of the person
// subject, born on born, good from now for ttl. Its times are whole seconds.
func Mint(secret []byte, issuer, audience, subject string, born campaign.Date, now time.Time, ttl time.Duration) string {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss":       issuer,
		"aud":       audience,
		"sub":       subject,
		"birthdate": born.String(),
		"iat":       now.Unix(),
		"exp":       now.Add(ttl).Unix(),
	})
	signed, err := token.SignedString(secret)
	if err != nil {
		// It takes a field that JSON cannot carry or a hash that is not linked
		// in; the types above leave neither.
		panic("identity: mint: " + err.Error())
	}
	return signed
}
