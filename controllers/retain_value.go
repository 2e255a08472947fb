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
	"fmt"
	"regexp"
	"strconv"
	"time"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// retainDuration is what the schema of reservations allows.
var retainDuration = regexp.MustCompile(`^([0-9]+(h|m|s))+$`)

const (
	// maxRetain is the longest time that numbers are kept for, as in the schema.
	maxRetain = 365 * 24 * time.Hour
	// quoted is how much of what somebody wrote is said again: an Event has room
	// for 1,024 characters, and an annotation for 256 KiB.
	quoted = 40
)

// parseRetain reads how long a reservation outlives its Service: not at all, a
// time, or forever. The error says what to write.
func parseRetain(value v1alpha1.Retain) (keep time.Duration, forever bool, err error) {
	switch value {
	case "", v1alpha1.RetainDelete:
		return 0, false, nil
	case v1alpha1.RetainForever:
		return 0, true, nil
	}
	keep, err = time.ParseDuration(string(value))
	if err != nil || keep <= 0 || keep > maxRetain || len(value) > 32 || !retainDuration.MatchString(string(value)) {
		return 0, false, fmt.Errorf("%s is no time to retain numbers for: use Delete, Retain or a duration such as 24h or 90m, at most 8760h", quote(string(value)))
	}
	return keep, false, nil
}

// quote shows what somebody wrote, but not at any length.
func quote(text string) string {
	const widest = 4 // bytes of a character
	runes := []rune(text[:min(len(text), (quoted+1)*widest)])
	if len(runes) <= quoted {
		return strconv.Quote(text)
	}
	return strconv.Quote(string(runes[:quoted])) + "..."
}
