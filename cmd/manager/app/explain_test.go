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

package app

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

func TestAPortInUseNamesTheFlagThatChangesIt(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()
	_, err = net.Listen("tcp", address)
	err = fmt.Errorf("running the manager: %w", err)

	for flag, options := range map[string]Options{
		"--metrics-bind-address":      {Metrics: MetricsOptions{BindAddress: address}},
		"--health-probe-bind-address": {ProbeBindAddress: address},
		"--webhook-port":              {},
	} {
		got := explain(err, options).Error()
		if !strings.Contains(got, address+" is already in use") || !strings.Contains(got, flag) {
			t.Errorf("got %q, want the address and %s", got, flag)
		}
	}
}

func TestOtherErrorsAreLeftAlone(t *testing.T) {
	other := errors.New("leader election lost")
	if got := explain(other, Options{}); got != other {
		t.Errorf("got %v", got)
	}
}
