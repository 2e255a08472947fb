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

import "fmt"

// Mode says how much the allocator decides.
type Mode string

const (
	// Advisory leaves automatic numbers to the API server and decides only
	// where we answer better: collisions that name their holder, explicit
	// numbers before automatic ones, honest dry-run.
	Advisory Mode = "advisory"
	// Authoritative decides every ClusterIP and NodePort from our bitmaps.
	Authoritative Mode = "authoritative"
	// Off decides nothing.
	Off Mode = "off"
)

// ParseMode reads the value of --allocation.
func ParseMode(value string) (Mode, error) {
	switch mode := Mode(value); mode {
	case Advisory, Authoritative, Off:
		return mode, nil
	}
	return "", fmt.Errorf("unknown allocation mode %q: use %s, %s or %s", value, Advisory, Authoritative, Off)
}
