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

import (
	"fmt"
	"net/netip"
	"strings"
)

// MaxEndpoints is how many endpoints of one ServicePort take connections in
// one family; others beyond get none.
const MaxEndpoints = 1 << 16

// Family is an IP family.
type Family uint8

// The two IP families. The zero value is neither.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String is "IPv4" or "IPv6", as in the API.
func (f Family) String() string {
	switch f {
	case IPv4:
		return "IPv4"
	case IPv6:
		return "IPv6"
	}
	return fmt.Sprintf("Family(%d)", uint8(f))
}

// FamilyOf is the family of addr; an IPv4-mapped IPv6 address is IPv4.
func FamilyOf(addr netip.Addr) Family {
	if addr.Unmap().Is4() {
		return IPv4
	}
	return IPv6
}

// Protocol is a transport protocol by its IP protocol number.
type Protocol uint8

// The protocols a Service port can have.
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// String is "TCP", "UDP" or "SCTP", as in the API.
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	case SCTP:
		return "SCTP"
	}
	return fmt.Sprintf("Protocol(%d)", uint8(p))
}

// ParseProtocol is the inverse of Protocol.String; ok is false for any other
// text.
func ParseProtocol(s string) (p Protocol, ok bool) {
	switch s {
	case "TCP":
		return TCP, true
	case "UDP":
		return UDP, true
	case "SCTP":
		return SCTP, true
	}
	return 0, false
}

// ServicePortName identifies one port of one Service. It is comparable and
// the same on every node.
type ServicePortName struct {
	Namespace, Name string
	// Port is the port's name, empty for the only, unnamed port.
	Port     string
	Protocol Protocol
}

// String is "namespace/name:port" or "namespace/name", as in kube-proxy's
// logs, with the protocol after it.
func (n ServicePortName) String() string {
	var b strings.Builder
	b.WriteString(n.Namespace + "/" + n.Name)
	if n.Port != "" {
		b.WriteString(":" + n.Port)
	}
	b.WriteString("/" + n.Protocol.String())
	return b.String()
}

// Compare orders names for sorted output.
func (n ServicePortName) Compare(o ServicePortName) int {
	if c := strings.Compare(n.Namespace, o.Namespace); c != 0 {
		return c
	}
	if c := strings.Compare(n.Name, o.Name); c != 0 {
		return c
	}
	if c := strings.Compare(n.Port, o.Port); c != 0 {
		return c
	}
	return int(n.Protocol) - int(o.Protocol)
}
