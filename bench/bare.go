//go:build linux

package main

import (
	"bytes"
	"context"
	"io"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"
)

// bareTask tells the bare server what to answer: what weir answered once.
type bareTask struct {
	Status  int         `json:"status"`
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
}

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

// server looks for a pass, decodes the body, has book decide and then sends the
// bytes and headers that weir would.
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
	path := []byte(bookingsPath)
	var parsers fastjson.ParserPool
	s.Handler = func(ctx *fasthttp.RequestCtx) {
		pass, bearer := bytes.CutPrefix(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization), []byte("Bearer "))
		if !ctx.IsPost() || !bytes.Equal(ctx.Path(), path) || !bearer || !bytes.HasPrefix(pass, []byte("wp1.")) {
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
		refusal, err := book(pass, wish.GetStringBytes("slot"))
		if err != nil {
			ctx.Error(err.Error(), fasthttp.StatusInternalServerError) // whoever reads it is the bench
			return
		}
		if refusal != "" {
			ctx.Error(refusal, fasthttp.StatusConflict)
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
