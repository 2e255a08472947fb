/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package bugreport

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Names replaces names of objects by others, the same name always by the same.
type Names struct {
	key []byte

	mutex sync.Mutex
	known map[string]string
}

// NewNames makes names that nobody can guess back: with another key each time.
func NewNames() *Names {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return &Names{key: key, known: map[string]string{}}
}

// kept are names that everybody has.
var kept = map[string]bool{
	"": true, "default": true, "kube-system": true, "kube-public": true, "kube-node-lease": true, "kubernetes": true, "kube-dns": true,
	"coredns": true, "localhost": true, "http": true, "https": true, "metrics": true, "dns": true,
}

// Add has a name replaced. Ours stay: they say nothing about their owner.
func (n *Names) Add(name string) {
	if n == nil || kept[name] || strings.HasPrefix(name, "switchyard-") || strings.HasSuffix(name, ".switchyard.dev") {
		return
	}
	sum := hmac.New(sha256.New, n.key)
	_, _ = sum.Write([]byte(name))
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.known[name] = "name-" + hex.EncodeToString(sum.Sum(nil))[:10]
}

// Replace replaces them in a text, also where they are parts of others. A document in
// JSON stays one, and so does one at the end of a line of a log.
func (n *Names) Replace(text string) string {
	if n == nil {
		return text
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if len(n.known) == 0 {
		return text
	}
	return n.text(text)
}

// ReplacePath replaces them in the path of an entry, in which the first part is ours,
// and the last one is but for logs.
func (n *Names) ReplacePath(path string) string {
	parts := strings.Split(path, "/")
	for i := 1; i < len(parts); i++ {
		if i < len(parts)-1 || parts[0] == "logs" {
			parts[i] = n.Replace(parts[i])
		}
	}
	return strings.Join(parts, "/")
}

func (n *Names) text(text string) string {
	if isDocument(text) {
		return n.document(text)
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		end := len(line)
		if at := strings.IndexAny(line, "{["); at >= 0 && isDocument(line[at:]) {
			end = at
		}
		out.WriteString(n.words(line[:end]))
		if end < len(line) {
			out.WriteString(n.document(line[end:]))
		}
	}
	return out.String()
}

var (
	// fieldName is what fields of objects are called. A member of another name has that
	// of somebody.
	fieldName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_]*$`)
	// userNamed are fields whose members have names that users give.
	userNamed = map[string]bool{
		"labels": true, "annotations": true, "matchLabels": true, "selector": true, "nodeSelector": true, "data": true,
	}
	// versioned are fields whose values are Kubernetes' own.
	versioned = map[string]bool{"apiVersion": true, "apiVersions": true, "apiGroup": true, "apiGroups": true}
)

// document replaces names in strings alone: a namespace may be called true or 7, and a
// Service spec.
func (n *Names) document(text string) string {
	var out strings.Builder
	at := 0
	m := members{text: text}
	for p, raw := m.next(); p != ended; p, raw = m.next() {
		if p != isKey && p != isText || p == isText && versioned[m.key] {
			continue
		}
		was := decoded(raw)
		if p == isKey && fieldName.MatchString(was) && !userNamed[m.in()] {
			continue
		}
		if is := n.text(was); is != was && !isTime(was) {
			out.WriteString(text[at : m.at-len(raw)])
			out.WriteString(encodedText(is))
			at = m.at
		}
	}
	out.WriteString(text[at:])
	return out.String()
}

func isTime(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil
}

// token is what may be a name, or have names between dashes and dots, as those of pods
// and in DNS have. What is escaped, as in a text within another, begins none.
var token = regexp.MustCompile(`\\+(?:[nrt]|u[0-9A-Fa-f]{4})|[A-Za-z0-9][A-Za-z0-9.-]*`)

// words replaces them in what is no document.
func (n *Names) words(text string) string { return token.ReplaceAllStringFunc(text, n.token) }

// mostParts is how many parts of a token are tried together.
const mostParts = 12

// token replaces the longest names in it, from the left.
func (n *Names) token(text string) string {
	if other, is := n.known[text]; is {
		return other
	}
	if _, err := netip.ParseAddr(text); err == nil || text[0] == '\\' {
		return text
	}
	ends := []int{}
	for i := range text {
		if text[i] == '-' || text[i] == '.' {
			ends = append(ends, i)
		}
	}
	ends = append(ends, len(text))
	var out strings.Builder
	at := 0
	for i := 0; i < len(ends); i++ {
		next := i
		for last := min(len(ends), i+mostParts) - 1; last >= i; last-- {
			if other, is := n.known[text[at:ends[last]]]; is {
				out.WriteString(other)
				at, next = ends[last], last
				break
			}
		}
		end := min(ends[next]+1, len(text))
		out.WriteString(text[at:end])
		at, i = end, next
	}
	return out.String()
}
