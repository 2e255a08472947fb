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

package placeholder

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

func TestThePlaceholderOfAPortHasTheAddressChosenForIt(t *testing.T) {
	for name, tc := range map[string]struct {
		choices []string // one after the other, the last again and again
		taken   string
		err     error // of the choice after them
		want    string
		failure string
	}{
		"chosen":                       {[]string{"10.96.0.7"}, "", nil, "10.96.0.7", ""},
		"left to the server":           {[]string{""}, "", nil, "", ""},
		"another one, once it is gone": {[]string{"10.96.0.7", "10.96.0.7", "fd00::8"}, "10.96.0.7", nil, "fd00::8", ""},
		"each of them somebody's":      {[]string{"10.96.0.7"}, "10.96.0.7", nil, "", "provided IP is already allocated"},
		"none is free":                 {nil, "", fmt.Errorf("all in pools: %w", allocator.ErrFull), "", "needs a ClusterIP of its own: all in pools"},
		"none, after one that is gone": {[]string{"10.96.0.7"}, "10.96.0.7", fmt.Errorf("all in pools: %w", allocator.ErrFull), "", "all in pools"},
		"no answer":                    {nil, "", errors.New("no such luck"), "", "choosing the ClusterIP of Service switchyard-system/reserved-nodeport-30080: no such luck"},
	} {
		t.Run(name, func(t *testing.T) {
			k, ctx := (&server{addrs: map[string]bool{tc.taken: tc.taken != ""}}).keeper(), context.Background()
			k.SpareAddr = func(_ context.Context, service *corev1.Service) (netip.Addr, error) {
				if service.Namespace != system || !IsPorts(service) {
					t.Errorf("an address for Service %s/%s", service.Namespace, service.Name)
				}
				if len(tc.choices) == 0 {
					return netip.Addr{}, tc.err
				}
				text := tc.choices[0]
				if len(tc.choices) > 1 || tc.err != nil {
					tc.choices = tc.choices[1:]
				}
				addr, _ := netip.ParseAddr(text)
				return addr, nil
			}
			err := k.Hold(ctx, []allocator.Reservation{port(30080)})
			if errors.Is(err, ErrNoAddress) != errors.Is(tc.err, allocator.ErrFull) {
				t.Errorf("%v says that there is none", err)
			}
			if tc.failure != "" {
				if err == nil || !strings.Contains(err.Error(), tc.failure) {
					t.Errorf("error %v, want %q", err, tc.failure)
				}
				return
			}
			var service corev1.Service
			if err := errors.Join(err, k.Client.Get(ctx, client.ObjectKey{Namespace: system, Name: PortsName(30080)}, &service)); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(service.Spec.ClusterIPs, ","); got != tc.want || service.Spec.ClusterIP != tc.want {
				t.Errorf("ClusterIPs %s, want %s", got, tc.want)
			}
		})
	}
}
