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

package certificate

import (
	"bytes"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// firstPause is after the first bundle that did not stand; each further one
	// doubles it, up to longestPause.
	firstPause   = 100 * time.Millisecond
	longestPause = time.Minute
	// calm is how long a bundle has stood when its replacement is a single event:
	// somebody has installed the configuration anew.
	calm = 5 * time.Minute
	// manyTimes is how many bundles in a row did not stand when it is told
	// who replaces them.
	manyTimes = 2
)

// attempts are what this process has written into one configuration, and whether it
// stood. Somebody else who keeps writing there is not outrun: both
// would write as fast as the API server lets them. A bundle that differs from the
// one before is never late.
type attempts struct {
	uid    types.UID
	bundle []byte
	at     time.Time
	// replaced is true once bundle was seen to be gone.
	replaced bool
	// row is how many bundles in a row did not stand.
	row int
	// told is who was told of.
	told string
}

// wait is how long not to write a bundle that the configuration lacks.
func (a *attempts) wait(uid types.UID, bundle []byte, now time.Time) time.Duration {
	if a.uid != uid { // it was deleted and made again
		*a = attempts{uid: uid}
	}
	stood := !a.replaced && now.Sub(a.at) >= calm
	if stood {
		a.row, a.told = 0, ""
	}
	if !bytes.Equal(a.bundle, bundle) {
		return 0
	}
	if !a.replaced {
		a.replaced = true
		if !stood {
			a.row++
		}
	}
	return max(0, a.at.Add(pause(a.row)).Sub(now))
}

// wrote remembers the bundle, also where somebody else's write came first.
func (a *attempts) wrote(bundle []byte, now time.Time) {
	a.bundle, a.at, a.replaced = bundle, now, false
}

// news tells whether a writer is one to tell of now.
func (a *attempts) news(writer string) bool {
	if a.row < manyTimes || a.told == writer {
		return false
	}
	a.told = writer
	return true
}

func pause(row int) time.Duration {
	if row == 0 {
		return 0
	}
	length := firstPause
	for range row - 1 {
		if length = min(2*length, longestPause); length == longestPause {
			break
		}
	}
	return length
}
