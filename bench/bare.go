//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"
)

const shutdownTimeout = 5 * time.Second

// bareTask tells the bare server what to answer: what weir answered once.
type bareTask struct {
	Status  int         `json:"status"`
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
}

// bareServer is the bare server as a process of its own. It stops when its
// standard input ends.
type bareServer struct {
	addr    string
	command *exec.Cmd
	input   io.Closer
}

func startBare(ctx context.Context, task *bareTask) (*bareServer, error) {
	encoded, err := json.Marshal(task)
	if err != nil {
		return nil, fmt.Errorf("start bare server: %w", err)
	}
	command, err := childCommand(ctx, "bare")
	if err != nil {
		return nil, err
	}
	input, err1 := command.StdinPipe()
	output, err2 := command.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("start bare server: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start bare server: %w", err)
	}
	s := &bareServer{command: command, input: input}
	_, err = input.Write(append(encoded, '\n'))
	if err == nil {
		err = json.NewDecoder(output).Decode(&s.addr) // its one line
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start bare server: %w", err), s.stop())
	}
	return s, nil
}

func (s *bareServer) stop() error {
	if err := errors.Join(s.input.Close(), s.command.Wait()); err != nil {
		return fmt.Errorf("stop bare server: %w", err)
	}
	return nil
}

// bareChild serves until in ends.
func bareChild(_ context.Context, in io.Reader, out io.Writer) error {
	tasks := json.NewDecoder(in)
	var task bareTask
	if err := tasks.Decode(&task); err != nil {
		return fmt.Errorf("read task: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := task.server()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := json.NewEncoder(out).Encode(listener.Addr().String()); err != nil {
		return fmt.Errorf("tell the address: %w", err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return fmt.Errorf("await the end: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	return errors.Join(server.ShutdownWithContext(ctx), <-served)
}

// server answers a booking without making one: it looks for a pass, decodes
// the body, and sends the bytes and headers that weir would.
func (t *bareTask) server() *fasthttp.Server {
	s := &fasthttp.Server{NoDefaultServerHeader: true, NoDefaultDate: true, NoDefaultContentType: true}
	contentType := ""
	var others [][2]string
	for _, h := range t.Headers {
		switch h[0] {
		case fasthttp.HeaderServer:
			s.Name, s.NoDefaultServerHeader = h[1], false
		case fasthttp.HeaderDate:
			s.NoDefaultDate = false
		case fasthttp.HeaderContentType:
			contentType = h[1]
		case fasthttp.HeaderContentLength:
		default:
			others = append(others, h)
		}
	}
	body := []byte(t.Body)
	path := []byte(bookingsPath)
	var parsers fastjson.ParserPool
	s.Handler = func(ctx *fasthttp.RequestCtx) {
		if !ctx.IsPost() || !bytes.Equal(ctx.Path(), path) ||
			!bytes.HasPrefix(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization), []byte("Bearer wp1.")) {
			ctx.SetStatusCode(fasthttp.StatusUnauthorized)
			return
		}
		parser := parsers.Get()
		defer parsers.Put(parser)
		wish, err := parser.ParseBytes(ctx.PostBody())
		if err != nil || len(wish.GetStringBytes("slot")) == 0 {
			ctx.SetStatusCode(fasthttp.StatusBadRequest)
			return
		}
		ctx.SetStatusCode(t.Status)
		ctx.SetContentType(contentType)
		for _, h := range others {
			ctx.Response.Header.Set(h[0], h[1])
		}
		ctx.SetBody(body)
	}
	return s
}
