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

package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"
	goyaml "sigs.k8s.io/yaml/goyaml.v3"
)

// document is one of a file's.
type document struct {
	// line is where it begins, from 1.
	line int
	text []byte
	// afterEnd is after a line of three dots, which ends the document before.
	afterEnd bool
}

// split are the documents of a text that have anything in them: YAML between
// lines of three dashes or after one of three dots, or JSON values one after
// another.
func split(text []byte) []document {
	if values, is := splitJSON(text); is {
		return values
	}
	var documents []document
	current := document{line: 1}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if isMarker(line, "...") {
			documents = appendDocument(documents, current)
			current = document{line: number + 1, afterEnd: true}
			continue
		}
		if isMarker(line, "---") {
			documents = appendDocument(documents, current)
			current = document{line: number + 1}
			// What follows the dashes on their line belongs to the document.
			line = append([]byte("   "), line[3:]...)
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			current.line = number
		}
		current.text = append(current.text, line...)
	}
	return appendDocument(documents, current)
}

// isMarker tells whether the line begins with three of a kind, and nothing that
// belongs to them follows.
func isMarker(line []byte, marker string) bool {
	rest, found := bytes.CutPrefix(line, []byte(marker))
	return found && (len(rest) == 0 || bytes.ContainsAny(rest[:1], " \t\r\n"))
}

// appendDocument leaves out what is empty or only comments.
func appendDocument(documents []document, d document) []document {
	for line := range bytes.Lines(d.text) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' {
			return append(documents, d)
		}
	}
	return documents
}

// splitJSON is for texts that are JSON to the end.
func splitJSON(text []byte) ([]document, bool) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, false
	}
	var documents []document
	decoder := json.NewDecoder(bytes.NewReader(text))
	at, line := 0, 1
	for {
		var value json.RawMessage
		switch err := decoder.Decode(&value); {
		case errors.Is(err, io.EOF):
			return documents, true
		case err != nil:
			return nil, false
		}
		begin := int(decoder.InputOffset()) - len(value)
		line += bytes.Count(text[at:begin], []byte("\n"))
		at = begin
		documents = append(documents, document{line: line, text: value})
	}
}

// asJSON is the document as JSON. Keys that are there twice are an error, where
// there are no merges.
func (d document) asJSON() ([]byte, error) {
	if len(d.text) > MaxDocument {
		return nil, fmt.Errorf("larger than %d MiB, which is more than an API server takes", MaxDocument>>20)
	}
	if bytes.IndexByte(d.text, '&') >= 0 && bytes.IndexByte(d.text, '*') >= 0 {
		if err := checkAliases(d.text); err != nil {
			return nil, err
		}
	}
	if bytes.Contains(d.text, []byte("<<:")) {
		// To the strict reader, a key that overrides a merged one is there twice.
		return yaml.YAMLToJSON(d.text)
	}
	return yaml.YAMLToJSONStrict(d.text)
}

// checkAliases bounds what a document becomes when each alias is replaced by
// what it stands for, which a few lines can make as large as they like.
func checkAliases(text []byte) error {
	var root goyaml.Node
	if err := goyaml.Unmarshal(text, &root); err != nil {
		return err
	}
	if expanded := (expansion{}).size(&root); expanded > MaxDocument {
		return fmt.Errorf("larger than %d MiB once its aliases are replaced by what they stand for", MaxDocument>>20)
	}
	return nil
}

// expansion remembers the size of each node without its aliases, in bytes.
type expansion map[*goyaml.Node]int

// size stops counting beyond MaxDocument. An alias that stands for a node it is
// inside of is of no size that could be told.
func (e expansion) size(node *goyaml.Node) int {
	if node.Kind == goyaml.AliasNode {
		node = node.Alias
	}
	if size, known := e[node]; known {
		return size
	}
	e[node] = MaxDocument + 1
	size := len(node.Value) + 1
	for _, child := range node.Content {
		size = min(size+e.size(child), MaxDocument+1)
	}
	e[node] = size
	return size
}
