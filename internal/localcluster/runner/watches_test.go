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

package runner

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestVolumesOfOneObjectWatchItOnce(t *testing.T) {
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shared"}}
	client := fake.NewClientset(config)
	w := &watches{client: client}
	object := watched{"ConfigMap", "default", "shared"}
	changed := make(chan string, 10)
	follow := func(name string) (stop func()) {
		ctx, stop := context.WithCancel(t.Context())
		if err := w.follow(ctx, object, func() { changed <- name }); err != nil {
			t.Fatal(err)
		}
		return stop
	}
	stopFirst, stopSecond := follow("first"), follow("second")
	told := map[string]bool{<-changed: true, <-changed: true}
	if !told["first"] || !told["second"] {
		t.Errorf("only %v were told", told)
	}
	began := 0 // what is watched is listed first, and told of
	for _, action := range client.Actions() {
		if action.GetVerb() == "list" {
			began++
		}
	}
	if began != 1 {
		t.Errorf("it was listed %d times", began)
	}
	stopFirst()
	awaitFollowers(t, w, object, 1)
	stopSecond()
	awaitFollowers(t, w, object, 0)
	if _, has := w.all[object]; has {
		t.Error("it is watched for nobody")
	}
}

func awaitFollowers(t *testing.T, w *watches, object watched, want int) {
	t.Helper()
	var got int
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		got = 0
		w.mu.Lock()
		if one := w.all[object]; one != nil {
			got = one.followers
		}
		w.mu.Unlock()
		if got == want {
			return
		}
	}
	t.Fatalf("%d follow, want %d", got, want)
}
