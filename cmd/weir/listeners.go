package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
)

// listeners are the two addresses that the server answers at, and their
// certificates where they have some.
type listeners struct {
	public, admin       net.Listener
	publicTLS, adminTLS *certificate // nil: plain HTTP
}

// openListeners reads the certificates and opens both listeners, or none.
func openListeners(c *config) (*listeners, error) {
	l := &listeners{}
	var err error
	if l.publicTLS, err = openCertificate(c.tlsCert, c.tlsKey); err != nil {
		return nil, err
	}
	if l.adminTLS, err = openCertificate(c.adminTLSCert, c.adminTLSKey); err != nil {
		return nil, err
	}
	if l.public, err = listen(c.listen, c.freePorts); err != nil {
		return nil, fmt.Errorf("open the public listener: %w", err)
	}
	if l.admin, err = listen(c.admin, c.freePorts); err != nil {
		return nil, fmt.Errorf("open the admin listener: %w", errors.Join(err, l.public.Close()))
	}
	return l, nil
}

// listen opens one listener; where its port is taken and another will do, on a
// free one.
func listen(address string, freePort bool) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil || !freePort || !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}

// reload reads the certificates again.
func (l *listeners) reload() error {
	return errors.Join(l.publicTLS.load(), l.adminTLS.load())
}

// close closes both. A listener that the server has closed already is fine.
func (l *listeners) close() {
	_ = l.public.Close()
	_ = l.admin.Close()
}

// certificate is a listener's certificate, read again on demand so that a
// renewed one needs no restart. It is safe for concurrent use; nil is none.
type certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

// openCertificate reads a certificate. Without a file there is none.
func openCertificate(certFile, keyFile string) (*certificate, error) {
	if certFile == "" {
		return nil, nil
	}
	c := &certificate{certFile: certFile, keyFile: keyFile}
	return c, c.load()
}

// load reads the files. With an error the certificate stays as it was.
func (c *certificate) load() error {
	if c == nil {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read the certificate %s: %w", c.certFile, err)
	}
	c.current.Store(&pair)
	return nil
}

// config is what a listener needs; nil for plain HTTP.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}
