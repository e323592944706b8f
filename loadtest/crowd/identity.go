//go:build linux

package crowd

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strconv"
	"time"

	"weir/core/campaign"
	"weir/loadtest/answers"
)

// Issuer is whom the server believes who people are.
type Issuer struct {
	Secret         []byte // HS256
	Name, Audience string
}

// Subject is what the issuer calls a person.
func Subject(p answers.Person) string { return "p" + strconv.Itoa(int(p)) }

// minter signs identity tokens (RFC 7519, HS256), one after the other and
// without allocating. All end at the same time.
type minter struct {
	mac    hash.Hash
	header []byte // in base64, with the dot
	before []byte // of the claims, up to the birth date
	claims []byte // scratch
	sum    []byte // scratch
}

func newMinter(i *Issuer, ends time.Time) *minter {
	m := &minter{mac: hmac.New(sha256.New, i.Secret)}
	m.header = append(base64.RawURLEncoding.AppendEncode(nil, []byte(`{"alg":"HS256","typ":"JWT"}`)), '.')
	m.before = append(m.before, `{"iss":`...)
	m.before = strconv.AppendQuote(m.before, i.Name)
	m.before = append(m.before, `,"aud":`...)
	m.before = strconv.AppendQuote(m.before, i.Audience)
	m.before = append(m.before, `,"exp":`...)
	m.before = strconv.AppendInt(m.before, ends.Unix(), 10)
	m.before = append(m.before, `,"birthdate":"`...)
	return m
}

// append appends the token of a person.
func (m *minter) append(dst []byte, p answers.Person, born campaign.Date) []byte {
	m.claims = born.Append(append(m.claims[:0], m.before...))
	m.claims = append(m.claims, `","sub":"p`...)
	m.claims = strconv.AppendUint(m.claims, uint64(p), 10)
	m.claims = append(m.claims, `"}`...)
	from := len(dst)
	dst = append(dst, m.header...)
	dst = base64.RawURLEncoding.AppendEncode(dst, m.claims)
	m.mac.Reset()
	m.mac.Write(dst[from:]) // a hash never fails
	m.sum = m.mac.Sum(m.sum[:0])
	return base64.RawURLEncoding.AppendEncode(append(dst, '.'), m.sum)
}
