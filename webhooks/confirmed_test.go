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

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestManyThatAreGoneAreNotAllRead(t *testing.T) {
	var cached []client.Object
	for i := range 3 * maxConfirmations {
		cached = append(cached, service(fmt.Sprintf("gone-%d", i), external("203.0.113.7")))
	}
	addr := netip.MustParseAddr("203.0.113.7")
	if got, err := cluster(t, cached, nil).ServicesByVIP(t.Context(), addr, everyService); err == nil || !strings.Contains(err.Error(), "are gone or changed") {
		t.Errorf("%v, %v", names(got), err)
	}
	if got, err := cluster(t, cached[:maxConfirmations], nil).ServicesByVIP(t.Context(), addr, everyService); err != nil || len(got) > 0 {
		t.Errorf("%v, %v", names(got), err)
	}
	if got, err := cluster(t, cached, cached[:1]).ServicesByVIP(t.Context(), addr, everyService); err != nil || strings.Join(names(got), "") != "gone-0" {
		t.Errorf("%v, %v", names(got), err)
	}
}
