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
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
)

// Weights are shares of connections that a Service's owner has written down,
// as in
//
//	switchyard.dev/weights: "web-0=3, web-1=1, 10.0.0.7=5"
//
// Names are those of the pods behind the endpoints, addresses those of the
// endpoints; an address counts more than the name of its pod.
type Weights struct {
	ByAddr map[netip.Addr]uint16
	ByPod  map[string]uint16
}

// Of is the share of e, 1-65535: what the Service says, or else e's slice, or
// else 1. It may be called on nil.
func (w *Weights) Of(e *Endpoint) uint16 {
	if w != nil {
		if weight, ok := w.ByAddr[e.Addr.Addr()]; ok {
			return weight
		}
		if weight, ok := w.ByPod[e.Pod]; ok {
			return weight
		}
	}
	return max(1, e.Weight)
}

func (w *Weights) equal(o *Weights) bool {
	if w == nil || o == nil {
		return w == o
	}
	return maps.Equal(w.ByAddr, o.ByAddr) && maps.Equal(w.ByPod, o.ByPod)
}

// maxWeights bounds what one annotation costs every node of the cluster.
const maxWeights = 4096

// readWeights reads an annotation of a Service, entry by entry.
func readWeights(field, text string, found *problems) *Weights {
	entries := strings.Split(text, ",")
	if len(entries) > maxWeights {
		found.add(field, "set the annotation on EndpointSlices", "%d entries are too many, the first %d are used", len(entries), maxWeights)
		entries = entries[:maxWeights]
	}
	weights := &Weights{ByAddr: map[netip.Addr]uint16{}, ByPod: map[string]uint16{}}
	for _, entry := range entries {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		if err := weights.readEntry(entry); err != nil {
			found.add(field, `write "pod or address=weight", as in "web-0=3, 10.0.0.7=5"`, "%v", err)
		}
	}
	return weights
}

func (w *Weights) readEntry(entry string) error {
	name, number, ok := strings.Cut(entry, "=")
	name = strings.TrimSpace(name)
	if !ok || name == "" {
		return fmt.Errorf("%q has no weight", clip(entry))
	}
	weight, err := parseWeight(number)
	if err != nil {
		return fmt.Errorf("%q: %w", clip(entry), err)
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		w.ByAddr[addr.Unmap()] = weight
	} else {
		w.ByPod[strings.Clone(name)] = weight // not the whole annotation
	}
	return nil
}

var errWeight = errors.New("a weight is a whole number, 1-65535")

func parseWeight(text string) (uint16, error) {
	weight, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil || weight == 0 {
		return 0, errWeight
	}
	return uint16(weight), nil
}

// clip keeps messages about user's texts readable, and Events within their
// limits.
func clip(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
