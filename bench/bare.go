//go:build linux

package main

import (
	"bytes"
	"context"
	"io"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"
)

// bareTask tells the bare server what requests to read, and what to answer:
// what weir answered once.
type bareTask struct {
	bareRequest
	Status  int         `json:"status"`
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
}

// bareRequest is what a request has to be, and how much of it is read.
type bareRequest struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Bearer string `json:"bearer"` // what its credential begins with; empty: it has none
	Slot   bool   `json:"slot"`   // its body is JSON that names a slot
}

// bookingRequest is a booking as the bench makes them.
var bookingRequest = bareRequest{Method: fasthttp.MethodPost, Path: bookingsPath, Bearer: passStart, Slot: true}

// bareChild serves until in ends.
func bareChild(_ context.Context, in io.Reader, out io.Writer) error {
	var task bareTask
	return serveTask(in, out, &task, func() (*fasthttp.Server, func() error, error) {
		return task.server(func(_, _ []byte) (string, error) { return "", nil }), func() error { return nil }, nil
	})
}

// bookFunc books the slot with that readable id for whom the pass is. It
// returns the code of the problem where that is refused. What it is given is
// valid during the call alone.
type bookFunc func(pass, slot []byte) (refusal string, err error)

// server looks for the credential, decodes the body, has book decide and then
// sends the bytes and headers that weir would.
func (t *bareTask) server(book bookFunc) *fasthttp.Server {
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
	var parsers fastjson.ParserPool
	s.Handler = func(ctx *fasthttp.RequestCtx) {
		credential, ok := t.read(ctx)
		if !ok {
			ctx.SetStatusCode(fasthttp.StatusUnauthorized)
			return
		}
		if t.Slot {
			parser := parsers.Get()
			defer parsers.Put(parser)
			wish, err := parser.ParseBytes(ctx.PostBody())
			if err != nil || len(wish.GetStringBytes("slot")) == 0 {
				ctx.SetStatusCode(fasthttp.StatusBadRequest)
				return
			}
			refusal, err := book(credential, wish.GetStringBytes("slot"))
			if err != nil {
				ctx.Error(err.Error(), fasthttp.StatusInternalServerError) // whoever reads it is the bench
				return
			}
			if refusal != "" {
				ctx.Error(refusal, fasthttp.StatusConflict)
				return
			}
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

// read returns the request's credential, and false where it is not one of those
// that are answered.
func (r *bareRequest) read(ctx *fasthttp.RequestCtx) (credential []byte, ok bool) {
	if string(ctx.Method()) != r.Method || string(ctx.Path()) != r.Path {
		return nil, false
	}
	if r.Bearer == "" {
		return nil, true
	}
	credential, ok = bytes.CutPrefix(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization), []byte("Bearer "))
	return credential, ok && bytes.HasPrefix(credential, []byte(r.Bearer))
}
