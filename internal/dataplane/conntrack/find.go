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

package conntrack

import (
	"fmt"
	"net/netip"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// Flow is one tracked connection.
type Flow struct {
	// Source and Destination are its ends as the client has them.
	Source, Destination netip.AddrPort
	// Client and Server are its ends as the server has them.
	Client, Server netip.AddrPort
}

// Find looks for the connection from source to destination, in the network
// namespace of the calling thread. Port 0 of source is any.
func Find(protocol model.Protocol, source, destination netip.AddrPort) (flow Flow, found bool, err error) {
	conn, err := nfnl.Dial()
	if err != nil {
		return flow, false, fmt.Errorf("conntrack: %w", err)
	}
	defer func() { _ = conn.Close() }()
	family := model.FamilyOf(destination.Addr())
	var list nfnl.Messages
	list.Begin(getEntry, 0, familyNumber(family), "listing entries")
	filter{protocol: protocol, addr: destination.Addr(), port: destination.Port()}.append(&list)
	err = conn.Dump(&list, func() { found = false }, func(_ uint8, a nfnl.Attributes) {
		f := parseFlow(a)
		if f.Destination == destination && f.Source.Addr() == source.Addr() && (source.Port() == 0 || f.Source == source) &&
			parseEntry(a).sentTo.Protocol == protocol {
			flow, found = f, true
		}
	})
	if err != nil {
		return Flow{}, false, fmt.Errorf("conntrack: reading %s connections: %w", family, err)
	}
	return flow, found, nil
}

func parseFlow(a nfnl.Attributes) Flow {
	original, reply := a.Nested(ctaOriginal), a.Nested(ctaReply)
	return Flow{
		Source:      end(original, ctaIPv4Source, ctaIPv6Source, ctaSourcePort),
		Destination: end(original, ctaIPv4Destination, ctaIPv6Destination, ctaDestinationPort),
		Client:      end(reply, ctaIPv4Destination, ctaIPv6Destination, ctaDestinationPort),
		Server:      end(reply, ctaIPv4Source, ctaIPv6Source, ctaSourcePort),
	}
}

func end(tuple nfnl.Attributes, v4, v6, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(address(tuple, v4, v6), tuple.Nested(ctaTuplePorts).Uint16(port))
}
