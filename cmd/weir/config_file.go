package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// The configuration file is one YAML mapping of setting names, with
// underscores, to values:
//
//	data: /var/lib/weir
//	listen: 0.0.0.0:8080
//	campaigns: [kr-2021-50s.yaml]
//	identity:
//	  - {issuer: https://id.example, audience: weir, jwks_url: https://id.example/keys}
//
// File names in it are relative to the file itself. It is read strictly:
// unknown and repeated keys, values of another shape and further documents are
// refused with file, line and column.

// configFileMax bounds the size of a configuration file in bytes.
const configFileMax = 1 << 20

// fileIssuer is an entry of the file's list of issuers.
type fileIssuer struct {
	issuer
	place string
}

// fileReader turns the nodes of one file into given values.
type fileReader struct {
	name   string
	layers *layers
}

func (l *layers) addFile(name string) error {
	content, err := readBounded(name, configFileMax)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	r := &fileReader{name: name, layers: l}
	return r.read(content)
}

func (r *fileReader) read(content []byte) error {
	file, err := parser.ParseBytes(content, 0)
	if err != nil {
		return r.syntax(err)
	}
	if len(file.Docs) > 1 && file.Docs[1].Body != nil {
		return r.at(file.Docs[1].Body, "a second document: the configuration is one")
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil
	}
	entries, ok := mapping(file.Docs[0].Body)
	if !ok {
		return r.at(file.Docs[0].Body, "the configuration is a mapping of names to values")
	}
	for _, entry := range entries {
		if err := r.entry(entry); err != nil {
			return err
		}
	}
	return nil
}

func (r *fileReader) entry(entry *ast.MappingValueNode) error {
	key := entry.Key.GetToken().Value
	if key == "identity" {
		return r.identity(entry.Value)
	}
	known := []string{"identity"}
	for i := range settings {
		s := &settings[i]
		if s.ofIssuer() {
			continue
		}
		if s.fileKey() == key {
			return r.setting(s, entry.Value)
		}
		known = append(known, s.fileKey())
	}
	return r.at(entry.Key, fmt.Sprintf("%q is no setting; the nearest one is %s", key, nearest(key, known)))
}

func (r *fileReader) setting(s *setting, value ast.Node) error {
	nodes := []ast.Node{value}
	if sequence, ok := value.(*ast.SequenceNode); ok && s.list {
		nodes = sequence.Values
	}
	g := given{from: r.place(value)}
	for _, node := range nodes {
		text, err := r.scalar(s.fileKey(), node, s.path)
		if err != nil {
			return err
		}
		g.values = append(g.values, text)
		g.places = append(g.places, r.place(node)+": "+s.fileKey())
	}
	r.layers.given[s.name] = g
	return nil
}

func (r *fileReader) identity(value ast.Node) error {
	sequence, ok := value.(*ast.SequenceNode)
	if !ok {
		return r.at(value, "identity is a list of issuers")
	}
	for _, node := range sequence.Values {
		entries, ok := mapping(node)
		if !ok {
			return r.at(node, "an issuer is a mapping: issuer, audience, and hs256_file, jwks_file or jwks_url")
		}
		one := fileIssuer{place: r.place(node)}
		for _, entry := range entries {
			if err := r.issuerEntry(&one.issuer, entry); err != nil {
				return err
			}
		}
		r.layers.issuers = append(r.layers.issuers, one)
	}
	return nil
}

func (r *fileReader) issuerEntry(one *issuer, entry *ast.MappingValueNode) error {
	fields := map[string]*string{
		"issuer": &one.name, "audience": &one.audience,
		"hs256_file": &one.hs256File, "jwks_file": &one.jwksFile, "jwks_url": &one.jwksURL,
	}
	key := entry.Key.GetToken().Value
	field, ok := fields[key]
	if !ok {
		known := []string{"issuer", "audience", "hs256_file", "jwks_file", "jwks_url"}
		return r.at(entry.Key, fmt.Sprintf("%q is no setting of an issuer; the nearest one is %s", key, nearest(key, known)))
	}
	text, err := r.scalar(key, entry.Value, strings.HasSuffix(key, "_file"))
	*field = text
	return err
}

// scalar is the text of a value that is one word. Names of files are made
// relative to the configuration file.
func (r *fileReader) scalar(key string, node ast.Node, path bool) (string, error) {
	var text string
	switch n := node.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		text = n.GetToken().Value
	default:
		return "", r.at(node, fmt.Sprintf("%s is a word or a number; this is of another kind: %s", key, strings.ToLower(node.Type().String())))
	}
	if text == "" {
		return "", r.at(node, key+" is empty")
	}
	if path && !filepath.IsAbs(text) && !isSample(text) {
		text = filepath.Join(filepath.Dir(r.name), text)
	}
	return text, nil
}

func (r *fileReader) place(node ast.Node) string {
	p := node.GetToken().Position
	return fmt.Sprintf("%s:%d:%d", r.name, p.Line, p.Column)
}

func (r *fileReader) at(node ast.Node, message string) error {
	return fmt.Errorf("%s: %s", r.place(node), message)
}

// syntax gives an error of the YAML parser the form of all others.
func (r *fileReader) syntax(err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	p := at.GetToken().Position
	return fmt.Errorf("%s:%d:%d: %s", r.name, p.Line, p.Column, at.GetMessage())
}

// mapping returns the entries of a mapping, whichever of its two forms the
// parser chose.
func mapping(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}
