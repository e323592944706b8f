package campaign

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const textMax = 400 // bytes of any text

// document reads the one YAML document of a definition file, or reports why it
// cannot and returns nil. The library's parser recurses and is given only what
// inspect found shallow; where it panics all the same, that is a problem of the
// file too.
func (r *reader) document(content []byte) (root ast.Node) {
	begin := place{inDefinition, 1, 1}
	if len(content) > definitionMax {
		r.add(begin, "put the sites into a file of their own", "the file has %d bytes, %d are the most", len(content), definitionMax)
		return nil
	}
	if !r.checkEncoding(inDefinition, content) {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			r.add(begin, "write the file in plain YAML", "the file cannot be read as YAML: %v", p)
			root = nil
		}
	}()
	tokens := lexer.Tokenize(string(bytes.TrimPrefix(content, byteOrderMark)))
	if !r.inspect(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.addSyntax(err)
		return nil
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		r.add(begin, "write the campaign as one document", "the file has no campaign in it")
		return nil
	}
	return file.Docs[0].Body
}

var byteOrderMark = []byte("\ufeff")

// checkEncoding refuses what is not UTF-8 text.
func (r *reader) checkEncoding(file int, content []byte) bool {
	content = bytes.TrimPrefix(content, byteOrderMark)
	line, start := 1, 0
	for i := 0; i < len(content); {
		c, size := utf8.DecodeRune(content[i:])
		if c == utf8.RuneError && size == 1 || c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			column := i - start + 1
			if file == inDefinition {
				column = utf8.RuneCount(content[start:i]) + 1
			}
			r.add(place{file, line, column}, "save the file as UTF-8 text", "byte 0x%02X is not UTF-8 text", content[i])
			return false
		}
		i += size
		if c == '\n' {
			line, start = line+1, i
		}
	}
	return true
}

func (r *reader) addSyntax(err error) {
	at, message := place{inDefinition, 1, 1}, err.Error()
	var positioned interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if errors.As(err, &positioned) {
		message = positioned.GetMessage()
		if t := positioned.GetToken(); t != nil {
			at = tokenPlace(t)
		}
	}
	r.add(at, "correct the YAML here or just before", "not well-formed YAML: %s", clip(message))
}

// What a definition has no use for, and a reader who must trust it at a glance
// even less.
var unusedYAML = map[token.Type]string{
	token.AnchorType: "an anchor", token.AliasType: "an alias", token.TagType: "a tag",
	token.DirectiveType: "a directive", token.MergeKeyType: "a merge key", token.MappingKeyType: "a complex key",
	token.LiteralType: "a block of text", token.FoldedType: "a block of text",
}

// inspect refuses tokens that a definition has no use for, further documents,
// and what would exhaust the library: nesting that takes its stack, and so many
// entries that its time, which grows with their square, runs away.
func (r *reader) inspect(tokens token.Tokens) bool {
	const entriesMax = 10_000
	var s structure
	for _, t := range tokens {
		if t.Type == token.CommentType {
			continue
		}
		if name, unused := unusedYAML[t.Type]; unused {
			r.add(tokenPlace(t), "write the value out in place, on one line", "%s (%s) is not used in campaign files", name, clip(strings.TrimSpace(t.Value)))
			return false
		}
		if t.Type == token.InvalidType {
			r.add(tokenPlace(t), "correct the YAML here or just before", "not well-formed YAML: %s", clip(t.Error))
			return false
		}
		if t.Type == token.DocumentEndType || t.Type == token.DocumentHeaderType && s.begun {
			r.add(tokenPlace(t), "keep one campaign in one file", "a second document begins here")
			return false
		}
		if s.take(t); s.deep {
			r.add(tokenPlace(t), "write it flatter, as the documentation shows", "nested too deep")
			return false
		}
		if s.entries > entriesMax {
			r.add(tokenPlace(t), "put the sites into a file of their own", "the file has more than %d entries", entriesMax)
			return false
		}
	}
	return true
}

// structure follows how tokens nest.
type structure struct {
	begun   bool
	deep    bool
	flow    int // brackets and braces open
	colons  int // since the last bracket, brace or comma
	entries int // keys and list items
}

func (s *structure) take(t *token.Token) {
	const flowMax, columnMax = 8, 200 // a column or a bracket each level, at least
	s.begun = true
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		s.flow, s.colons = s.flow+1, 0
		s.deep = s.flow > flowMax
	case token.MappingEndType, token.SequenceEndType:
		s.flow, s.colons = s.flow-1, 0
	case token.CollectEntryType:
		s.colons = 0
	case token.MappingValueType:
		s.colons++
		s.entries++
		s.deep = s.flow > 0 && s.colons > 1 || s.flow == 0 && t.Position.Column > columnMax
	case token.SequenceEntryType:
		s.entries++
		s.deep = s.flow > 0 || t.Position.Column > columnMax
	}
}

func tokenPlace(t *token.Token) place {
	return place{inDefinition, max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

// at returns where n begins.
func at(n ast.Node) place {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return at(n.Values[0])
		}
	case *ast.MappingValueNode:
		return tokenPlace(n.Key.GetToken())
	}
	return tokenPlace(n.GetToken())
}

// object is a mapping with known keys.
type object struct {
	at     place
	values map[string]ast.Node
}

// value returns the value of key, or nil where it is missing.
func (o *object) value(key string) ast.Node { return o.values[key] }

// object reads a mapping that has all required keys, perhaps the optional ones
// and no others. It returns nil only where n is no mapping.
func (r *reader) object(n ast.Node, what string, required, optional []string) *object {
	m, ok := n.(ast.MapNode)
	known := append(slices.Clone(required), optional...)
	remedy := "fields of " + what + ": " + strings.Join(known, ", ")
	if !ok {
		r.add(at(n), remedy, "%s must be fields with values, found %s", what, kindOf(n))
		return nil
	}
	o := &object{at: at(n), values: map[string]ast.Node{}}
	for entries := m.MapRange(); entries.Next(); {
		key := entries.Key().GetToken().Value
		_, text := entries.Key().(*ast.StringNode)
		switch _, twice := o.values[key]; {
		case !text || !slices.Contains(known, key):
			r.add(at(entries.Key()), remedy, "%s has no field %q", what, clip(key))
		case twice:
			r.add(at(entries.Key()), "keep one of them", "%q is given twice", key)
		default:
			o.values[key] = entries.Value()
		}
	}
	for _, key := range required {
		if o.values[key] == nil {
			r.add(o.at, "add "+key, "%s needs the field %q", what, key)
		}
	}
	return o
}

// list reads a list of 1 to limit values. Where single is set, a value that is
// no list is a list of one.
func (r *reader) list(n ast.Node, what string, limit int, single bool) []ast.Node {
	if n == nil {
		return nil
	}
	s, ok := n.(*ast.SequenceNode)
	switch {
	case !ok && single:
		return []ast.Node{n}
	case !ok:
		r.add(at(n), "write [a, b], or one a line with a - before each", "%s must be a list, found %s", what, kindOf(n))
		return nil
	case len(s.Values) == 0:
		r.add(at(n), "list at least one", "%s is an empty list", what)
	case len(s.Values) > limit:
		r.add(at(n), "split the campaign", "%s has %d entries, %d are the most", what, len(s.Values), limit)
		return nil
	}
	return s.Values
}

// text reads a text for people or a name. It reports nothing where n is nil:
// the missing field has been reported.
func (r *reader) text(n ast.Node, what string) (string, bool) {
	if n == nil {
		return "", false
	}
	s, ok := n.(*ast.StringNode)
	if !ok {
		remedy := "put it in quotes"
		switch n.(type) {
		case *ast.NullNode, *ast.SequenceNode:
			remedy = "give one text"
		case *ast.MappingNode, *ast.MappingValueNode:
			// The library takes 09:00 in a list in braces for a key and its value.
			remedy = "give one text, in quotes if it has a colon in it"
		}
		r.add(at(n), remedy, "%s must be text, found %s", what, kindOf(n))
		return "", false
	}
	if fault := textFault(s.Value, textMax); fault != "" {
		r.add(at(n), fmt.Sprintf("give 1 to %d bytes of text", textMax), "%s %s", what, fault)
		return "", false
	}
	return s.Value, true
}

// integer reads a whole number from low to high.
func (r *reader) integer(n ast.Node, what string, low, high int) (int, bool) {
	if n == nil {
		return 0, false
	}
	remedy := fmt.Sprintf("give a whole number from %d to %d", low, high)
	if _, ok := n.(*ast.IntegerNode); !ok {
		r.add(at(n), remedy, "%s must be a whole number, found %s", what, kindOf(n))
		return 0, false
	}
	source := n.GetToken().Value
	v, err := strconv.Atoi(source)
	if err != nil || strconv.Itoa(v) != source || v < low || v > high {
		r.add(at(n), remedy, "%s %s is not a whole number from %d to %d", what, clip(source), low, high)
		return 0, false
	}
	return v, true
}

func (r *reader) boolean(n ast.Node, what string) (value, ok bool) {
	if n == nil {
		return false, false
	}
	b, ok := n.(*ast.BoolNode)
	if !ok {
		r.add(at(n), "write true or false", "%s must be true or false, found %s", what, kindOf(n))
		return false, false
	}
	return b.Value, true
}

var durationPattern = regexp.MustCompile(`^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$`)

// duration reads a duration such as 5m, 24h or 1h30m, from low to high.
func (r *reader) duration(n ast.Node, what string, low, high time.Duration) (time.Duration, bool) {
	if n == nil {
		return 0, false
	}
	remedy := fmt.Sprintf("write hours, minutes and seconds such as 1h30m, from %s to %s", compact(low), compact(high))
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode:
	default:
		r.add(at(n), remedy, "%s must be a duration, found %s", what, kindOf(n))
		return 0, false
	}
	source := n.GetToken().Value
	v, err := time.ParseDuration(source)
	if err != nil || source != "0" && !durationPattern.MatchString(source) || v < low || v > high {
		r.add(at(n), remedy, "%s %q is not a duration from %s to %s", what, clip(source), compact(low), compact(high))
		return 0, false
	}
	return v, true
}

// compact writes a duration as definition files do: 24h, not 24h0m0s.
func compact(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-len("0s")]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-len("0m")]
	}
	return s
}

// kindOf names what n is in plain words.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case nil:
		return "nothing"
	case *ast.NullNode:
		return "nothing"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "fields"
	case *ast.StringNode:
		return "text"
	case *ast.BoolNode:
		return "true or false"
	case *ast.FloatNode:
		return "a number with a fraction"
	}
	return "a number"
}
