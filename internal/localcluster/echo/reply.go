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

package echo

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// maxReceived bounds how much of a client's input is sent back, so that an
// answer is never much larger than a question and fits one packet.
const maxReceived = 1024

// Identity is who answers.
type Identity struct {
	Pod       string
	Namespace string
	Node      string
	Container string
	IPs       []netip.Addr // one per family, the primary one first
}

// Reply is one answer.
type Reply struct {
	Pod       string `json:"pod"`
	Namespace string `json:"namespace"`
	Container string `json:"container"`
	Node      string `json:"node"`
	IP        string `json:"ip"`       // the pod's, of the client's family
	Port      uint16 `json:"port"`     // the one the client reached
	Protocol  string `json:"protocol"` // TCP, UDP or SCTP
	Client    string `json:"client"`   // IP:port as seen here
	Request   string `json:"request,omitempty"`
	Received  string `json:"received,omitempty"` // at most its first 1024 bytes
	Bytes     int    `json:"bytes,omitempty"`    // all that was received
}

func (id Identity) reply(protocol string, port uint16, client netip.AddrPort) Reply {
	client = netip.AddrPortFrom(client.Addr().Unmap().WithZone(""), client.Port())
	return Reply{
		Pod: id.Pod, Namespace: id.Namespace, Container: id.Container, Node: id.Node,
		IP: id.ip(client.Addr()), Port: port, Protocol: protocol, Client: client.String(),
	}
}

// ip is the pod's address of the client's family, or its primary one.
func (id Identity) ip(client netip.Addr) string {
	for _, ip := range id.IPs {
		if ip.Is4() == client.Is4() {
			return ip.String()
		}
	}
	if len(id.IPs) > 0 {
		return id.IPs[0].String()
	}
	return ""
}

func (r Reply) to(received []byte) Reply {
	r.Bytes = len(received)
	r.Received = strings.ToValidUTF8(string(received[:min(len(received), maxReceived)]), "\uFFFD")
	return r
}

// line is the reply as JSON and a newline.
func (r Reply) line() []byte {
	text, err := json.Marshal(r)
	if err != nil {
		return []byte("{}\n") // strings and numbers always marshal
	}
	return append(text, '\n')
}

func (r Reply) text() string {
	var b strings.Builder
	row := func(name, value string) { fmt.Fprintf(&b, "%-10s %s\n", name+":", value) }
	row("pod", r.Namespace+"/"+r.Pod)
	row("pod IP", r.IP)
	row("container", r.Container)
	row("node", r.Node)
	row("port", fmt.Sprintf("%d/%s", r.Port, r.Protocol))
	row("client", r.Client)
	row("request", r.Request)
	return b.String()
}
