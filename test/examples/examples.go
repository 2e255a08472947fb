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

package examples

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/test/testenv"
)

// Example is one file.
type Example struct {
	// Name is the file's without its ending, and the namespace's.
	Name  string
	Sound bool
	// About says for people what is special, in one line.
	About string
	// Question is what follows after `switchyard why`.
	Question []string
	State    diagnosis.State
	Reason   diagnosis.Reason
	Says     []string
	// Delete is nil if nothing is deleted.
	Delete *Deletion
	// Later is why the verdict takes a minute, empty if it does not.
	Later       string
	Connections []Connection
	// NoConnection is why there are none.
	NoConnection string
	// Refused are words with which Switchyard refuses it: there is such a thing in
	// clusters without it only.
	Refused string
	Objects []*unstructured.Unstructured
}

// Deletion is an object that is deleted.
type Deletion struct {
	Kind, Name string
	// OnceReady waits for its condition Ready.
	OnceReady bool
}

// Connection is one that is tried, and what comes of it.
type Connection struct {
	From, Service, Where, Port, Protocol string
	Outcome                              string
}

// Dir is where broken/ and sound/ are.
func Dir() string { return filepath.Join(testenv.Root(), "docs", "examples") }

// Read reads all, the broken ones first.
func Read() ([]*Example, error) {
	var all []*Example
	for _, kind := range []string{"broken", "sound"} {
		paths, err := filepath.Glob(filepath.Join(Dir(), kind, "*.yaml"))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			e := &Example{Name: strings.TrimSuffix(filepath.Base(path), ".yaml"), Sound: kind == "sound", State: diagnosis.OK}
			if err := e.read(path); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			all = append(all, e)
		}
	}
	return all, nil
}

func (e *Example) read(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		comment, is := strings.CutPrefix(strings.TrimSpace(line), "# ")
		if !is {
			break
		}
		if err := e.line(comment); err != nil {
			return err
		}
	}
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return err
		}
		if object.GetNamespace() == "" && object.GetKind() != "Namespace" {
			object.SetNamespace(e.Name)
		}
		e.Objects = append(e.Objects, object)
	}
	return e.complete()
}

// line reads one of the comments.
func (e *Example) line(text string) error {
	key, value, found := strings.Cut(text, ": ")
	words := strings.Fields(value)
	switch {
	case found && key == "why":
		e.Question = words
	case found && key == "verdict" && len(words) == 2:
		e.State, e.Reason = diagnosis.State(words[0]), diagnosis.Reason(words[1])
	case found && key == "says":
		e.Says = append(e.Says, value)
	case found && key == "delete" && len(words) >= 2:
		e.Delete = &Deletion{words[0], words[1], strings.HasSuffix(value, " once Ready")}
	case found && key == "later":
		e.Later = value
	case found && key == "connect":
		return e.connection(words)
	case found && key == "refused":
		e.Refused = value
	case found && key == "no connection":
		e.NoConnection = value
	case e.Question == nil:
		e.About = strings.TrimSpace(e.About + " " + text)
	default:
		return fmt.Errorf("%q is nothing that is known", text)
	}
	return nil
}

func (e *Example) connection(words []string) error {
	if len(words) != 3 && len(words) != 4 {
		return fmt.Errorf("connect %q: want FROM SERVICE[@WHERE]:PORT [PROTOCOL] OUTCOME", words)
	}
	c := Connection{From: words[0], Protocol: "http", Outcome: words[len(words)-1]}
	if len(words) == 4 {
		c.Protocol = words[2]
	}
	target, port, _ := strings.Cut(words[1], ":")
	c.Service, c.Where, _ = strings.Cut(target, "@")
	c.Port = port
	e.Connections = append(e.Connections, c)
	return nil
}

// complete tells of what lacks.
func (e *Example) complete() error {
	switch {
	case e.About == "" || len(e.Question) == 0:
		return fmt.Errorf("it does not say what it is about, or what is asked")
	case e.Sound != (e.State == diagnosis.OK):
		return fmt.Errorf("its verdict is %s", e.State)
	case !e.Sound && len(e.Says) == 0:
		return fmt.Errorf("it does not say what is said of it")
	case (len(e.Connections) == 0) != (e.NoConnection != ""):
		return fmt.Errorf("want either connections or the reason why there are none")
	}
	return nil
}
