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

package endstate

import (
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	movingNode      = "node-b"
	zoneOf, movesTo = "zone-b", "zone-e"
)

// move gives a node another zone.
func (b *bed) move(zone string) {
	b.Helper()
	node := named(&corev1.Node{}, movingNode)
	text := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, corev1.LabelTopologyZone, zone)
	if err := b.api.Patch(b.Context(), node, client.RawPatch(types.MergePatchType, text)); err != nil {
		b.Fatal(err)
	}
}

// leftInZone wants the endpoints of a node that has moved to be where they were,
// which is what upstream does and we do not (row E15).
func (b *bed) leftInZone(before, after []state) {
	b.Helper()
	stay := 0
	for number := range after {
		for line := range after[number].lines {
			if before[number].lines[line] && onMovingNode(line, zoneOf) {
				stay++
			}
		}
	}
	b.Logf("%s: %d endpoints stay in the zone that their node has left", theirs, stay)
	if stay == 0 && len(after) >= many {
		b.Error("theirs follow a node to another zone")
	}
}

func onMovingNode(line, zone string) bool {
	return strings.Contains(line, " node "+movingNode+" zone "+zone+" ")
}

// moved is what states have to be when the node has moved.
func moved(before []state) []state {
	var after []state
	for _, s := range before {
		lines := map[string]bool{}
		for line := range s.lines {
			if onMovingNode(line, zoneOf) {
				line = strings.ReplaceAll(line, zoneOf, movesTo)
			}
			lines[line] = true
		}
		s.lines, s.documented = lines, maps.Clone(s.documented)
		after = append(after, s)
	}
	return after
}
