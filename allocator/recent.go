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

// recent remembers the last keys that something has happened to, so that whoever
// reads past the cache can tell whether the answer is older than what the watch
// has told since. It is of fixed size: a read that so much has happened beside that
// it is no longer known counts as overtaken, and the watch has the word.
type recent[K comparable] struct {
	keys  [recentKeys]K // a ring
	count uint64        // of all that were ever noted
}

const recentKeys = 256

func (r *recent[K]) note(key K) {
	r.keys[r.count%recentKeys] = key
	r.count++
}

// since reports whether something may have happened to the key since there were
// so many.
func (r *recent[K]) since(count uint64, key K) bool {
	if r.count-count > recentKeys {
		return true
	}
	for ; count < r.count; count++ {
		if r.keys[count%recentKeys] == key {
			return true
		}
	}
	return false
}
