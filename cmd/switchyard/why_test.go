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

package main

import (
	"errors"
	"testing"

	"switchyard.dev/switchyard/internal/why"
)

// What another process says of an agent's page is an answer, or that nobody is
// there, or nothing at all.
func TestPagesOfAgentsByTheirErrors(t *testing.T) {
	const page = "http://127.0.0.1:10256/livez"
	for text, want := range map[string]int{page + ": 503 Service Unavailable": 503, page + ": 404 Not Found": 404, "": 200} {
		var err error
		if text != "" {
			err = errors.New(text)
		}
		if code, err := pageCode(err); code != want || err != nil {
			t.Errorf("%q: code %d, %v", text, code, err)
		}
	}
	refused := errors.New(`Get "` + page + `": dial tcp 127.0.0.1:10256: connect: connection refused`)
	if _, err := pageCode(refused); !errors.Is(err, why.ErrDown) {
		t.Errorf("nobody is there: %v", err)
	}
	for _, text := range []string{"setns: operation not permitted", `Get "` + page + `": context deadline exceeded`, "no node node-9"} {
		if code, err := pageCode(errors.New(text)); code != 0 || err == nil || errors.Is(err, why.ErrDown) {
			t.Errorf("%q: code %d, %v", text, code, err)
		}
	}
}
