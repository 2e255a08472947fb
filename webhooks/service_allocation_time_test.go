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
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// slow answers after a while.
type slow struct{ client.Reader }

const aWhile = 50 * time.Millisecond

func (slow) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	time.Sleep(aWhile)
	return nil
}

func TestWhatTheAPIServerTakesIsNoWorkOfOurs(t *testing.T) {
	spent := func(part string) time.Duration {
		var metric dto.Metric
		if err := allocationDuration.WithLabelValues(part).(prometheus.Metric).Write(&metric); err != nil {
			t.Fatal(err)
		}
		return time.Duration(metric.Histogram.GetSampleSum() * float64(time.Second))
	}
	own, server := spent(partOwn), spent(partServer)
	began := time.Now()
	timed{admission.HandlerFunc(func(ctx context.Context, _ admission.Request) admission.Response {
		sideBySide([]string{"both", "together"}, func(string) error {
			return timedReader{slow{}}.Get(ctx, client.ObjectKey{}, &corev1.Service{})
		})
		return admission.Allowed("")
	})}.Handle(t.Context(), admission.Request{})
	all := time.Since(began)
	own, server = spent(partOwn)-own, spent(partServer)-server
	if server < aWhile || own > all-aWhile || own < 0 || own+server > all {
		t.Errorf("own %v, server %v of %v, %v of which were waited", own, server, all, aWhile)
	}
}
