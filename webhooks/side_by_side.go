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

package webhooks

import "sync"

// sideBySide does all at the same time and answers when each has ended, in order.
// The first is done by the caller: there is often just one.
func sideBySide[T, R any](items []T, do func(T) R) []R {
	results := make([]R, len(items))
	var others sync.WaitGroup
	for i := 1; i < len(items); i++ {
		others.Go(func() { results[i] = do(items[i]) })
	}
	if len(items) > 0 {
		results[0] = do(items[0])
	}
	others.Wait()
	return results
}
