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
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
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
			o, err := Read(t.Context(), client)
			if (err != nil) != tc.refused {
				t.Errorf("error %v, want one: %v", err, tc.refused)
			}
			if text := strings.Join(o.Unread, "\n"); strings.Contains(text, "ServiceCIDRs are not known") != tc.assumed {
				t.Errorf("assumed %q", text)
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
