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

package model

import "fmt"

// The kinds of objects that a Store reads.
const (
	kindService = "Service"
	kindSlice   = "EndpointSlice"
)

// Object names the API object something was read from.
type Object struct {
	// Kind is "Service" or "EndpointSlice".
	Kind            string
	Namespace, Name string
	UID             string
}

// Problem is a part of an object that can not be used. The rest of the object
// is used all the same.
type Problem struct {
	Object Object
	// Field is the path inside the object, as in `spec.ports[1].port`.
	Field string
	// Reason says what is wrong with the field, with its value.
	Reason string
	// Remedy says what its owner can do about it.
	Remedy string
}

// String is one sentence that reads as a path.
func (p Problem) String() string {
	name := p.Object.Name
	if p.Object.Namespace != "" {
		name = p.Object.Namespace + "/" + name
	}
	return fmt.Sprintf("%s %s: %s", p.Object.Kind, name, p.Message())
}

// Message is String without the object, for places that name it themselves.
func (p Problem) Message() string {
	return fmt.Sprintf("%s: %s; %s", p.Field, p.Reason, p.Remedy)
}

// maxProblems is how many Problems of one kind an object is told: a broken
// controller may write a thousand bad endpoints, and each becomes an Event.
const maxProblems = 16

// problems collects what is wrong with one object.
type problems struct {
	object  Object
	list    []Problem
	omitted int
}

// all is what was found, with a word about what is left out.
func (p *problems) all() []Problem {
	if p.omitted == 0 {
		return p.list
	}
	return append(p.list, Problem{
		Object: p.object, Field: p.list[len(p.list)-1].Field, Remedy: "correct those named first",
		Reason: fmt.Sprintf("%d more problems are not listed", p.omitted),
	})
}

func (p *problems) add(field, remedy, reason string, args ...any) {
	if len(p.list) == maxProblems {
		p.omitted++
		return
	}
	p.list = append(p.list, Problem{
		Object: p.object, Field: field, Remedy: remedy, Reason: fmt.Sprintf(reason, args...),
	})
}
