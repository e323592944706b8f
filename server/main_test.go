package server

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(starvedVariable) != "" {
		os.Exit(serveStarved())
	}
	if order := os.Getenv(callersVariable); order != "" {
		os.Exit(holdConnections(order))
	}
	goleak.VerifyTestMain(m,
		// The HTTP library's cleaner of idle workers notices only after its
		// sleep of ten seconds that its server has stopped.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		// Its clock for Date headers runs for the life of the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	)
}
