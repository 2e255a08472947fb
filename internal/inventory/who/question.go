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

package who

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"switchyard.dev/switchyard/allocator"
)

// Question is what was asked for: a number, or a Service.
type Question struct {
	Number  allocator.Number
	Service types.NamespacedName
}

// Parse reads a port, an IP address (IPv6 also in brackets, both also with a
// port), NAMESPACE/NAME, or the name of a Service in the namespace given, also as
// svc/NAME. The error says what to write.
func Parse(text, namespace string) (Question, error) {
	if qualifier, name, found := strings.Cut(text, "/"); found {
		if _, err := netip.ParsePrefix(text); err == nil {
			return Question{}, fmt.Errorf("%q is a CIDR: ask for one address, or for all with `switchyard pools`", text)
		}
		if qualifier == "" || name == "" || strings.Contains(name, "/") {
			return Question{}, fmt.Errorf("%q is no NAMESPACE/NAME: write it as shop/web", text)
		}
		switch qualifier {
		case "svc", "service", "services":
			qualifier = namespace
		}
		return Question{Service: types.NamespacedName{Namespace: qualifier, Name: name}}, nil
	}
	if port, err := strconv.Atoi(text); err == nil {
		if port < 1 || port > 65535 {
			return Question{}, fmt.Errorf("port %s does not exist: ports are 1 to 65535", text)
		}
		return Question{Number: allocator.PortNumber(int32(port))}, nil
	}
	if addr, is := parseAddr(text); is {
		return Question{Number: allocator.AddrNumber(addr)}, nil
	}
	if len(validation.IsDNS1123Label(text)) == 0 && strings.ContainsAny(text, "abcdefghijklmnopqrstuvwxyz") {
		return Question{Service: types.NamespacedName{Namespace: namespace, Name: text}}, nil
	}
	return Question{}, fmt.Errorf("%q is no port, no IP address and no NAMESPACE/NAME: ask for 30080, 10.96.0.10, fd00::10 or shop/web", text)
}

// parseAddr leaves brackets and the port of an address aside.
func parseAddr(text string) (netip.Addr, bool) {
	if with, err := netip.ParseAddrPort(text); err == nil {
		return with.Addr(), with.Addr().Zone() == ""
	}
	bare, bracketed := strings.CutPrefix(text, "[")
	if bracketed {
		bare, bracketed = strings.CutSuffix(bare, "]")
	}
	addr, err := netip.ParseAddr(bare)
	return addr, err == nil && addr.Zone() == "" && (bare == text || bracketed)
}
