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

package replicas

import (
	"slices"
	"sync"
)

// isFull is what the range is to be for half of the time.
func isFull(taken, size int) bool { return taken*100 >= 95*size }

// gauge is how many ports were taken, look by look.
type gauge struct {
	mu    sync.Mutex
	looks []int // sorted
}

func (g *gauge) note(taken int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, _ := slices.BinarySearch(g.looks, taken)
	g.looks = slices.Insert(g.looks, at, taken)
}

// median is 0 before the first look.
func (g *gauge) median() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.looks) == 0 {
		return 0
	}
	return g.looks[len(g.looks)/2]
}

func (g *gauge) most() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.looks) == 0 {
		return 0
	}
	return g.looks[len(g.looks)-1]
}
