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

package controllers

import (
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// conflicts count the writes in a row that were refused for what somebody has
// written before. That is no news for users: what is there is read again. The cache
// may need a while to show it, so the waits grow; and since a webhook or a quota
// may answer the same for good, the refusal becomes a failure like any other. The
// zero value is ready to use.
type conflicts struct {
	mu    sync.Mutex
	inRow map[types.NamespacedName]int
}

// isConflict tells whether what is to be written is not what the cache says.
func isConflict(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}

// onlyConflicts is false if there is anything else to be told.
func onlyConflicts(errs []error) bool {
	return len(errs) > 0 && !slices.ContainsFunc(errs, func(err error) bool { return !isConflict(err) })
}

// wait is called for each conflict. It returns how long to wait before the next
// write, or zero when it has lasted for longer than a cache lags.
func (c *conflicts) wait(key types.NamespacedName) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := lagRetry << c.inRow[key]
	if wait > lagLimit {
		return 0
	}
	if c.inRow == nil {
		c.inRow = map[types.NamespacedName]int{}
	}
	c.inRow[key]++
	return wait
}

// settled is called when there is nothing left to write.
func (c *conflicts) settled(key types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.inRow, key)
}
