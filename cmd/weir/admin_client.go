package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/user"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"weir/server"
)

const (
	adminTimeout   = 30 * time.Second
	adminAnswerMax = 64 << 20 // bytes
)

// adminClient asks the admin listener of one server.
type adminClient struct {
	base      string // without a slash at its end
	token     string
	tokenFile string
	operator  string
	http      *http.Client
}

// newAdminClient makes a client of what the flags, or the server's own
// configuration, say.
func newAdminClient(cmd *cobra.Command) (*adminClient, error) {
	c, _, err := loadConfig(cmd, environment())
	if err != nil {
		return nil, err
	}
	if c.adminTokenFile == "" {
		return nil, usagef("the token of the admin listener is missing: name its file with --admin-token-file, or the server's configuration with --config")
	}
	token, err := server.ReadAdminToken(c.adminTokenFile)
	if err != nil {
		return nil, usageError{err}
	}
	client := &adminClient{
		base: "http://" + c.admin, token: string(token), tokenFile: c.adminTokenFile,
		http: &http.Client{Timeout: adminTimeout},
	}
	if account, err := user.Current(); err == nil {
		client.operator = operatorName(account.Username)
	}
	certFile, _ := cmd.Flags().GetString("cacert")
	if certFile == "" {
		certFile = c.adminTLSCert
	}
	if certFile != "" {
		client.base = "https://" + c.admin
		client.http.Transport, err = trusting(certFile)
	}
	return client, err
}

// trusting is a transport that believes the server's own certificate beside
// those that the machine believes.
func trusting(certFile string) (http.RoundTripper, error) {
	pem, err := os.ReadFile(certFile)
	if err != nil {
		return nil, usagef("read the certificate of the admin listener: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM(pem)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}, nil
}

// do asks and returns the body of a good answer. A problem is an error in the
// server's words.
func (c *adminClient) do(ctx context.Context, method, path string, wish any) ([]byte, error) {
	var body io.Reader
	if wish != nil {
		text, err := json.Marshal(wish)
		if err != nil {
			return nil, fmt.Errorf("ask the server: %w", err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, usagef("ask the server: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Weir-Operator", c.operator)
	if wish != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	answer, err := io.ReadAll(io.LimitReader(response.Body, adminAnswerMax))
	if err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, c.problem(response.StatusCode, answer)
	}
	return answer, nil
}

func (c *adminClient) unreachable(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("no server answers at %s: is it running, and is that its admin listener (--admin)?", c.base)
	}
	return fmt.Errorf("ask the server: %w", err)
}

func (c *adminClient) problem(status int, answer []byte) error {
	var problem struct{ Detail, Code string }
	if json.Unmarshal(answer, &problem) != nil || problem.Code == "" {
		return fmt.Errorf("%s answers %d and is no admin listener of weir: name it with --admin", c.base, status)
	}
	switch problem.Code {
	case "unauthenticated":
		return fmt.Errorf("the server does not take the token of %s", c.tokenFile)
	case "not_found":
		return errors.New("the server has no such campaign; weir admin status lists them")
	}
	return fmt.Errorf("%s (%s)", problem.Detail, problem.Code)
}
