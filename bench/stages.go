//go:build linux

package main

import (
	"slices"
	"strings"
)

// stage is a part of the way of a booking, as the CPU's time is told apart.
type stage string

// The stages.
const (
	network     stage = "network"           // sockets: polling, reading, writing
	httpParse   stage = "HTTP parse"        // from the bytes of a request to its route
	admitting   stage = "admission"         // who is let through
	identifying stage = "identity and pass" // whose request it is
	decoding    stage = "JSON"              // of the request's body
	engine      stage = "engine"            // the rules and the state
	journaling  stage = "journal"           // the log, but for waiting on the disk
	syncing     stage = "fsync"
	answering   stage = "answers" // JSON and HTTP of what is sent
	serverRest  stage = "the rest of the server"
	background  stage = "work beside requests" // availability, the line's keeper, snapshots
	goRuntime   stage = "runtime"              // scheduler and collector
)

// backgroundOf is how the names of functions begin whose callees, whatever they
// are, are no part of a booking.
var backgroundOf = []string{
	"weir/server/availability.", "weir/server.(*keeper).", "weir/server.(*Server).refresh", "weir/server.(*Server).serveAdmin",
	"weir/persist/snapshot.", "weir/persist/recovery.", "github.com/cockroachdb/pebble",
}

// stageOf are the stages by how the names of functions begin. The first row
// that fits is taken.
var stageOf = []struct {
	prefix string
	stage  stage
}{
	{"syscall.Fsync", syncing},
	{"golang.org/x/sys/unix.Fdatasync", syncing},

	{"weir/server/admission.", admitting},
	{"weir/server/reactor.(*loop).adm", admitting},
	{"weir/server/reactor.(*loop).adj", admitting},
	{"weir/server/reactor.(*loop).limited", admitting},
	{"weir/server/reactor.(*loop).refuse", admitting},
	{"weir/server.(*Server).tooMany", admitting},

	{"weir/server/token.", identifying},
	{"weir/server/identity.", identifying},
	{"weir/server/session.", identifying},
	{"weir/server.(*exchange).authenticate", identifying},
	{"weir/server.(*exchange).byToken", identifying},
	{"weir/server.bearer", identifying},

	{"weir/server.(*exchange).wish", decoding},
	{"weir/server.decodeWish", decoding},
	{"weir/server.(*decoder).", decoding},

	{"weir/server.(*encoder).", answering},
	{"weir/server.append", answering},
	{"weir/server.(*exchange).booking", answering},
	{"weir/server.(*exchange).slotID", answering},
	{"weir/server.(*exchange).json", answering},
	{"weir/server.(*exchange).fail", answering},
	{"weir/core.AppendCode", answering},
	{"weir/core/campaign.(*Definition).Append", answering},
	{"github.com/valyala/fasthttp.(*Response", answering},
	{"github.com/valyala/fasthttp.writeResponse", answering},

	{"weir/server.(*fields).", httpParse},
	{"weir/server.(*exchange).split", httpParse},
	{"weir/server.(*exchange).cutPath", httpParse},
	{"weir/server.(*exchange).match", httpParse},
	{"weir/server/reactor.frame", httpParse},
	{"github.com/valyala/fasthttp.", httpParse},

	{"weir/server/reactor.", network},
	{"weir/server.(*front).", network},
	{"weir/server.(*rawListener).", network},

	{"weir/core/event.", journaling},
	{"weir/persist/wal.", journaling},
	{"github.com/tidwall/wal.", journaling},
	{"weir/core", engine},
	{"weir/server", serverRest},
	{"main.", serverRest},
}

// stageOfStack is the stage of the innermost function that belongs to one. What
// a stage calls of the libraries and the runtime is its own; what the runtime
// does by itself is nobody's but the runtime's.
func stageOfStack(stack string) stage {
	for name := range strings.SplitSeq(stack, ";") {
		if slices.ContainsFunc(backgroundOf, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			return background
		}
	}
	for stack != "" {
		cut := strings.LastIndexByte(stack, ';')
		if st, ok := stageOfFunction(stack[cut+1:]); ok {
			return st
		}
		stack = stack[:max(cut, 0)]
	}
	return goRuntime
}

func stageOfFunction(name string) (stage, bool) {
	for _, row := range stageOf {
		if strings.HasPrefix(name, row.prefix) {
			return row.stage, true
		}
	}
	return "", false
}

// shares are what part of all its time each stage took.
func (s stacks) shares() map[stage]float64 {
	shares, total := map[stage]float64{}, s.total()
	for stack, took := range s {
		shares[stageOfStack(stack)] += float64(took) / float64(total)
	}
	return shares
}
