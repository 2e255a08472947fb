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

package trace

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"switchyard.dev/switchyard/internal/balancer"
)

func TestServiceCIDRsNeedNotBeRead(t *testing.T) {
	resource := schema.GroupResource{Group: "networking.k8s.io", Resource: "servicecidrs"}
	for name, tc := range map[string]struct {
		err     error
		refused bool
		assumed bool
	}{
		"that do not exist":        {err: apierrors.NewNotFound(resource, "")},
		"that a role may not read": {err: apierrors.NewForbidden(resource, "", errors.New("no")), assumed: true},
		"that can not be had now":  {err: apierrors.NewServiceUnavailable("later"), refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			client.PrependReactor("list", resource.Resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.err })
			o, err := Read(t.Context(), client, "services")
			if (err != nil) != tc.refused {
				t.Errorf("error %v, want one: %v", err, tc.refused)
			}
			if text := strings.Join(o.Unread, "\n"); strings.Contains(text, "ServiceCIDRs are not known") != tc.assumed {
				t.Errorf("assumed %q", text)
			}
		})
	}
}

func TestWhoAnnouncesAddressesNeedNotBeRead(t *testing.T) {
	node, label := "node-2", map[string]string{balancer.AddressLabel: "IPv4"}
	lease := func(namespace, name string) *coordinationv1.Lease {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: label}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &node}}
	}
	resource := schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"read":                     {want: node},
		"that a role may not read": {err: apierrors.NewForbidden(resource, "", errors.New("no"))},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(lease("services", "lb-192.0.2.7"), lease("shop", "lb-192.0.2.8"))
			if tc.err != nil {
				client.PrependReactor("list", resource.Resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.err })
			}
			o, err := Read(t.Context(), client, "services")
			if err != nil {
				t.Fatal(err)
			}
			if got := o.Announcers[netip.MustParseAddr("192.0.2.7")]; got != tc.want {
				t.Errorf("%q answers for the address, want %q", got, tc.want)
			}
			if got := o.Announcers[netip.MustParseAddr("192.0.2.8")]; got != "" {
				t.Errorf("a Lease of another namespace has %q answer", got)
			}
		})
	}
}

func TestWhatIsNotKnownIsAssumed(t *testing.T) {
	o := objects(func(o *Objects) { o.ServiceCIDRs, o.Unread = nil, []string{"this and that"} })
	if a := answer(t, o, Query{From: "client", To: "web:80"}); !strings.Contains(a.Text(), "this and that") {
		t.Errorf("nothing says so in\n%s", a.Text())
	}
}
