package server

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// The description and the server are held together: every route is described,
// everything described is a route, and every answer of the tests is checked
// against its description.

var described = sync.OnceValues(func() (*openapi3.T, error) {
	for _, text := range []string{"text/html", "text/calendar", "application/yaml", "application/x-ndjson", "text/csv"} {
		openapi3filter.RegisterBodyDecoder(text, openapi3filter.FileBodyDecoder)
	}
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(openapi3.NewLoader().Context)
})

func TestDescriptionAndRoutesAgree(t *testing.T) {
	doc, err := described()
	must(t, err)
	var there, said []string
	for _, r := range publicRoutes {
		there = append(there, r.method+" "+r.pattern)
	}
	for _, r := range operatorRoutes {
		there = append(there, r.method+" "+r.pattern)
	}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			if !isForWatchers(path) {
				said = append(said, method+" "+path)
			}
		}
	}
	slices.Sort(there)
	slices.Sort(said)
	if !slices.Equal(there, said) {
		t.Fatalf("served:\n%s\ndescribed:\n%s", strings.Join(there, "\n"), strings.Join(said, "\n"))
	}
}

// isForWatchers tells the paths of the admin listener that are no routes.
func isForWatchers(path string) bool {
	return path == "/livez" || path == "/readyz" || path == "/metrics" || strings.HasPrefix(path, "/debug/")
}

// TestDescribedCodes holds the table of faults and the description's list of
// codes together.
func TestDescribedCodes(t *testing.T) {
	doc, err := described()
	must(t, err)
	var there, said []string
	for f := fault(1); f < faultEnd; f++ {
		if there = append(there, faults[f].code); faults[f].status == 0 || faults[f].title[korean] == "" || faults[f].detail[english] == "" {
			t.Errorf("fault %d is incomplete", f)
		}
		if retry := faults[f].status == 429 || faults[f].status == 503; retry != (faults[f].retry > 0) {
			t.Errorf("%s: status %d with retry %v", faults[f].code, faults[f].status, faults[f].retry)
		}
	}
	for _, v := range doc.Components.Schemas["Problem"].Value.Properties["code"].Value.Enum {
		said = append(said, v.(string))
	}
	slices.Sort(there)
	slices.Sort(said)
	if there = slices.Compact(there); !slices.Equal(there, said) {
		t.Fatalf("there are %v, described are %v", there, said)
	}
}

// patternOf finds the route that a request is for.
func patternOf(req *http.Request) string {
	if r, _, err := findOperatorRoute(req.Method, req.URL.Path); err == nil {
		return r.pattern
	}
	segments := bytes.Split([]byte(req.URL.EscapedPath()[1:]), []byte{'/'})
	i := slices.IndexFunc(publicRoutes, func(r route) bool { return r.fits(segments) && r.takes([]byte(req.Method)) })
	if i < 0 {
		return ""
	}
	return publicRoutes[i].pattern
}

// checkDescribed holds one answer against the description.
func checkDescribed(t testing.TB, req *http.Request, a *answer) {
	t.Helper()
	doc, err := described()
	must(t, err)
	pattern := patternOf(req)
	if pattern == "" || req.Method == http.MethodHead || a.header.Get("Content-Encoding") != "" {
		return
	}
	item := doc.Paths.Value(pattern)
	if item == nil {
		t.Fatalf("%s is not described", pattern)
	}
	err = openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: req,
			Route:   &routers.Route{Spec: doc, PathItem: item, Method: req.Method, Operation: item.GetOperation(req.Method)},
		},
		Status: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		t.Fatalf("%s %s, %d: not as described: %v\n%s", req.Method, req.URL, a.status, err, a.body)
	}
}
