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
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func TestAServerThatIsDownIsWaitedForAndSaidSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		client := fake.NewClientset()
		client.PrependReactor("list", "services", func(clienttesting.Action) (bool, runtime.Object, error) {
			if down.Load() {
				return true, nil, errors.New("connection refused")
			}
			return true, &corev1.ServiceList{}, nil
		})
		var said atomic.Int32
		logger := funcr.New(func(string, string) { said.Add(1) }, funcr.Options{})
		ctx, cancel := context.WithCancel(log.IntoContext(t.Context(), logger))
		defer cancel()
		w := newWorld()
		w.Client = client
		answered := make(chan bool, 1)
		go func() { answered <- w.awaitServer(ctx) }()
		time.Sleep(45 * time.Second)
		if n := said.Load(); n != 2 {
			t.Errorf("said %d times in 45 s that it waits, want at once and after 30 s", n)
		}
		down.Store(false)
		begin := time.Now()
		if !<-answered || time.Since(begin) > serverPause {
			t.Errorf("went on %s after the server came", time.Since(begin))
		}
		down.Store(true)
		go func() { answered <- w.awaitServer(ctx) }()
		synctest.Wait()
		cancel()
		if <-answered {
			t.Error("went on although it was told to stop")
		}
	})
}
