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

package agent

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestAHundredNodesMakeOneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		client := fake.NewClientset()
		web := &corev1.ObjectReference{Kind: "Service", Namespace: "default", Name: "web", UID: "1"}
		again := &corev1.ObjectReference{Kind: "Service", Namespace: "default", Name: "web", UID: "2"}
		for range 100 {
			node := NewOnceForAll(client, "test")
			go node.Run(ctx)
			node.Announce(web, "NotProgrammed", "spec.externalIPs[0]: wrong")
			node.Announce(web, "NotProgrammed", "spec.externalIPs[1]: wrong")
			node.Announce(again, "NotProgrammed", "spec.externalIPs[0]: wrong")
		}
		for range 10 {
			synctest.Wait()
			sleep(ctx, announcePause)
		}
		events, err := client.CoreV1().Events("").List(ctx, metav1.ListOptions{})
		if err != nil || len(events.Items) != 3 {
			t.Errorf("%v, %d events, want 3", err, len(events.Items))
		}
		for _, e := range events.Items {
			if e.Reason != "NotProgrammed" || e.Namespace != "default" || e.Type != corev1.EventTypeWarning {
				t.Errorf("event %+v", e)
			}
		}
	})
}

func TestTheLongestNameStillMakesAnEvent(t *testing.T) {
	slice := &corev1.ObjectReference{Name: strings.Repeat("a", 253)}
	if name := eventName(slice, "x", "y"); len(name) > 253 {
		t.Errorf("the name has %d letters", len(name))
	}
}
