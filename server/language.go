package server

import (
	"sync"

	"golang.org/x/text/language"
)

// lang is a language that people are answered in.
type lang uint8

// The languages. The first is what people get who ask for none of them.
const (
	english lang = iota
	korean
	languages
)

var (
	languageTags    = [languages]string{english: "en", korean: "ko"}
	languageMatcher = language.NewMatcher([]language.Tag{english: language.English, korean: language.Korean})
)

const (
	acceptLanguageMax   = 256 // bytes; longer ones are answered in the first language
	languageCacheMaxLen = 512 // entries
)

// languageCache remembers what Accept-Language headers came to: browsers send
// few different ones, and parsing one costs more than the rest of an answer.
type languageCache struct {
	mu    sync.RWMutex
	known map[string]lang // guarded by mu; at most languageCacheMaxLen
}

// match picks the language for an Accept-Language header.
func (c *languageCache) match(header []byte) lang {
	if len(header) == 0 || len(header) > acceptLanguageMax {
		return english
	}
	c.mu.RLock()
	l, ok := c.known[string(header)]
	c.mu.RUnlock()
	if ok {
		return l
	}
	l = matchLanguage(string(header))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= languageCacheMaxLen {
		c.known = make(map[string]lang)
	}
	c.known[string(header)] = l
	return l
}

func matchLanguage(header string) lang {
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return english
	}
	_, i, confidence := languageMatcher.Match(tags...)
	if confidence == language.No {
		return english
	}
	return lang(i)
}
