//go:build !race

package server

import (
	"testing"
	"time"
)

// The race detector makes pools forget at random, so this counts without it.

// TestThePublicLineAllocatesNothing: six million people ask for it.
func TestThePublicLineAllocatesNothing(t *testing.T) {
	s := parts(t, nil)
	s.attach(drawn)
	s.tick(time.Second)
	ctx := request(t, "GET", small+"/line", "")
	allocs := testing.AllocsPerRun(200, func() {
		ctx.Response.Reset()
		s.srv.servePublic(ctx)
	})
	if ctx.Response.StatusCode() != 200 || allocs != 0 {
		t.Fatalf("%v allocations, %d %s", allocs, ctx.Response.StatusCode(), ctx.Response.Body())
	}
}

// TestBookingAllocatesNothing is the guard of the hot path: the same booking
// again takes every step of the first but the record's.
func TestBookingAllocatesNothing(t *testing.T) {
	s := parts(t, func(c *Config) { c.Admission.Off = true }) // one person, far too often
	s.attach()
	ctx := hotBooking(t, s)
	s.srv.servePublic(ctx)
	if ctx.Response.StatusCode() != 201 {
		t.Fatalf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
	allocs := testing.AllocsPerRun(200, func() {
		ctx.Response.Reset()
		s.srv.servePublic(ctx)
	})
	if ctx.Response.StatusCode() != 200 || allocs != 0 {
		t.Fatalf("%v allocations, %d %s", allocs, ctx.Response.StatusCode(), ctx.Response.Body())
	}
}
