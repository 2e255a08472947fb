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

package discovery

import (
	"hash/maphash"
	"sync"
)

// shardCount keeps readers on different processors off each other's lock. It
// is a power of two.
const shardCount = 64

// shards is a map for many readers and one writer at a time.
type shards[K comparable, V any] struct {
	seed maphash.Seed
	of   [shardCount]shard[K, V]
}

type shard[K comparable, V any] struct {
	mu     sync.RWMutex
	values map[K]V
	_      [32]byte // the next lock is in another cache line
}

func newShards[K comparable, V any]() *shards[K, V] {
	s := &shards[K, V]{seed: maphash.MakeSeed()}
	for i := range s.of {
		s.of[i].values = map[K]V{}
	}
	return s
}

func (s *shards[K, V]) shard(key K) *shard[K, V] {
	return &s.of[maphash.Comparable(s.seed, key)%shardCount]
}

func (s *shards[K, V]) get(key K) (V, bool) {
	shard := s.shard(key)
	shard.mu.RLock()
	value, found := shard.values[key]
	shard.mu.RUnlock()
	return value, found
}

func (s *shards[K, V]) set(key K, value V) {
	shard := s.shard(key)
	shard.mu.Lock()
	shard.values[key] = value
	shard.mu.Unlock()
}

func (s *shards[K, V]) delete(key K) {
	shard := s.shard(key)
	shard.mu.Lock()
	delete(shard.values, key)
	shard.mu.Unlock()
}
