package server

import (
	_ "embed"
	"strconv"

	"github.com/zeebo/xxh3"
)

//go:embed openapi.yaml
var openAPI []byte

var frontPage = []byte(`<!doctype html>
<html lang="ko">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>weir</title>
<style>body{font:1.25rem/1.6 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}</style>
<h1>weir</h1>
<p>예약 서비스입니다. 프로그램에서 쓰는 방법은 <a href="/openapi.yaml">설명서</a>에 있습니다.</p>
<p lang="en">This is a booking service. How programs use it is described <a href="/openapi.yaml">here</a>.</p>
</html>
`)

var (
	openAPITag   = entityTag(openAPI)
	frontPageTag = entityTag(frontPage)
)

// entityTag is a strong ETag of a document.
func entityTag(body []byte) string {
	return `"` + strconv.FormatUint(xxh3.Hash(body), 36) + `"`
}
