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

package allocator

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Number is a ClusterIP or a port of the node: the thing that only one Service
// may hold. NodePorts and health check node ports are one kind of number, since
// both live in one range (A8), whatever their protocol (A6).
type Number struct {
	Addr netip.Addr // set for a ClusterIP
	Port int32      // set for a port of the node
}

// AddrNumber is the number of a ClusterIP.
func AddrNumber(addr netip.Addr) Number { return Number{Addr: addr.Unmap()} }

// PortNumber is the number of a port of the node.
func PortNumber(port int32) Number { return Number{Port: port} }

// IsPort tells a port of the node from a ClusterIP.
func (n Number) IsPort() bool { return n.Port != 0 }

// IsZero is true for no number at all.
func (n Number) IsZero() bool { return n == Number{} }

// Compare orders numbers: ports, then IPv4, then IPv6.
func (n Number) Compare(other Number) int {
	return cmp.Or(n.Addr.Compare(other.Addr), cmp.Compare(n.Port, other.Port))
}

// String is the number as users write it.
func (n Number) String() string {
	if n.IsPort() {
		return strconv.Itoa(int(n.Port))
	}
	return n.Addr.String()
}

const (
	portObject = "nodeport-"
	addrObject = "clusterip-"
)

// ObjectName is a name for an object that stands for the number: nodeport-30080,
// clusterip-10.96.0.7, clusterip-fd00-0000-...-0007. One number has one name, so
// creating the object is a lock on the number.
func (n Number) ObjectName() string {
	switch {
	case n.IsPort():
		return portObject + n.String()
	case n.Addr.Is4():
		return addrObject + n.String()
	}
	return addrObject + strings.ReplaceAll(n.Addr.StringExpanded(), ":", "-")
}

// ParseObjectName is the reverse of ObjectName.
func ParseObjectName(name string) (Number, error) {
	if text, ok := strings.CutPrefix(name, portObject); ok {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return Number{}, fmt.Errorf("object name %q: %q is no port", name, text)
		}
		return PortNumber(int32(port)), nil
	}
	text, ok := strings.CutPrefix(name, addrObject)
	addr, err := netip.ParseAddr(strings.ReplaceAll(text, "-", ":"))
	if !ok || err != nil {
		return Number{}, fmt.Errorf("object name %q stands for no number", name)
	}
	return AddrNumber(addr), nil
}

func compareNames(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// Kind is the field of a Service that holds a number.
type Kind string

// The fields that hold numbers.
const (
	ClusterIP           Kind = "ClusterIP"
	NodePort            Kind = "NodePort"
	HealthCheckNodePort Kind = "HealthCheckNodePort"
)

// Holding is one number and the field that holds it.
type Holding struct {
	Kind   Kind
	Number Number
}

// Holder is a Service that holds a number, and since when it exists.
type Holder struct {
	Kind    Kind
	Service types.NamespacedName
	UID     types.UID
	Created time.Time
}
