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

package placeholder

import (
	"errors"
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
)

// TakenError says that somebody else has the number.
type TakenError struct {
	Number allocator.Number
	// Parent has an address; nil for a port, of which the API server does not say
	// who has it.
	Parent *networkingv1.ParentReference
}

// Error names the number and whoever is known to have it.
func (e *TakenError) Error() string {
	if e.Parent == nil {
		return fmt.Sprintf("holding %s: the API server has it allocated already", e.Number)
	}
	return fmt.Sprintf("holding %s: it belongs to %s", e.Number, e.Holder())
}

// Holder names the parent: "services team-a/web"; "" where it is not known.
func (e *TakenError) Holder() string {
	if e.Parent == nil {
		return ""
	}
	resource, name := e.Parent.Resource, e.Parent.Name
	if e.Parent.Group != "" {
		resource += "." + e.Parent.Group
	}
	if e.Parent.Namespace != "" {
		name = e.Parent.Namespace + "/" + name
	}
	return resource + " " + name
}

// Service is the Service that has the address, if one has.
func (e *TakenError) Service() (types.NamespacedName, bool) {
	if e.Parent == nil || e.Parent.Group != "" || e.Parent.Resource != "services" {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: e.Parent.Namespace, Name: e.Parent.Name}, true
}

// ErrOutOfRange says that the API server never gives the number to anybody.
var ErrOutOfRange = errors.New("the API server's range does not contain it")

// ErrNoAddress says that a Service to hold a port would have no ClusterIP.
var ErrNoAddress = errors.New("the Service that would hold it needs a ClusterIP of its own")

// isAddressTaken tells that the address asked for belongs to somebody.
func isAddressTaken(err error) bool {
	return apierrors.IsInvalid(err) && strings.Contains(err.Error(), "provided IP is already allocated")
}

// portError says what a refused write of a placeholder means for the port that
// was added. The server's words are the same since its first release; an error
// that says neither is returned as it is.
func portError(number allocator.Number, err error) error {
	switch {
	case !apierrors.IsInvalid(err):
	case strings.Contains(err.Error(), "provided port is already allocated"):
		return &TakenError{Number: number}
	case strings.Contains(err.Error(), "provided port is not in the valid range"):
		return fmt.Errorf("holding port %s: %w", number, ErrOutOfRange)
	}
	return fmt.Errorf("holding port %s: %w", number, err)
}
