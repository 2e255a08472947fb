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
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"switchyard.dev/switchyard/internal/validation"
)

// Severity is how bad a finding is.
type Severity string

const (
	// Error is what a server refuses.
	Error Severity = "error"
	// Warning is what it accepts.
	Warning Severity = "warning"
)

// Finding is one thing that is wrong with one object.
type Finding struct {
	Place
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	// Severity is error or warning.
	Severity Severity `json:"severity"`
	// Rule is S1 to S6, X1 to X20, or empty for what the server itself says.
	Rule string `json:"rule,omitempty"`
	// Field is the path of the field, where there is one.
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// FindUpdate is what is wrong with an object, new or in the place of the one before:
// what a server would refuse, what it would warn of, and what it accepts although it
// can not work. It also returns the object with all that the server fills in.
func (o Object) FindUpdate(before runtime.Object, opts validation.Options) ([]Finding, runtime.Object) {
	found := o.decodingFindings()
	switch object := o.Object.(type) {
	case *corev1.Service:
		complete, errs := manifest(before, object, opts, validation.Manifest, validation.ManifestUpdate)
		return append(found, o.findings(errs, validation.ServiceWarnings(complete), validation.ServiceHoles(complete))...), complete
	case *corev1.Endpoints:
		complete, errs := manifest(before, object, opts, validation.ManifestEndpoints, validation.ManifestEndpointsUpdate)
		return append(found, o.findings(errs, validation.EndpointsWarnings(complete), validation.EndpointsHoles(complete))...), complete
	case *discoveryv1.EndpointSlice:
		complete, errs := manifest(before, object, opts, validation.ManifestEndpointSlice, validation.ManifestEndpointSliceUpdate)
		return append(found, o.findings(errs, validation.EndpointSliceWarnings(complete), validation.EndpointSliceHoles(complete))...), complete
	}
	return found, nil
}

// FindStatus is FindUpdate for what is written to the status subresource alone.
// Without an object before, the manifest is all but the status of it.
func (o Object) FindStatus(before runtime.Object, opts validation.Options) ([]Finding, runtime.Object) {
	found := o.decodingFindings()
	svc, is := o.Object.(*corev1.Service)
	if !is && o.Object != nil {
		return append(found, o.NewFinding(Error, "", "", o.Kind+" has no status")), nil
	}
	if !is {
		return found, nil
	}
	old, is := before.(*corev1.Service)
	if !is {
		old = svc.DeepCopy()
		old.Status, old.ResourceVersion = corev1.ServiceStatus{}, "0" // as all that is in a cluster has one
	}
	complete, errs := validation.ManifestStatus(old, svc, opts)
	return append(found, o.errors(errs)...), complete
}

// manifest chooses between a creation and an update.
func manifest[T runtime.Object](
	before runtime.Object, object T, opts validation.Options,
	create func(T, validation.Options) (T, field.ErrorList), update func(before, after T, opts validation.Options) (T, field.ErrorList),
) (T, field.ErrorList) {
	if old, is := before.(T); is {
		return update(old, object, opts)
	}
	return create(object, opts)
}

func (o Object) findings(errs field.ErrorList, warnings []validation.Warning, holes []validation.Hole) []Finding {
	found := o.errors(errs)
	found = append(found, o.warnings(unlessRefused(warnings, errs))...)
	return append(found, o.holes(holes)...)
}

// NewFinding is one about this object.
func (o Object) NewFinding(severity Severity, rule, field, message string) Finding {
	return Finding{
		Place: o.Place, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name,
		Severity: severity, Rule: rule, Field: field, Message: message,
	}
}

// strictError is how the decoder calls a field that it does not know or meets twice.
var strictError = regexp.MustCompile(`^(unknown|duplicate) field "(.*)"$`)

// typeError is how the decoder calls a value of the wrong type. The path
// begins with the name of a Go type.
var typeError = regexp.MustCompile(`^json: cannot unmarshal (\w+(?: \S+)?) into Go struct field [^.]+\.(\S+) of type (\S+)$`)

// decodingFindings are errors: kubectl and servers refuse such an object unless
// they are told not to.
func (o Object) decodingFindings() []Finding {
	var found []Finding
	if o.afterEnd {
		found = append(found, o.NewFinding(Warning, "", "", "kubectl leaves out what follows a line of three dots: begin the document with ---"))
	}
	if o.undecodable != nil {
		path, message := "", o.undecodable.Error()
		if parts := typeError.FindStringSubmatch(message); parts != nil {
			path, message = parts[2], fmt.Sprintf("%s stands where %s belongs", withArticle(parts[1]), withArticle(plain(parts[3])))
		}
		found = append(found, o.NewFinding(Error, "", path, message))
	}
	for _, err := range o.unknown {
		path, message := "", err.Error()
		if parts := strictError.FindStringSubmatch(message); parts != nil {
			path, message = parts[2], parts[1]+" field"
		}
		found = append(found, o.NewFinding(Error, "", path, message))
	}
	return found
}

// plain is what users call a type of Go.
func plain(goType string) string {
	switch {
	case strings.HasPrefix(goType, "[]"):
		return "list"
	case strings.HasPrefix(goType, "map[") || strings.Contains(goType, "."):
		return "object"
	}
	return goType
}

func withArticle(noun string) string {
	if noun != "" && strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

func (o Object) errors(errs field.ErrorList) []Finding {
	var found []Finding
	for _, err := range errs {
		found = append(found, o.NewFinding(Error, "", err.Field, err.ErrorBody()))
	}
	return found
}

func (o Object) warnings(warnings []validation.Warning) []Finding {
	var found []Finding
	for _, w := range warnings {
		path := w.Path.String()
		found = append(found, o.NewFinding(Warning, "", path, strings.TrimPrefix(w.Text, path+": ")))
	}
	return found
}

// unlessRefused leaves out warnings about fields that are refused anyway. The
// server spells one path in two ways.
func unlessRefused(warnings []validation.Warning, errs field.ErrorList) []validation.Warning {
	return slices.DeleteFunc(warnings, func(w validation.Warning) bool {
		return slices.ContainsFunc(errs, func(err *field.Error) bool { return strings.EqualFold(err.Field, w.Path.String()) })
	})
}

func (o Object) holes(holes []validation.Hole) []Finding {
	var found []Finding
	for _, hole := range holes {
		found = append(found, o.NewFinding(Warning, hole.ID, hole.Path.String(), hole.Message))
	}
	return found
}
