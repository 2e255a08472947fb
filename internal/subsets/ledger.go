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

package subsets

import (
	"cmp"
	"encoding/binary"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Offer is what one pod adds to the Endpoints of its Service.
type Offer struct {
	Address corev1.EndpointAddress
	Ready   bool
	// Ports are those that the Service's resolve to on the pod; the zero value of
	// None stands for a Service that needs none.
	Ports []corev1.EndpointPort
	None  bool
}

// Ledger holds the offers of a Service's pods in the order in which Endpoints have
// them, so that one pod's change costs a search and not the work on all. For
// every pod it holds some 150 bytes beside its texts. Its subsets are those of Repack.
//
// It knows nothing of a pod but what the last Set said. All ports have to be of
// the same version of a Service.
type Ledger struct {
	namespace string
	pods      map[string]*entry
	classes   map[string]*class
}

// entry is the offer of one pod. It is replaced, not changed, and shares no
// memory with the pod but its texts.
type entry struct {
	ip, hostname, node, name string
	uid                      types.UID
	ready                    bool
	of                       *class
}

// class are the pods that offer the same ports.
type class struct {
	key             string
	ports           []subsetPort
	ready, notReady []*entry
}

// NewLedger is for a Service of that namespace, and its pods.
func NewLedger(namespace string) *Ledger {
	return &Ledger{namespace: namespace, pods: map[string]*entry{}, classes: map[string]*class{}}
}

// manyClasses are as much work as the whole.
const manyClasses = 16

// Set replaces the offer of a pod, nil for none. It returns false for what it can
// not hold: pods that share an address and a UID, or too many different lists
// of ports. The ledger is of no use then.
func (l *Ledger) Set(pod string, offer *Offer) bool {
	var next *entry
	if offer != nil && (offer.None || len(offer.Ports) > 0) {
		next = l.entryOf(offer)
	}
	before := l.pods[pod]
	if before != nil {
		if next != nil && *before == *next {
			return true
		}
		l.remove(pod, before)
	}
	return next == nil || l.insert(pod, next)
}

func (l *Ledger) entryOf(offer *Offer) *entry {
	e := &entry{ip: offer.Address.IP, hostname: offer.Address.Hostname, ready: offer.Ready, of: l.classOf(offer)}
	if offer.Address.NodeName != nil {
		e.node = *offer.Address.NodeName
	}
	if target := offer.Address.TargetRef; target != nil {
		e.name, e.uid = target.Name, target.UID
	}
	return e
}

func (l *Ledger) classOf(offer *Offer) *class {
	ports := []subsetPort{{none: true}}
	if !offer.None {
		ports = portsOf(&corev1.EndpointSubset{Ports: offer.Ports})
		slices.SortFunc(ports, compareSubsetPorts)
		ports = slices.Compact(ports)
	}
	var key []byte
	for _, port := range ports {
		key = binary.BigEndian.AppendUint32(key, uint32(port.port))
		for _, text := range []string{port.name, string(port.protocol), port.appProtocol} {
			key = append(binary.BigEndian.AppendUint32(key, uint32(len(text))), text...)
		}
		if port.hasAppProtocol {
			key = append(key, '+')
		}
	}
	c := l.classes[string(key)]
	if c == nil {
		c = &class{key: string(key), ports: ports}
		l.classes[c.key] = c
	}
	return c
}

func (c *class) list(ready bool) *[]*entry {
	if ready {
		return &c.ready
	}
	return &c.notReady
}

func (l *Ledger) remove(pod string, e *entry) {
	list := e.of.list(e.ready)
	if at, found := slices.BinarySearchFunc(*list, e, compareEntries); found {
		*list = slices.Delete(*list, at, at+1)
	}
	delete(l.pods, pod)
	if len(e.of.ready)+len(e.of.notReady) == 0 {
		delete(l.classes, e.of.key)
	}
}

func (l *Ledger) insert(pod string, e *entry) bool {
	l.classes[e.of.key] = e.of // it may have lost its last one just now
	for _, other := range l.classes {
		for _, list := range [][]*entry{other.ready, other.notReady} {
			if _, found := slices.BinarySearchFunc(list, e, compareEntries); found {
				return false
			}
		}
	}
	list := e.of.list(e.ready)
	at, _ := slices.BinarySearchFunc(*list, e, compareEntries)
	*list = slices.Insert(*list, at, e)
	l.pods[pod] = e
	return len(l.classes) <= manyClasses
}

// compareEntries orders as Repack does.
func compareEntries(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.ip, b.ip), cmp.Compare(a.uid, b.uid))
}
