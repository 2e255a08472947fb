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

// idPool hands out ids. 0 is never handed out: it is a packet's priority when
// no one set it.
type idPool struct {
	last uint32
	free []uint32
}

// adoptable says whether an id found in the kernel can be kept: absurd ones,
// which only a foreign hand wrote, would make the pool list all below them.
func adoptable(id uint32, held int) bool {
	return id > 0 && id <= IDMask && uint64(id) <= 65536+4*uint64(held)
}

// poolWithout is a pool in which the ids of used are taken.
func poolWithout[T any](used map[uint32]T) idPool {
	var p idPool
	for id := range used {
		p.last = max(p.last, id)
	}
	for id := p.last; id > 0; id-- {
		if _, isUsed := used[id]; !isUsed {
			p.free = append(p.free, id)
		}
	}
	return p
}

// take is an id that is free, or 0 when all are in use.
func (p *idPool) take() uint32 {
	if n := len(p.free); n > 0 {
		id := p.free[n-1]
		p.free = p.free[:n-1]
		return id
	}
	if p.last == IDMask {
		return 0
	}
	p.last++
	return p.last
}

// left is how many ids are free.
func (p *idPool) left() int { return len(p.free) + int(IDMask-p.last) }

func (p *idPool) giveBack(id uint32) { p.free = append(p.free, id) }
