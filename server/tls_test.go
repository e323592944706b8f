package server

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestTLS(t *testing.T) {
	lender := httptest.NewTLSServer(http.NotFoundHandler()) // of its certificate
	defer lender.Close()
	config := &tls.Config{Certificates: lender.TLS.Certificates, MinVersion: tls.VersionTLS12}
	s := newStand(t, func(c *Config) {
		c.PublicTLS = config
		c.Limits.ReadTimeout = time.Second
	})
	roots := x509.NewCertPool()
	roots.AddCert(lender.Certificate())
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}}
	res, err := client.Get("https://" + s.public + "/v1/campaigns")
	must(t, err)
	readAnswer(t, res).want(200, "")

	plain := dial(t, s.public)
	send(t, plain, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	waitFor(t, "plain text to be hung up on", func() bool {
		_, err := plain.Read(make([]byte, 256))
		return err != nil
	})
}
