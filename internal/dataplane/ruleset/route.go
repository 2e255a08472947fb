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

package ruleset

// What a frontend leads to is one number, its route, kept in the packet's
// priority:
//
//	31         | 30            | 29 ... 20 | 19 ... 0
//	restricted | externalLocal | class     | id of a list
//
// It is chosen so that one lookup tells all that is known before an endpoint
// is drawn.
const (
	// idBits is the size of an id.
	idBits = 20

	IDMask    uint32 = 1<<idBits - 1
	ClassMask uint32 = 1<<30 - 1<<idBits

	classShift = idBits

	// restrictedFlag sends a packet to check-source first.
	restrictedFlag uint32 = 1 << 31
	// externalLocalFlag lets some sources have the Cluster list all the same.
	externalLocalFlag uint32 = 1 << 30
)

// route is the number of an id and a class.
func route(id uint32, class Class) uint32 { return uint32(class)<<classShift | id }

// routeClass is the class in a route.
func routeClass(route uint32) Class { return Class(route & ClassMask >> classShift) }
