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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
)

// Object is a Service, Endpoints or EndpointSlice and where it was found.
type Object struct {
	Place
	// Object is nil where it could not be decoded, which is a finding.
	Object runtime.Object
	// Kind, Namespace and Name are what could be read of the object.
	Kind, Namespace, Name string
	// undecodable and unknown are what the decoder objected to.
	undecodable error
	unknown     []error
	// text is the object as JSON.
	text []byte
	// afterEnd is after the end of a document, where kubectl does not look.
	afterEnd bool
}

// Place is where in the input something is.
type Place struct {
	File string `json:"file"`
	// Document counts the file's documents that have anything in them, from 1.
	Document int `json:"document,omitempty"`
	// Line is where the document begins.
	Line int `json:"line,omitempty"`
	// Item counts the items of a List, from 1.
	Item int `json:"item,omitempty"`
}

// String is FILE:DOCUMENT, with an item as FILE:DOCUMENT#ITEM.
func (p Place) String() string {
	switch {
	case p.Document == 0:
		return p.File
	case p.Item == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Document)
	}
	return fmt.Sprintf("%s:%d#%d", p.File, p.Document, p.Item)
}

// Problem is something that could not be read at all.
type Problem struct {
	Place
	Message string `json:"message"`
}

// Error is for the terminal.
func (p Problem) Error() string {
	if p.Document == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s: document %d (line %d): %s", p.File, p.Document, p.Line, p.Message)
}

// Input is what was found.
type Input struct {
	Objects []Object
	// PassedOver counts the objects of other kinds.
	PassedOver int
	Problems   []Problem
}

// Empty is without any object, and without a reason for it.
func (in Input) Empty() bool {
	return len(in.Objects) == 0 && in.PassedOver == 0 && len(in.Problems) == 0
}

// Read reads all files, and goes on where one can not be read.
func Read(files []string, stdin io.Reader) Input {
	var in Input
	for _, file := range files {
		text, err := ReadFile(file, stdin)
		if err != nil {
			in.Problems = append(in.Problems, Problem{Place{File: file}, err.Error()})
			continue
		}
		for i, d := range split(text) {
			place := Place{File: file, Document: i + 1, Line: d.line}
			object, err := d.asJSON()
			known := len(in.Objects)
			if err == nil {
				err = in.add(place, object, "", 0)
			}
			for j := range in.Objects[known:] {
				in.Objects[known+j].afterEnd = d.afterEnd
			}
			if err != nil {
				in.Problems = append(in.Problems, Problem{place, strings.TrimSpace(err.Error())})
			}
		}
	}
	return in
}

// maxNesting bounds Lists within Lists.
const maxNesting = 8

// head is what is read of an object of any kind.
type head struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        struct {
		Namespace    string `json:"namespace"`
		Name         string `json:"name"`
		GenerateName string `json:"generateName"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// add files an object. Items of a list of one kind may leave the kind to it.
func (in *Input) add(place Place, text []byte, itemsKind string, nesting int) error {
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		// A name that is a number is the decoder's to complain about.
		if _, is := errors.AsType[*json.UnmarshalTypeError](err); !is || h.Kind == "" && itemsKind == "" {
			return errors.New("this is no Kubernetes object")
		}
	}
	if h.Kind == "" {
		h.Kind = itemsKind
	}
	if h.Kind == "" || h.APIVersion == "" && itemsKind == "" {
		return errors.New("apiVersion or kind is missing: this is no Kubernetes object")
	}
	if strings.HasSuffix(h.Kind, "List") && kindOf(strings.TrimSuffix(h.Kind, "List")) != "" || h.Kind == "List" {
		if h.Items == nil {
			return errors.New("items is missing or no list: this List has no objects")
		}
		return in.addItems(place, h, nesting)
	}
	group, _, _ := strings.Cut(h.APIVersion, "/")
	if version := kindOf(h.Kind); version == "" || h.APIVersion != "" && strings.Contains(h.APIVersion, "/") && group != groupOf(version) {
		in.PassedOver++
		return nil
	}
	in.Objects = append(in.Objects, decode(place, h, text))
	return nil
}

func (in *Input) addItems(place Place, list head, nesting int) error {
	if nesting == maxNesting {
		return fmt.Errorf("more than %d Lists within each other", maxNesting)
	}
	kind := strings.TrimSuffix(list.Kind, "List")
	for i, item := range list.Items {
		if nesting == 0 {
			place.Item = i + 1
		}
		if err := in.add(place, item, kind, nesting+1); err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	return nil
}

// kindOf is the version that a kind is served in, or nothing for other kinds.
func kindOf(kind string) string {
	switch kind {
	case "Service", "Endpoints":
		return corev1.SchemeGroupVersion.String()
	case "EndpointSlice":
		return discoveryv1.SchemeGroupVersion.String()
	}
	return ""
}

func groupOf(version string) string {
	gv, err := schema.ParseGroupVersion(version)
	if err != nil {
		return ""
	}
	return gv.Group
}

// decoder refuses fields that the kind does not have.
var decoder = newDecoder()

func newDecoder() *jsonserializer.Serializer {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // Two packages of constants.
		}
	}
	return jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, scheme, scheme, jsonserializer.SerializerOptions{Strict: true})
}

func decode(place Place, h head, text []byte) Object {
	o := Object{Place: place, Kind: h.Kind, Namespace: h.Metadata.Namespace, Name: h.Metadata.Name, text: text}
	if o.Name == "" && h.Metadata.GenerateName != "" {
		o.Name = h.Metadata.GenerateName + "..."
	}
	version := kindOf(h.Kind)
	if h.APIVersion != "" && h.APIVersion != version {
		o.undecodable = fmt.Errorf("no server has %s in %s: use %s", h.Kind, h.APIVersion, version)
		return o
	}
	gvk := schema.FromAPIVersionAndKind(version, h.Kind)
	object, _, err := decoder.Decode(text, &gvk, nil)
	if strict, is := runtime.AsStrictDecodingError(err); is {
		o.unknown, err = strict.Errors(), nil
	}
	o.Object, o.undecodable = object, err
	return o
}
