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

package controllers

import (
	"fmt"
	"strings"
)

// EndpointsMode says which of kube-controller-manager's endpoint controllers this
// manager stands in for.
type EndpointsMode string

const (
	// EndpointsOff leaves endpoints to kube-controller-manager.
	EndpointsOff EndpointsMode = "off"
	// EndpointsSelectorless mirrors custom Endpoints of Services without a selector,
	// for clusters where only endpointslice-mirroring-controller is off.
	EndpointsSelectorless EndpointsMode = "selectorless"
	// EndpointsAll does the work of all three endpoint controllers.
	EndpointsAll EndpointsMode = "all"
)

var endpointsModes = []EndpointsMode{EndpointsOff, EndpointsSelectorless, EndpointsAll}

// ParseEndpointsMode reads a flag's value; anything but the three modes is an error.
func ParseEndpointsMode(value string) (EndpointsMode, error) {
	names := make([]string, 0, len(endpointsModes))
	for _, mode := range endpointsModes {
		if value == string(mode) {
			return mode, nil
		}
		names = append(names, string(mode))
	}
	return "", fmt.Errorf("unknown endpoints mode %q: use one of %s", value, strings.Join(names, ", "))
}

// String is the flag's value.
func (m EndpointsMode) String() string { return string(m) }

// standsInFor lists, by the names of its --controllers flag, the controllers that
// kube-controller-manager must not run in this mode.
func (m EndpointsMode) standsInFor() []string {
	switch m {
	case EndpointsAll:
		return []string{"endpoints-controller", "endpointslice-controller", "endpointslice-mirroring-controller"}
	case EndpointsSelectorless:
		return []string{"endpointslice-mirroring-controller"}
	default:
		return nil
	}
}

// remedy is the kube-controller-manager flag that makes room for this mode.
func (m EndpointsMode) remedy() string {
	return "--controllers=*,-" + strings.Join(m.standsInFor(), ",-")
}
