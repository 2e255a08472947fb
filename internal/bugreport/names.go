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
	"regexp"
	"strings"
	"sync"
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
	"coredns": true, "localhost": true, "http": true, "https": true, "metrics": true, "dns": true, "name": true,
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

// token is what may be a name, or have names between dashes and dots, as those of pods
// and in DNS have.
var token = regexp.MustCompile(`[A-Za-z0-9][A-Za-z0-9.-]*`)

// Replace replaces them in a text, also where they are parts of others.
func (n *Names) Replace(text string) string {
	if n == nil {
		return text
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if len(n.known) == 0 {
		return text
	}
	return token.ReplaceAllStringFunc(text, n.token)
}

// mostParts is how many parts of a token are tried together.
const mostParts = 12

// token replaces the longest names in it, from the left.
func (n *Names) token(text string) string {
	if other, is := n.known[text]; is {
		return other
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
